#include <algorithm>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// [I, O/g, k...] to [O, I/g, k...], each kernel mirrored in all its spatial axes.
Tensor mirrored_weights(const Tensor& weights, std::int64_t groups) {
  const Shape& shape = weights.shape();
  const std::int64_t inputs = shape[0] / groups, outputs = shape[1];
  const std::int64_t taps = element_count({shape.begin() + 2, shape.end()});
  Shape result_shape = shape;
  result_shape[0] = outputs * groups;
  result_shape[1] = inputs;
  Tensor result(DType::Float32, result_shape);
  const auto in = weights.data<float>();
  auto out = result.mutable_data<float>();
  // Row-major taps read from the end are mirrored in every axis.
  for (std::int64_t g = 0; g < groups; ++g)
    for (std::int64_t o = 0; o < outputs; ++o)
      for (std::int64_t i = 0; i < inputs; ++i)
        for (std::int64_t t = 0; t < taps; ++t)
          out[static_cast<std::size_t>(((g * outputs + o) * inputs + i) * taps + t)] =
              in[static_cast<std::size_t>(((g * inputs + i) * outputs + o) * taps +
                                          (taps - 1 - t))];
  return result;
}

/// Per spatial axis.
struct Geometry {
  std::vector<std::int64_t> strides, dilations, output_padding;
  /// Of the convolution: begins, then ends. Negative where the transposed one cuts off more than a
  /// kernel's reach.
  std::vector<std::int64_t> pads;
};

Geometry geometry_of(const Node& node, const Shape& weights) {
  const std::size_t spatial = weights.size() - 2;
  Geometry g;
  g.strides = spatial_ints(node, "strides", spatial, 1);
  g.dilations = spatial_ints(node, "dilations", spatial, 1);
  g.output_padding = spatial_ints(node, "output_padding", spatial, 0);
  const auto cut = spatial_ints(node, "pads", 2 * spatial, 0);
  for (std::size_t i = 0; i < 2 * spatial; ++i)
    g.pads.push_back((weights[2 + i % spatial] - 1) * g.dilations[i % spatial] - cut.at(i));
  return g;
}

ValueId insert_zeros(Graph& graph, const Node& node, ValueId x, const Geometry& g) {
  Shape shape = shape_of(graph, x);
  for (std::size_t i = 0; i < g.strides.size(); ++i)
    shape[2 + i] += (g.strides[i] - 1) * (shape[2 + i] - 1) + g.output_padding[i];
  Attributes attributes;
  attributes.set("stride", g.strides);
  attributes.set("output_padding", g.output_padding);
  const ValueId spread = insert_node(graph, "InsertZeros", node.name + "_zeros", {x},
                                     DType::Float32, shape, std::move(attributes));
  graph.node(graph.value(spread).producer).domain = kEspdlDomain;
  return spread;
}

/// Cuts -pads off where they are negative, and sets those to zero.
ValueId cut_negative_pads(Graph& graph, const Node& node, ValueId x,
                          std::vector<std::int64_t>& pads) {
  if (std::none_of(pads.begin(), pads.end(), [](std::int64_t p) { return p < 0; })) return x;
  Shape shape = shape_of(graph, x);
  const std::size_t spatial = pads.size() / 2;
  std::vector<std::int64_t> starts, ends, axes;
  for (std::size_t i = 0; i < spatial; ++i) {
    const std::int64_t begin = std::max<std::int64_t>(-pads[i], 0),
                       end = std::max<std::int64_t>(-pads[spatial + i], 0);
    starts.push_back(begin);
    ends.push_back(shape[2 + i] - end);
    axes.push_back(static_cast<std::int64_t>(2 + i));
    shape[2 + i] -= begin + end;
  }
  for (std::int64_t& p : pads) p = std::max<std::int64_t>(p, 0);
  const ValueId s = add_ints(graph, node.name + "_starts", starts),
                e = add_ints(graph, node.name + "_ends", ends),
                a = add_ints(graph, node.name + "_axes", axes);
  return insert_node(graph, "Slice", node.name + "_cut", {x, s, e, a}, DType::Float32, shape);
}

bool is_all(const std::vector<std::int64_t>& values, std::int64_t expected) {
  return std::all_of(values.begin(), values.end(), [&](std::int64_t v) { return v == expected; });
}

/// A transposed convolution of stride s is a convolution of stride 1 over the input with s - 1
/// zeros between its elements: mirrored kernel, pads of (k - 1) * dilation minus its own (Dumoulin,
/// Visin 2016, section 4).
bool decompose(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != "ConvTranspose" || node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET" ||
      node.attributes.has("output_shape"))
    return false;
  const Tensor* weights = constant_of(graph, node.input(1));
  if (weights == nullptr || weights->dtype() != DType::Float32 || weights->rank() < 3 ||
      weights->rank() > 4)
    return false;
  const std::int64_t groups = node.attributes.get_int("group", 1);
  Geometry g = geometry_of(node, weights->shape());
  const std::size_t spatial = g.strides.size();

  ValueId x = node.inputs[0];
  const std::vector<std::int64_t> kernel(weights->shape().begin() + 2, weights->shape().end());
  const ValueId mirrored = add_constant(graph, graph.value(node.inputs[1]).name + "_mirrored",
                                        mirrored_weights(*weights, groups));
  if (is_all(g.strides, 1)) {
    for (std::size_t i = 0; i < spatial; ++i) g.pads[spatial + i] += g.output_padding[i];
  } else {
    x = insert_zeros(graph, node, x, g);
  }
  x = cut_negative_pads(graph, node, x, g.pads);
  if (element_count(shape_of(graph, x)) == 0)
    internal_error("a transposed convolution without input", __FILE__, __LINE__);

  Attributes attributes;
  attributes.set("group", groups);
  attributes.set("kernel_shape", kernel);
  attributes.set("strides", std::vector<std::int64_t>(spatial, 1));
  attributes.set("dilations", g.dilations);
  attributes.set("pads", g.pads);
  std::vector<ValueId> inputs = {x, mirrored};
  if (node.input(2) != kNone) inputs.push_back(node.input(2));
  become(graph, id, "Conv", inputs, std::move(attributes));
  return true;
}

}  // namespace

std::int64_t decompose_conv_transpose(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return decompose(graph, id); });
}

}  // namespace espquant::passes
