#pragma once

#include <optional>
#include <string>
#include <vector>

#include "recipe/recipe.h"
#include "search/goal.h"

namespace espquant::search {

/// One measurement that a search asks for. What comes out depends on this and on the search's
/// inputs, on nothing else: not on what was asked before, not on threads or machines.
struct Work {
  enum class Kind : std::uint8_t {
    Layers,  ///< which layers of the recipe's network may have other widths
    Look,    ///< noise on few samples, and costs
    Tensor,  ///< the same with one tensor rounded to 8 bits
    Trial,   ///< all of it, as it would be written
  };
  Kind kind = Kind::Trial;
  recipe::Recipe recipe;
  /// Of Kind::Tensor.
  std::string tensor;

  /// The same for the same measurement: the recipe's name does not count, unless it is that of a
  /// file that is made.
  std::string key() const;
};

std::string_view name_of(Work::Kind kind);

/// A layer whose width may be chosen, see strategy::MovableLayer.
struct LayerInfo {
  std::string name;
  std::vector<std::string> narrow_weights;

  bool operator==(const LayerInfo&) const = default;
};

/// See strategy::SharedTensor.
struct TensorInfo {
  std::string name;
  std::vector<std::size_t> layers;

  bool operator==(const TensorInfo&) const = default;
};

struct Outcome {
  /// Why the chip or the recipe refuses; then nothing else is known.
  std::string refusal;

  /// Of Kind::Layers.
  std::vector<LayerInfo> layers;
  std::vector<TensorInfo> tensors;
  bool has_caps = false;

  /// On the samples that candidates are judged on, of Kind::Look on few of them: of the worst
  /// output, and the mean over outputs, which adds up over independent causes.
  double judged = 0, judged_mean = 0;
  double milliseconds = 0;
  std::int64_t flash = 0, ram = 0;

  /// Of Kind::Trial, on samples that fitted nothing, see Jury.
  double noise = 0;
  /// Of parts of these samples, the same for all trials.
  std::vector<double> part_noises;
  std::optional<double> accuracy, agreement, accuracy_drop;
  /// SHA-256 of the .espdl.
  std::string file;
  /// Of a recipe that chooses layers itself: which got 16 bits, and of which of these weights
  /// kept 8.
  std::vector<std::string> wide_layers, narrow_weights;

  /// What it took, not part of what was measured.
  double seconds = 0;

  Merit merit() const { return {noise, milliseconds, flash, ram, accuracy_drop}; }
  bool operator==(const Outcome&) const = default;
};

std::string to_json(const Work& work);
std::string to_json(const Outcome& outcome);
/// Throw Error(Malformed) for what to_json() did not write.
Work work_from_json(std::string_view text);
Outcome outcome_from_json(std::string_view text);

}  // namespace espquant::search
