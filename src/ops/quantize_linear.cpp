#include <fmt/format.h>

#include <cmath>

#include "ops/lines.h"
#include "ops/operators.h"

/// DequantizeLinear, QuantizeLinear with one scale, or one per index of `axis`.
namespace espquant::ops {
namespace {

bool is_quantized_type(DType dtype) {
  return dtype == DType::Int8 || dtype == DType::UInt8 || dtype == DType::Int16 ||
         dtype == DType::UInt16;
}

/// Elements seen as (outer, channels, inner), channel k having parameter k; one channel when there
/// is one scale.
Lines channels_of(const Node& node, const Shape& data, const Shape& scale) {
  if (element_count(scale) == 1 && scale.size() <= 1) return {1, 1, element_count(data)};
  const auto axis = static_cast<std::size_t>(
      normalize_axis(node.attributes.get_int("axis", 1), static_cast<std::int64_t>(data.size())));
  if (scale.size() != 1 || scale[0] != data[axis])
    malformed(fmt::format("scales of shape {} for axis {} of {}", to_string(scale), axis,
                          to_string(data)));
  return lines_along(data, axis, axis + 1);
}

void check_parameters(const InferContext& context) {
  if (context.node.attributes.get_int("block_size", 0) != 0)
    unsupported("quantization in blocks", "Quantize per tensor or per axis");
  channels_of(context.node, context.shape(0), context.shape(1));
  if (context.has(2) && element_count(context.shape(2)) != element_count(context.shape(1)))
    malformed(fmt::format("zero points of shape {} for scales of shape {}",
                          to_string(context.shape(2)), to_string(context.shape(1))));
}

void infer_quantize(const InferContext& context) {
  require_float(context, 0);
  require_float(context, 1);
  check_parameters(context);
  DType to = DType::UInt8;
  if (context.has(2))
    to = context.dtype(2);
  else if (const std::int64_t given = context.node.attributes.get_int("output_dtype", 0);
           given != 0)
    to = given > 0 && given <= 16 ? static_cast<DType>(given) : DType::Undefined;
  if (!is_quantized_type(to))
    unsupported(fmt::format("quantization to {}", to_string(to)),
                "Use int8, uint8, int16 or uint16");
  set_output(context, 0, to, context.shape(0));
}

void infer_dequantize(const InferContext& context) {
  if (!is_quantized_type(context.dtype(0)) && context.dtype(0) != DType::Int32)
    unsupported(fmt::format("dequantization from {}", to_string(context.dtype(0))),
                "Use int8, uint8, int16, uint16 or int32");
  require_float(context, 1);
  require_same_dtype(context, 0, 2);
  check_parameters(context);
  set_output(context, 0, context.dtype(1), context.shape(0));
}

/// Calls f(offset, channel) for every element.
template <typename F>
void for_each_in_channels(const Lines& lines, F&& f) {
  for (std::int64_t n = 0; n < lines.outer; ++n)
    for (std::int64_t c = 0; c < lines.length; ++c)
      for (std::int64_t i = 0; i < lines.inner; ++i)
        f(static_cast<std::size_t>((n * lines.length + c) * lines.inner + i),
          static_cast<std::size_t>(c));
}

Tensor zero_points(const RunContext& context) {
  return context.has(2) ? context.in(2).cast(DType::Int32)
                        : Tensor(DType::Int32, context.in(1).shape());
}

void run_quantize(const RunContext& context) {
  const Tensor x = context.in(0).cast(DType::Float32), scale = context.in(1).cast(DType::Float32),
               zero = zero_points(context);
  const auto from = x.data<float>(), scales = scale.data<float>();
  const auto zeros = zero.data<std::int32_t>();
  visit_integer(context.outputs[0].dtype(), [&]<typename T>(T) {
    auto to = context.outputs[0].mutable_data<T>();
    for_each_in_channels(channels_of(context.node, x.shape(), scale.shape()), [&](std::size_t i,
                                                                                  std::size_t c) {
      to[i] = to_integer<T>(static_cast<double>(std::nearbyint(from[i] / scales[c])) + zeros[c]);
    });
  });
}

void run_dequantize(const RunContext& context) {
  const Tensor scale = context.in(1).cast(DType::Float32), zero = zero_points(context);
  const auto scales = scale.data<float>();
  const auto zeros = zero.data<std::int32_t>();
  visit_integer(context.in(0).dtype(), [&]<typename T>(T) {
    const auto from = context.in(0).data<T>();
    visit_float(context.outputs[0].dtype(), [&]<typename To>(To) {
      auto to = context.outputs[0].mutable_data<To>();
      for_each_in_channels(channels_of(context.node, context.in(0).shape(), scale.shape()),
                           [&](std::size_t i, std::size_t c) {
                             const auto centred = static_cast<std::int64_t>(from[i]) - zeros[c];
                             to[i] = static_cast<To>(static_cast<float>(centred) * scales[c]);
                           });
    });
  });
}

}  // namespace

const OpDef kDequantizeLinear{"DequantizeLinear", QuantRule::FloatOutput, infer_dequantize,
                              run_dequantize};
const OpDef kQuantizeLinear{"QuantizeLinear", QuantRule::Independent, infer_quantize, run_quantize};

}  // namespace espquant::ops
