#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "espdl/model.h"
#include "target/target.h"

/// Several sets of exponents for one model, of which the device takes one for each frame.
namespace espquant::espdl {

/// What of a frame's float inputs, all of them together, decides which bank computes it.
enum class Statistic : std::uint8_t {
  Largest,     ///< the largest magnitude
  Percentile,  ///< that of which Banks::percentile per cent of the magnitudes are no larger
};

/// Of a frame's inputs, in real units. 0 where there are no values.
float statistic_of(std::span<const Tensor> inputs, Statistic statistic, float percentile);

/// Of the elements of a tensor of integers, how many are the least or the largest of their type.
float clipped_share(const Tensor& integers);

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

/// A tensor of which the device counts, frame by frame, how many of its elements are clipped.
struct Watched {
  std::string tensor;
  /// The share above which a frame is unlike those of calibration, for each bank in its order and
  /// for the model itself.
  std::vector<float> limits;

  bool operator==(const Watched&) const = default;
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
  std::vector<Watched> watched;

  /// Whether a device has nothing to do with them.
  bool is_empty() const { return banks.empty() && watched.empty(); }
  bool operator==(const Banks&) const = default;

  /// The bank for a frame, by index; banks.size() is the model itself.
  std::size_t choose(float value) const;
  /// The same in a stream, where `before` computed the frame before this one.
  std::size_t choose(float value, std::size_t before) const;
};

/// Which exponents of an operator the runtime takes over from the first frame that it computes: a
/// Div tabulates its quotients once, a streaming state stays as it is. No bank can change those. A
/// Softmax of 8 bits tabulates exp() likewise, but a device can exchange that table.
enum class Remembered : std::uint8_t { Nothing, Inputs, All };
Remembered remembered_exponents(std::string_view op, int bits);

/// What of `quiet` differs from `model` is added to `banks` as the next bank, for frames of at most
/// `largest`. Both have the same nodes, shapes and filters, and exponents that the runtime
/// remembers: throws Error(Illegal) with the name of what differs. Metadata and test values do not
/// count.
void add_bank(Banks& banks, const Model& model, const Model& quiet, float largest);

/// `model` as the bank of that index makes it; without its test values, which are those of other
/// exponents. The model itself for banks.size().
Model with_bank(const Model& model, const Banks& banks, std::size_t bank);

/// The bytes of a .banks file (docs/dynamic.md) for `model`, which `file` holds (an .espdl) for
/// `target`. Throws Error(Illegal) for a constant that the chip could not find, or stores in two
/// ways: a bias and a table at once.
std::vector<std::byte> write_banks(const Banks& banks, const Model& model,
                                   std::span<const std::byte> file, const Target& target);

/// What a device must read of a constant to find it (docs/dynamic.md).
enum class BankRole : std::uint8_t {
  Plain,          ///< a parameter, as the file stores it
  Bias,           ///< of a convolution over all channels, a Gemm
  DepthwiseBias,  ///< of a convolution by channel
  Table,          ///< of nodes of one input
};

/// A Softmax of 8 bits whose input's exponent differs between banks.
struct BankSoftmax {
  std::string node, input;

  bool operator==(const BankSoftmax&) const = default;
};
/// In order of execution.
std::vector<BankSoftmax> softmaxes_of(const Model& model, const Banks& banks);

/// Throws Error(Malformed) on bytes that are no such file or damaged, Error(Unsupported) for a
/// version that is not known, and Error(BadData) where it belongs to another file than `file`.
Banks read_banks(std::span<const std::byte> bytes, const Model& model,
                 std::span<const std::byte> file);

}  // namespace espquant::espdl
