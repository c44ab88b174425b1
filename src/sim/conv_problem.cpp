#include "sim/conv_problem.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fixed_point.h"

namespace espquant::sim {
namespace {

/// The P4 keeps a shift per channel in 8 bits (ESP-DL 3.1); nothing real comes near.
constexpr std::int64_t kLargestShift = 127;

/// Products that one instruction adds to the scalar accumulator.
constexpr int vector_elements(int bits) { return 128 / bits; }

/// v * 2^shift, clipped to `bits` (ESP-DL 0.1, shift_and_round with s <= 0).
std::int64_t shift_left_saturating(std::int64_t v, int shift, int bits) {
  const std::int64_t hi = static_cast<std::int64_t>((std::uint64_t{1} << (bits - 1)) - 1),
                     lo = -hi - 1;
  if (v == 0) return 0;
  if (shift >= 63) return v > 0 ? hi : lo;
  if (v > (hi >> shift)) return hi;
  if (v < (lo >> shift)) return lo;
  return v * (std::int64_t{1} << shift);
}

/// S3 shifts by s-1, adds one and shifts again; its shift register holds 5 bits for int8 lanes, 6
/// otherwise (ESP-DL 3.1).
std::int64_t round_shift_s3(std::int64_t sum, int shift, bool byte_lane) {
  if (shift == 0) return sum;
  const std::int64_t t = sum >> ((shift - 1) & (byte_lane ? 31 : 63));
  return (t >> 1) + (t & 1);
}

std::vector<std::int64_t> read_bias(const NodeContext& context, const MacArithmetic& arithmetic,
                                    const espdl::Constant* bias, std::int64_t out_channels,
                                    std::vector<std::string>& faults) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(out_channels), 0);
  if (bias == nullptr) return values;
  const DType expected = arithmetic.bits == 8 ? DType::Int32 : DType::Int64;
  const DType stored = bias->data.dtype();
  // ESP-DL 4.2: files of old exporters, which the runtime of their time computed so.
  const bool narrow = expected == DType::Int64 && stored == DType::Int32 && !is_w8a16(context.node);
  if (stored != expected && !narrow)
    throw Error(ErrorCode::Illegal,
                fmt::format("the bias of an int{} convolution must be {}, it is {}",
                            arithmetic.bits, to_string(expected), to_string(stored)))
        .tensor(bias->name)
        .remedy("Export the model again");
  if (narrow) faults.emplace_back("int16-bias-in-32-bits");
  if (bias->data.size() != out_channels)
    throw Error(ErrorCode::Malformed,
                fmt::format("{} biases for {} output channels", bias->data.size(), out_channels))
        .tensor(bias->name);
  const Tensor wide = bias->data.cast(DType::Int64);
  std::copy_n(wide.data<std::int64_t>().begin(), out_channels, values.begin());
  for (std::int64_t c = 0; c < out_channels; ++c) {
    auto& value = values[static_cast<std::size_t>(c)];
    value = initial_sum(arithmetic, context.target, c, value, context.options.saturation);
  }
  return values;
}

std::vector<int> read_shifts(const NodeContext& context, const TensorDesc& filter,
                             std::int64_t out_channels) {
  const bool per_channel = filter.exponents.size() > 1;
  if (per_channel && !context.target.per_channel_weights)
    throw Error(ErrorCode::Illegal,
                fmt::format("{} has one exponent per tensor only, these weights have {}",
                            context.target.name, filter.exponents.size()))
        .tensor(context.node.inputs[1])
        .remedy("Quantize the weights per tensor, or for the ESP32-P4");
  if (per_channel && static_cast<std::int64_t>(filter.exponents.size()) != out_channels)
    throw Error(ErrorCode::Malformed, fmt::format("{} exponents for {} output channels",
                                                  filter.exponents.size(), out_channels))
        .tensor(context.node.inputs[1]);
  std::vector<int> shifts;
  for (std::int64_t c = 0; c < out_channels; ++c) {
    const int weight_exponent =
        per_channel ? filter.exponents[static_cast<std::size_t>(c)] : filter.exponent();
    const std::int64_t shift = std::int64_t{context.declared[0].exponent()} -
                               context.input(0).exponent() - weight_exponent;
    if (shift < -kLargestShift || shift > kLargestShift)
      throw Error(ErrorCode::Illegal, fmt::format("the exponents ask for a shift by {}", shift))
          .remedy("Check the exponents of input, weights and output");
    shifts.push_back(static_cast<int>(shift));
  }
  const int least = *std::min_element(shifts.begin(), shifts.end());
  if (least < 0 && context.target.family != Family::C)
    throw Error(ErrorCode::Illegal,
                fmt::format("its output exponent {} is {} below the sum of the exponents of input "
                            "and weights, and {} "
                            "cannot shift left",
                            context.declared[0].exponent(), -least, context.target.name))
        .remedy("Raise the exponent of the output, or lower that of the weights");
  return shifts;
}

}  // namespace

void set_accumulators(MacArithmetic& arithmetic, const Target& target, std::int64_t out_channels,
                      bool depthwise, bool saturation) {
  arithmetic.lanes = arithmetic.scalar = Accumulator{};
  arithmetic.scalar_from = out_channels;
  if (!saturation) return;
  arithmetic.lanes.bits = target.accumulator_bits(arithmetic.bits);
  if (target.family == Family::C) {
    arithmetic.lanes.wraps = arithmetic.lanes.bits < 64;
    return;
  }
  // A depthwise kernel computes the last channels with a whole vector, too (ESP-DL 3.3).
  if (depthwise) return;
  const int lanes = target.lanes(arithmetic.bits);
  arithmetic.scalar_from = out_channels / lanes * lanes;
  arithmetic.scalar = {.bits = 40, .products_per_step = vector_elements(arithmetic.bits)};
}

std::int64_t initial_sum(const MacArithmetic& arithmetic, const Target& target,
                         std::int64_t channel, std::int64_t stored_bias, bool saturation) {
  if (!saturation) return stored_bias;
  const bool lane = channel < arithmetic.scalar_from;
  // ESP-DL 4.3: the bias is re-packed for the lanes, dropping the bits above, never clipped.
  if (target.family == Family::S3 && lane) return wrap_bits(stored_bias, arithmetic.lanes.bits);
  if (arithmetic.bits == 16 && !lane) return wrap_bits(stored_bias, arithmetic.scalar.bits);
  return stored_bias;
}

std::int64_t finish_sum(const MacArithmetic& arithmetic, std::int64_t channel, std::int64_t sum) {
  const int shift = arithmetic.shifts[static_cast<std::size_t>(channel)];
  std::int64_t y = 0;
  switch (arithmetic.family) {
    case Family::S3:
      y = round_shift_s3(sum, shift, arithmetic.bits == 8 && channel < arithmetic.scalar_from);
      break;
    case Family::P4:
      y = round_shift(sum, shift, Rounding::HalfEven);
      break;
    case Family::C:
      y = shift >= 0 ? round_shift(sum, shift, Rounding::HalfUp)
                     : shift_left_saturating(sum, -shift, arithmetic.bits == 8 ? 32 : 64);
      break;
  }
  if (arithmetic.relu) y = std::max<std::int64_t>(y, 0);
  return saturate_bits(y, arithmetic.bits);
}

MacArithmetic make_arithmetic(const NodeContext& context, const ConvGeometry& geometry,
                              const TensorDesc& filter, const espdl::Constant* bias,
                              std::vector<std::string>& faults) {
  MacArithmetic arithmetic;
  arithmetic.bits = context.input(0).dtype == DType::Int8 ? 8 : 16;
  arithmetic.family = context.target.family;
  const std::string activation = context.node.get_string("activation", "Linear");
  if (activation != "Linear" && activation != "Relu")
    throw Error(ErrorCode::Illegal, fmt::format("the activation '{}' cannot be fused into {}",
                                                activation, context.node.op))
        .remedy("Only Relu can; make another activation a node of its own");
  arithmetic.relu = activation == "Relu";
  set_accumulators(arithmetic, context.target, geometry.out_c, geometry.depthwise,
                   context.options.saturation);
  arithmetic.shifts = read_shifts(context, filter, geometry.out_c);
  arithmetic.bias = read_bias(context, arithmetic, bias, geometry.out_c, faults);
  if (arithmetic.family == Family::S3 && arithmetic.bits == 8 && arithmetic.scalar_from > 0 &&
      arithmetic.shifts.front() > 32)
    faults.emplace_back("shift-register-wraps");
  if (arithmetic.family == Family::P4 && arithmetic.bits == 8 &&
      *std::max_element(arithmetic.shifts.begin(), arithmetic.shifts.end()) > 31)
    faults.emplace_back("shift-register-unknown");
  if (arithmetic.family == Family::P4 && is_w8a16(context.node) && geometry.in_c % 2 != 0 &&
      (geometry.kernel_h * geometry.kernel_w > 1 || geometry.out_c > context.target.lanes(16)))
    faults.emplace_back("p4-w8a16-odd-channels");
  return arithmetic;
}

bool is_w8a16(const espdl::Node& node) {
  const auto quant_type = node.attributes.find("quant_type");
  if (quant_type == node.attributes.end()) return false;
  const auto* text = std::get_if<std::string>(&quant_type->second);
  return text != nullptr && *text == espdl::kW8A16;
}

namespace {

void check_w8a16(const NodeContext& context, DType x, DType w, DType y) {
  if (x != DType::Int16 || w != DType::Int8 || y != DType::Int16)
    throw Error(ErrorCode::Illegal,
                fmt::format("input {}, weights {} and output {}, where {} takes int16, int8 and "
                            "gives int16",
                            to_string(x), to_string(w), to_string(y), espdl::kW8A16))
        .remedy(
            "Requantize before or after the node, or give the node the quant_type of its types");
  if (context.constants[1] == nullptr)
    throw Error(ErrorCode::Illegal,
                fmt::format("its weights are computed at run time, where {} takes constant ones",
                            espdl::kW8A16))
        .remedy("Give both operands 16 bits and the quant_type S16");
  if (context.node.op == "Conv" && context.node.get_int("group", 1) > 1)
    throw Error(ErrorCode::Illegal,
                fmt::format("ESP-DL has no depthwise kernel for {}: the output would never be "
                            "written",
                            espdl::kW8A16))
        .remedy("Give the depthwise convolution 8 bits or 16 throughout");
}

}  // namespace

TensorDesc mac_output(const NodeContext& context, Shape shape) {
  if (context.declared.empty() || context.declared[0].dtype == DType::Undefined)
    throw Error(ErrorCode::Malformed, "the model does not describe its output")
        .node(context.node.name);
  const DType dtype = context.declared[0].dtype;
  const DType x = context.input(0).dtype, w = context.input(1).dtype;
  if (is_w8a16(context.node)) {
    check_w8a16(context, x, w, dtype);
  } else if ((dtype != DType::Int8 && dtype != DType::Int16) || x != dtype || w != dtype) {
    throw Error(ErrorCode::Illegal,
                fmt::format("input {}, weights {} and output {} must all be int8 or all int16",
                            to_string(x), to_string(w), to_string(dtype)))
        .remedy("Requantize before or after the node");
  }
  return {dtype, std::move(shape), {context.declared[0].exponent()}};
}

}  // namespace espquant::sim
