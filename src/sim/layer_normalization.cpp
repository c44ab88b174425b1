#include <fmt/format.h>

#include <algorithm>

#include "sim/newton.h"
#include "sim/operators.h"
#include "sim/prepare.h"

/// LayerNormalization (ESP-DL 3.18): statistics and affine step in float32; scale and bias are
/// quantized with exponents of their own.
namespace espquant::sim {
namespace {

struct Normalization {
  std::int64_t rows = 1, length = 1;
  float epsilon = 1e-5F;
  /// 1 for float tensors.
  float in_scale = 1, gain_scale = 1, bias_scale = 0;
  float inv_out = 1, inv_mean = 1, inv_deviation = 1;
  Rounding rounding = Rounding::HalfUp;

  template <typename T>
  T stored(float v, float inv_scale) const {
    if constexpr (std::is_floating_point_v<T>)
      return v;
    else
      return quantize_value<T>(v, inv_scale, rounding);
  }
};

/// In units of the integers.
template <typename T>
float mean_of(const T* x, std::int64_t length) {
  if constexpr (std::is_floating_point_v<T>) {
    float sum = 0;
    for (std::int64_t j = 0; j < length; ++j) sum += x[j];
    return sum / static_cast<float>(length);
  } else {
    std::int64_t sum = 0;
    for (std::int64_t j = 0; j < length; ++j) sum += x[j];
    return static_cast<float>(static_cast<double>(wrap_bits(sum, 32)) /
                              static_cast<double>(length));
  }
}

template <typename T>
float variance_of(const T* x, std::int64_t length, float mean, float scale) {
  float sum = 0;
  for (std::int64_t j = 0; j < length; ++j) {
    const float difference = static_cast<float>(x[j]) - mean;
    sum += difference * difference;
  }
  return sum * (scale * scale) / static_cast<float>(length);
}

template <typename T>
void layer_normalize(const Normalization& n, const KernelArgs& args) {
  const bool has_gain = args.inputs.size() > 1 && args.inputs[1] != nullptr;
  const bool has_bias = args.inputs.size() > 2 && args.inputs[2] != nullptr;
  for (std::int64_t row = 0; row < n.rows; ++row) {
    const T* x = args.in<T>(0) + row * n.length;
    T* y = args.out<T>(0) + row * n.length;
    float mean = mean_of(x, n.length);
    const float variance = variance_of(x, n.length, mean, n.in_scale);
    mean *= n.in_scale;
    const float inverse = 1.0F / sqrt_newton(variance + n.epsilon);
    for (std::int64_t j = 0; j < n.length; ++j) {
      const float centred = static_cast<float>(x[j]) * n.in_scale - mean;
      const float gain = has_gain ? static_cast<float>(args.in<T>(1)[j]) * n.gain_scale : 1.0F;
      const float bias = has_bias ? static_cast<float>(args.in<T>(2)[j]) * n.bias_scale : 0.0F;
      y[j] = n.stored<T>(centred * inverse * gain + bias, n.inv_out);
    }
    if (args.outputs.size() > 1 && args.outputs[1] != nullptr)
      args.out<T>(1)[row] = n.stored<T>(mean, n.inv_mean);
    if (args.outputs.size() > 2 && args.outputs[2] != nullptr)
      args.out<T>(2)[row] = n.stored<T>(inverse, n.inv_deviation);
  }
}

void check_affine(const NodeContext& context, std::size_t i, DType dtype, std::int64_t length) {
  if (!context.has_input(i)) return;
  require_type(context, i, dtype);
  if (element_count(context.input(i).shape) < length)
    refuse(fmt::format("input {} has {} elements, {} are normalized together", i,
                       element_count(context.input(i).shape), length),
           "Export the model again");
}

float inverse_scale(const std::vector<TensorDesc>& outputs, std::size_t i) {
  return i < outputs.size() && outputs[i].dtype != DType::Undefined
             ? chip_scale(-outputs[i].exponent())
             : 1.0F;
}

}  // namespace

Prepared prepare_layer_normalization(const NodeContext& context) {
  const DType dtype = element_type(context);
  const Shape& shape = context.input(0).shape;
  const std::size_t axis = checked_axis(context.node.get_int("axis", -1), shape.size());

  Normalization n;
  Shape statistics(shape.size(), 1);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    (i < axis ? n.rows : n.length) *= shape[i];
    if (i < axis) statistics[i] = shape[i];
  }
  check_affine(context, 1, dtype, n.length);
  check_affine(context, 2, dtype, n.length);
  n.epsilon = context.node.get_float("epsilon", 1e-5F);
  n.rounding = context.target.rounding;

  Prepared prepared;
  prepared.outputs.push_back(output_desc(context, 0, shape, dtype));
  for (std::size_t i = 1; i < std::min<std::size_t>(context.node.outputs.size(), 3); ++i)
    prepared.outputs.push_back(context.node.outputs[i].empty()
                                   ? TensorDesc{}
                                   : output_desc(context, i, statistics, dtype));
  if (!is_float(dtype)) {
    n.in_scale = chip_scale(context.input(0).exponent());
    n.gain_scale = context.has_input(1) ? chip_scale(context.input(1).exponent()) : 1.0F;
    n.bias_scale = context.has_input(2) ? chip_scale(context.input(2).exponent()) : 0.0F;
    n.inv_out = inverse_scale(prepared.outputs, 0);
    n.inv_mean = inverse_scale(prepared.outputs, 1);
    n.inv_deviation = inverse_scale(prepared.outputs, 2);
  } else {
    n.bias_scale = 1.0F;
  }
  prepared.kernel = visit_element_type(dtype, [&]<typename T>() {
    return make_kernel([n](const KernelArgs& args) { layer_normalize<T>(n, args); });
  });
  return prepared;
}

}  // namespace espquant::sim
