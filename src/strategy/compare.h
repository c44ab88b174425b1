#pragma once

#include <optional>

#include "measure/evaluate.h"
#include "strategy/find_banks.h"
#include "strategy/last_gate.h"
#include "strategy/quantize_model.h"

namespace espquant::strategy {

/// What a quantized model costs on its chip, and what it does to the signal; less is better of
/// each.
struct Merits {
  /// Of the .espdl without its metadata, and of its banks: a recipe with a shorter name is no
  /// better.
  std::size_t file_bytes = 0;
  /// RAM that ESP-DL's planner takes for activations.
  std::size_t activation_bytes = 0;
  /// Of one run, estimated.
  double milliseconds = 0;
  double noise_to_signal = 0;
};

/// Whether each is beaten by none: no other is at least as good in all and better in one.
std::vector<bool> unbeaten(std::span<const Merits> all);

/// One recipe to be compared: all for the same target and of the same network. Those that share
/// samples have the same `shared`.
struct Contender {
  QuantizeOptions options;
  Preparation* shared = nullptr;
};

/// What became of it.
struct Compared {
  /// As it was used, open choices settled.
  recipe::Recipe recipe;
  /// Why the chip or the recipe refuses; then nothing below is known.
  std::string refusal;
  espdl::Model model;
  /// What is written of it, metadata included.
  std::optional<SoundFile> file;
  /// Where the recipe asks for them.
  std::optional<FoundBanks> banks;
  /// Of the .banks file.
  std::size_t banks_bytes = 0;
  /// See QuantizedModel.
  std::vector<std::string> unread_inputs;
  Merits merits;
  /// Nodes that compute in 16 bits, requantize nodes not counted; of all so counted, as they were
  /// before the model was rearranged.
  std::int64_t wide_nodes = 0, nodes = 0;
  /// Of the wide ones, those of int8 weights (W8A16).
  std::int64_t narrow_weights = 0;
  std::vector<sim::Program::Fault> faults;
  /// As of QuantizedModel.
  std::vector<std::string> warnings;
  std::vector<std::string> notes;
  measure::Evaluation evaluation;
  bool unbeaten = false;
  /// To quantize it; what is shared counts for the first.
  double seconds = 0;
};

/// Sees what a recipe made, by its place among the contenders.
using CompareVisitor = std::function<void(std::size_t recipe, const QuantizedModel& made)>;

/// Runs all recipes on one network, in their order, and measures the results on `test` (with
/// `labels`, or none) against the float network as it was imported and simplified. An Error that a
/// recipe meets becomes its refusal, but for an Error(Internal), which is thrown. The reports of
/// single layers are left out; `visit`, where given, sees each network before it is gone.
std::vector<Compared> compare_recipes(std::span<const Contender> contenders,
                                      const calib::SampleSource& test,
                                      std::span<const std::int64_t> labels,
                                      const StageProgress& progress = {},
                                      const CompareVisitor& visit = {});

}  // namespace espquant::strategy
