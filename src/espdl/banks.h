#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "espdl/model.h"

/// Several sets of exponents for one model, of which the device takes one for each frame.
namespace espquant::espdl {

/// What of a frame's float inputs, all of them together, decides which bank computes it.
enum class Statistic : std::uint8_t {
  Largest,     ///< the largest magnitude
  Percentile,  ///< that of which Banks::percentile per cent of the magnitudes are no larger
};

/// Of a frame's inputs, in real units. 0 where there are no values.
float statistic_of(std::span<const Tensor> inputs, Statistic statistic, float percentile);

/// One set of exponents, and what they entail.
struct Bank {
  /// Frames whose statistic is at most this are computed by it.
  float largest = 0;
  /// In the order of Banks::tensors.
  std::vector<int> exponents;
  /// In the order of Banks::constants: elements, and exponents.
  std::vector<Constant> constants;

  bool operator==(const Bank&) const = default;
};

/// The banks beside a model. The model itself is the one for frames louder than those of any bank.
struct Banks {
  Statistic statistic = Statistic::Largest;
  /// 50 to 100, for Statistic::Percentile.
  float percentile = 100;
  /// In a stream a quieter bank takes over once the statistic is at most `largest` times this, 0 to
  /// 1; a louder one at once.
  float descent = 1;
  /// Activations whose exponents differ between banks, and constants of which elements or exponents
  /// do: biases, tables.
  std::vector<std::string> tensors, constants;
  /// From the quietest on.
  std::vector<Bank> banks;

  bool operator==(const Banks&) const = default;

  /// The bank for a frame, by index; banks.size() is the model itself.
  std::size_t choose(float value) const;
  /// The same in a stream, where `before` computed the frame before this one.
  std::size_t choose(float value, std::size_t before) const;
};

/// What of `quiet` differs from `model` is added to `banks` as the next bank, for frames of at most
/// `largest`. Both have the same nodes, shapes and filters: throws Error(Illegal) with the name of
/// what differs. Metadata and test values do not count.
void add_bank(Banks& banks, const Model& model, const Model& quiet, float largest);

/// `model` as the bank of that index makes it; without its test values, which are those of other
/// exponents. The model itself for banks.size().
Model with_bank(const Model& model, const Banks& banks, std::size_t bank);

/// The bytes of a .banks file (docs/files.md) for `model`, which `file` holds (an .espdl).
std::vector<std::byte> write_banks(const Banks& banks, const Model& model,
                                   std::span<const std::byte> file);

/// Throws Error(Malformed) on bytes that are no such file or damaged, Error(Unsupported) for a
/// version that is not known, and Error(BadData) where it belongs to another file than `file`.
Banks read_banks(std::span<const std::byte> bytes, const Model& model,
                 std::span<const std::byte> file);

}  // namespace espquant::espdl
