#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/kernel.h"

/// What Conv, Gemm and MatMul have in common: sums of products over a window, and how a chip turns
/// a sum into an output element (ESP-DL 3.1 to 3.5).
namespace espquant::sim {

/// One image in N,H,W,C order. A 1D convolution has height 1; Gemm and MatMul are 1x1 convolutions
/// of an image that is 1 high and M wide.
struct ConvGeometry {
  std::int64_t in_h = 1, in_w = 1, in_c = 1;
  std::int64_t out_h = 1, out_w = 1, out_c = 1;
  std::int64_t kernel_h = 1, kernel_w = 1;
  std::int64_t stride_h = 1, stride_w = 1;
  std::int64_t dilation_h = 1, dilation_w = 1;
  std::int64_t pad_top = 0, pad_left = 0;
  bool depthwise = false;

  /// Channels of the filter: 1 when depthwise.
  std::int64_t filter_c() const { return depthwise ? 1 : in_c; }
  std::int64_t in_size() const { return in_h * in_w * in_c; }
  std::int64_t out_size() const { return out_h * out_w * out_c; }
  std::int64_t filter_size() const { return out_c * kernel_h * kernel_w * filter_c(); }
};

/// A register that sums products.
struct Accumulator {
  /// Signed width; 64 never overflows in practice and is not clipped.
  int bits = 64;
  /// Products of so many consecutive channels are summed before the register is clipped.
  std::int64_t products_per_step = 1;
  /// Keeps the low bits instead of clipping (C's int32).
  bool wraps = false;

  bool clips() const { return !wraps && bits < 64; }
  std::int64_t limit() const {
    return static_cast<std::int64_t>((std::uint64_t{1} << (bits - 1)) - 1);
  }
};

/// From a sum to an output element.
struct MacArithmetic {
  int bits = 8;
  Family family = Family::S3;
  bool relu = false;
  /// Of the output channels before scalar_from, and from there on (S3 and P4: channels that fill no
  /// vector).
  Accumulator lanes, scalar;
  std::int64_t scalar_from = 0;
  /// Per output channel: mac_shift = e_out - e_in - e_weight, and the value that the accumulator
  /// starts from.
  std::vector<int> shifts;
  std::vector<std::int64_t> bias;

  const Accumulator& accumulator(std::int64_t channel) const {
    return channel < scalar_from ? lanes : scalar;
  }
  /// Whether the channel's register is on the books of Workspace::Saturation. int8's scalar
  /// register is not: its 40 bits are out of reach of any filter that fits a chip.
  bool counts(std::int64_t channel) const {
    return accumulator(channel).clips() && (bits == 16 || accumulator(channel).bits < 40);
  }
};

/// Registers of the target for `bits`-wide elements. Without saturation: exact sums everywhere.
void set_accumulators(MacArithmetic& arithmetic, const Target& target, std::int64_t out_channels,
                      bool depthwise, bool saturation);

/// The value that a chip starts the sum of `channel` from, given the stored bias (S3 keeps 20 or 40
/// bits of it).
std::int64_t initial_sum(const MacArithmetic& arithmetic, const Target& target,
                         std::int64_t channel, std::int64_t stored_bias, bool saturation);

/// The output element of a finished sum: shift, round, ReLU, clip to the element's width.
std::int64_t finish_sum(const MacArithmetic& arithmetic, std::int64_t channel, std::int64_t sum);

/// Reads exponents, bias and activation of a Conv, Gemm or MatMul and refuses what the target
/// computes wrongly: a negative shift (S3, P4), exponents per channel (S3, C), a bias of the wrong
/// type, an activation that is not fused. Throws Error(Illegal) with rule and remedy. `faults`
/// receives "int16-bias-in-32-bits", "shift-register-wraps" (S3, int8, shift above 32) and
/// "shift-register-unknown" (P4, int8, shift above 31: no document says how wide the register is),
/// "p4-w8a16-odd-channels" (W8A16, an odd number of input channels, several taps or vectors).
/// `bias` is null when there is none.
MacArithmetic make_arithmetic(const NodeContext& context, const ConvGeometry& geometry,
                              const TensorDesc& filter, const espdl::Constant* bias,
                              std::vector<std::string>& faults);

/// Whether the node's quant_type says int8 weights and int16 activations. The runtime's Conv, Gemm
/// and MatMul look at the text itself (ESP-DL 3.3.11).
bool is_w8a16(const espdl::Node& node);

/// The type and exponent of the node's output as the file declares them, with `shape`. Throws
/// Error(Malformed) when the file does not describe it, Error(Illegal) when input, filter and
/// output are not all int8 or all int16, or, where is_w8a16(), not int16, constant int8 and int16,
/// or the node is depthwise.
TensorDesc mac_output(const NodeContext& context, Shape shape);

}  // namespace espquant::sim
