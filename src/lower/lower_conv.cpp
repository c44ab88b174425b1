#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/fixed_point.h"
#include "espdl/filter_layout.h"
#include "lower/lower.h"
#include "lower/rules.h"
#include "quant/groups.h"
#include "quant/weights.h"
#include "quant/widths.h"

/// Conv, Gemm and MatMul: packed filters, biases at the accumulator's exponent, a fused ReLU.
namespace espquant::lower {
namespace {

// Integers of float weights whose rows (`axis`) may have an exponent each.
Tensor quantize_weights(const Tensor& real, const TensorQuant& quant, Rounding rounding) {
  const auto x = real.data<float>();
  std::int64_t inner = 1;
  const std::size_t axis = quant.axis < 0 ? 0 : static_cast<std::size_t>(quant.axis);
  for (std::size_t i = axis + 1; i < real.shape().size(); ++i) inner *= real.shape()[i];
  const std::int64_t rows = quant.per_channel() ? real.shape().at(axis) : 1;
  const auto fill = [&](auto out) {
    using T = typename decltype(out)::value_type;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::int64_t row =
          quant.per_channel() ? static_cast<std::int64_t>(i) / inner % rows : 0;
      out[i] =
          quantize_value<T>(x[i], pow2(-quant.exponents[static_cast<std::size_t>(row)]), rounding);
    }
  };
  Tensor result(quant.bits == 8 ? DType::Int8 : DType::Int16, real.shape());
  if (quant.bits == 8)
    fill(result.mutable_data<std::int8_t>());
  else
    fill(result.mutable_data<std::int16_t>());
  return result;
}

// A bias that its field cannot hold is refused, never clipped (ESP-DL 3.1: S3 keeps 20 bits and
// drops the rest).
Tensor quantize_bias(const Node& n, const Tensor& real, const TensorQuant& quant, int layer_bits,
                     Rounding rounding, std::int64_t channels) {
  const auto x = real.data<float>();
  const double limit = std::ldexp(1.0, std::min(quant.bits, 62) - 1);
  Tensor result(layer_bits == 8 ? DType::Int32 : DType::Int64, {channels});
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double scaled = std::ldexp(static_cast<double>(x[x.size() == 1 ? 0 : i]),
                                     -quant.exponents[quant.per_channel() ? i : 0]);
    const double rounded =
        rounding == Rounding::HalfUp ? std::floor(scaled + 0.5) : std::nearbyint(scaled);
    if (rounded < -limit || rounded > limit - 1)
      refuse(
          n,
          fmt::format("the bias of channel {} needs more than the {} bits that the chip gives it",
                      c, quant.bits),
          "Quantize this layer to 16 bits, or check why its bias is so large");
    if (layer_bits == 8)
      result.mutable_data<std::int32_t>()[i] = static_cast<std::int32_t>(rounded);
    else
      result.mutable_data<std::int64_t>()[i] = static_cast<std::int64_t>(rounded);
  }
  return result;
}

void check_shifts(const Builder& b, const Node& n, ValueId out) {
  const int in = input_quant(b, n).exponent();
  const int result = quant_of(b, out).exponent();
  for (int e : quant_of(b, n.inputs[1]).exponents) check_shift(n, result - in - e);
}

// A convolution in groups that is not depthwise becomes a dense one, zeros outside its groups: the
// runtime takes any group count but 1 for depthwise (ESP-DL 3.3).
Tensor ungrouped(const Tensor& weights, std::int64_t groups) {
  Shape shape = weights.shape();
  const std::int64_t outputs = shape[0], per_group = shape[1];
  shape[1] = per_group * groups;
  Tensor dense(weights.dtype(), shape);
  const std::size_t taps = weights.byte_size() /
                           static_cast<std::size_t>(std::max<std::int64_t>(outputs * per_group, 1));
  for (std::int64_t o = 0; o < outputs; ++o) {
    const std::int64_t first = o / (outputs / groups) * per_group;
    std::copy_n(
        weights.bytes().data() + static_cast<std::size_t>(o * per_group) * taps,
        static_cast<std::size_t>(per_group) * taps,
        dense.mutable_bytes().data() + static_cast<std::size_t>(o * shape[1] + first) * taps);
  }
  return dense;
}

std::vector<std::string> bias_input(Builder& b, const Node& n) {
  const ValueId bias = n.input(2);
  if (bias == kNone) return {};
  const Value& value = b.graph().value(bias);
  if (!value.is_constant())
    refuse(n, "its bias is computed at run time", "Make the bias a constant");
  return {b.constant(b.unique_name(value.name), lower_bias(b.graph(), n, b.target()),
                     quant_of(b, bias).exponents, "layout ==> UNK")};
}

/// How the chip takes the groups of a Conv.
struct Grouping {
  bool depthwise = false;
  /// Dense filters are made of those in groups.
  bool dissolved = false;
};

Grouping grouping_of(const Graph& graph, const Node& conv) {
  const std::int64_t groups = conv.attributes.get_int("group", 1);
  const std::int64_t channels = (*graph.value(conv.inputs[0]).shape)[1];
  const std::int64_t filters = graph.value(conv.inputs[1]).constant.shape()[0];
  const bool depthwise = groups > 1 && groups == channels && filters == channels;
  return {depthwise, groups > 1 && !depthwise};
}

/// Filters are blocked by the lanes of the activations, whatever the width of the weights (ESP-DL
/// 3.3.11).
int filter_lanes(const Graph& graph, const Node& n, const Target& target) {
  return target.lanes(quant::activation_bits(graph, n));
}

void set_quant_type(espdl::Node& node, int weight_bits, int layer_bits) {
  if (weight_bits < layer_bits) node.attributes["quant_type"] = std::string(espdl::kW8A16);
}

Tensor pack_conv(const Graph& graph, const Node& n, const Target& target) {
  const Value& weights = graph.value(n.inputs.at(1));
  const Grouping grouping = grouping_of(graph, n);
  Tensor integers = quantize_weights(weights.constant, *weights.quant, target.rounding);
  if (grouping.dissolved) integers = ungrouped(integers, n.attributes.get_int("group", 1));
  const std::size_t spatial = integers.shape().size() - 2;
  Shape logical = integers.shape();
  if (spatial == 1) logical.insert(logical.begin() + 2, 1);
  const Tensor nhwc =
      integers.reshaped(logical).transposed(std::array<std::int64_t, 4>{0, 2, 3, 1});
  const Tensor packed =
      espdl::pack_filter(nhwc, grouping.depthwise, filter_lanes(graph, n, target));
  return spatial == 1 ? packed.reshaped({packed.shape().begin() + 1, packed.shape().end()})
                      : packed;
}

// Rows of a [K][N] matrix that multiplies a flattened tensor, put in the order in which the tensor
// stands on the chip.
Tensor follow_flattened(const Tensor& matrix, const Order& order) {
  Shape shape(order.shape.begin() + 1, order.shape.end());
  shape.push_back(matrix.shape()[1]);
  std::vector<std::int64_t> moves;
  for (std::size_t i = 1; i < order.perm.size(); ++i) moves.push_back(order.perm[i] - 1);
  moves.push_back(static_cast<std::int64_t>(moves.size()));
  return matrix.reshaped(shape).transposed(moves).reshaped(matrix.shape());
}

// The second operand as a filter: [K][N] packed like a 1x1 convolution of K channels to N.
Tensor pack_matrix(const Graph& graph, const Node& n, const Target& target, const Orders& orders) {
  const Value& weights = graph.value(n.inputs.at(1));
  const TensorQuant& quant = *weights.quant;
  Tensor matrix = quantize_weights(weights.constant, quant, target.rounding);
  const bool by_output = n.op == "Gemm" && n.attributes.get_int("transB", 0) != 0;
  if (by_output) matrix = matrix.transposed(std::array<std::int64_t, 2>{1, 0});
  const Value& input = graph.value(n.inputs[0]);
  if (const auto it = orders.find(input.name);
      it != orders.end() && it->second.shape.size() > input.shape->size())
    matrix = follow_flattened(matrix, it->second);
  const std::int64_t k = matrix.shape()[0], outputs = matrix.shape()[1];
  const Tensor nk = matrix.transposed(std::array<std::int64_t, 2>{1, 0});
  const Tensor packed =
      espdl::pack_filter(nk.reshaped({outputs, 1, 1, k}), false, filter_lanes(graph, n, target));
  return n.op == "MatMul" ? packed.reshaped(matrix.shape()) : packed;
}

std::string matrix_layout(const Graph& graph, const Node& n, const Target& target) {
  const Value& weights = graph.value(n.inputs.at(1));
  const auto axis = static_cast<std::size_t>(quant::output_axis(graph, n));
  return espdl::filter_layout_doc(2, false, filter_lanes(graph, n, target),
                                  weights.constant.shape()[axis]);
}

}  // namespace

Tensor lower_bias(const Graph& graph, const Node& n, const Target& target) {
  const Value& weights = graph.value(n.inputs.at(1));
  const Value& bias = graph.value(n.inputs.at(2));
  const std::int64_t channels =
      weights.constant.shape()[static_cast<std::size_t>(quant::output_axis(graph, n))];
  return quantize_bias(n, bias.constant, *bias.quant, quant::activation_bits(graph, n),
                       target.rounding, channels);
}

Tensor lower_filter(const Graph& graph, const Node& n, const Target& target, const Orders& orders) {
  return n.op == "Conv" ? pack_conv(graph, n, target) : pack_matrix(graph, n, target, orders);
}

void lower_conv(Builder& b, const Node& n) {
  const Graph& graph = b.graph();
  const Value& weights = graph.value(n.inputs.at(1));
  const std::size_t rank = b.shape(n.inputs[0]).size();
  if (rank != 3 && rank != 4)
    refuse(n, "ESP-DL convolves in one or two dimensions", "Reshape the input to N,C,H,W");
  if (!weights.is_constant())
    refuse(n, "its weights are computed at run time", "Make the weights constant");
  const Fused fused = fuse_activation(b, n);
  check_shifts(b, n, fused.output);
  const TensorQuant& wq = quant_of(b, n.inputs[1]);
  const int layer_bits = quant::activation_bits(b.graph(), n);
  const Grouping grouping = grouping_of(graph, n);
  const std::size_t spatial = rank - 2;
  const Shape& w = weights.constant.shape();
  const Perm perm = channels_last_perm(rank);
  std::vector<std::string> inputs{
      b.read_as(n.inputs[0], perm, input_quant(b, n)),
      b.constant(b.unique_name(weights.name), pack_conv(graph, n, b.target()), wq.exponents,
                 espdl::filter_layout_doc(static_cast<int>(spatial), grouping.depthwise,
                                          filter_lanes(graph, n, b.target()), w[0]))};
  for (auto& name : bias_input(b, n)) inputs.push_back(std::move(name));
  espdl::Node& node =
      b.node("Conv", n.name, std::move(inputs), {b.define(fused.output, perm)}, layer_bits);
  set_quant_type(node, wq.bits, layer_bits);
  node.attributes["activation"] = std::string(fused.relu ? "Relu" : "Linear");
  node.attributes["dilations"] =
      n.attributes.get_ints("dilations", std::vector<std::int64_t>(spatial, 1));
  node.attributes["group"] =
      grouping.dissolved ? std::int64_t{1} : n.attributes.get_int("group", 1);
  node.attributes["kernel_shape"] = std::vector<std::int64_t>(w.begin() + 2, w.end());
  node.attributes["pads"] =
      n.attributes.get_ints("pads", std::vector<std::int64_t>(2 * spatial, 0));
  node.attributes["strides"] =
      n.attributes.get_ints("strides", std::vector<std::int64_t>(spatial, 1));
}

void lower_gemm(Builder& b, const Node& n) {
  const Value& weights = b.graph().value(n.inputs.at(1));
  if (!weights.is_constant())
    refuse(n, "its weights are computed at run time", "Make the weights constant");
  if (n.attributes.get_int("transA", 0) != 0 || n.attributes.get_float("alpha", 1) != 1 ||
      n.attributes.get_float("beta", 1) != 1)
    refuse(n, "ESP-DL's Gemm has neither transA nor alpha nor beta",
           "Export the layer as a plain linear layer");
  const Fused fused = fuse_activation(b, n);
  check_shifts(b, n, fused.output);
  const TensorQuant& wq = quant_of(b, n.inputs[1]);
  const int layer_bits = quant::activation_bits(b.graph(), n);
  const Perm perm = identity_perm(b.shape(n.inputs[0]).size());
  std::vector<std::string> inputs{
      b.read_as(n.inputs[0], perm, input_quant(b, n)),
      b.constant(b.unique_name(weights.name), pack_matrix(b.graph(), n, b.target(), b.orders()),
                 wq.exponents, matrix_layout(b.graph(), n, b.target()))};
  for (auto& name : bias_input(b, n)) inputs.push_back(std::move(name));
  espdl::Node& node =
      b.node("Gemm", n.name, std::move(inputs),
             {b.define(fused.output, identity_perm(b.shape(fused.output).size()))}, layer_bits);
  set_quant_type(node, wq.bits, layer_bits);
  node.attributes["activation"] = std::string(fused.relu ? "Relu" : "Linear");
  node.attributes["alpha"] = 1.0F;
  node.attributes["beta"] = 1.0F;
  node.attributes["transB"] = std::int64_t{0};
}

void lower_matmul(Builder& b, const Node& n) {
  const Value& weights = b.graph().value(n.inputs.at(1));
  if (!quant::is_weighted(b.graph(), n)) return lower_product(b, n);
  const Fused fused = fuse_activation(b, n);
  check_shifts(b, n, fused.output);
  const TensorQuant& wq = quant_of(b, n.inputs[1]);
  const int layer_bits = quant::activation_bits(b.graph(), n);
  const std::string filter =
      b.constant(b.unique_name(weights.name), pack_matrix(b.graph(), n, b.target(), b.orders()),
                 wq.exponents, matrix_layout(b.graph(), n, b.target()));
  const std::string input =
      b.read_as(n.inputs[0], identity_perm(b.shape(n.inputs[0]).size()), input_quant(b, n));
  const std::string output = b.define(fused.output, identity_perm(b.shape(fused.output).size()));
  espdl::Node& node = b.node("MatMul", n.name, {input, filter}, {output}, layer_bits);
  set_quant_type(node, wq.bits, layer_bits);
  node.attributes["activation"] = std::string(fused.relu ? "Relu" : "Linear");
}

}  // namespace espquant::lower
