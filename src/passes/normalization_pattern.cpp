#include "passes/normalization_pattern.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

// Exporters print 1 / count with few digits.
constexpr double kSameCount = 1e-4;

/// u, where v = u^2; kNone else.
ValueId square_root(const Graph& graph, ValueId v) {
  if (const NodeId pow = producer(graph, v, "Pow"); pow != kNone)
    return is_scalar_near(graph, graph.node(pow).input(1), 2) ? graph.node(pow).inputs[0] : kNone;
  const NodeId mul = producer(graph, v, "Mul");
  if (mul == kNone) return kNone;
  const Node& node = graph.node(mul);
  return node.inputs.size() == 2 && node.inputs[0] == node.inputs[1] ? node.inputs[0] : kNone;
}

/// u, where v = 1 / u; kNone else.
ValueId inverse_of(const Graph& graph, ValueId v) {
  if (const NodeId id = producer(graph, v, "Reciprocal"); id != kNone)
    return graph.node(id).inputs[0];
  if (const NodeId pow = producer(graph, v, "Pow"); pow != kNone)
    return is_scalar_near(graph, graph.node(pow).input(1), -1) ? graph.node(pow).inputs[0] : kNone;
  const NodeId div = producer(graph, v, "Div");
  return div != kNone && is_scalar_near(graph, graph.node(div).input(0), 1)
             ? graph.node(div).inputs[1]
             : kNone;
}

/// u, where v = u^exponent.
ValueId base_of_power(const Graph& graph, ValueId v, double exponent) {
  if (exponent == 0.5)
    if (const NodeId root = producer(graph, v, "Sqrt"); root != kNone)
      return graph.node(root).inputs[0];
  const NodeId pow = producer(graph, v, "Pow");
  return pow != kNone && is_scalar_near(graph, graph.node(pow).input(1), exponent)
             ? graph.node(pow).inputs[0]
             : kNone;
}

/// Beneath an Expand, which changes no element.
ValueId unexpanded(const Graph& graph, ValueId v) {
  const NodeId expand = producer(graph, v, "Expand");
  return expand == kNone ? v : graph.node(expand).inputs[0];
}

/// The axes of extent other than 1 that a Reduce... node reduces; all where it names none.
std::vector<std::int64_t> axes_of(const Graph& graph, const Node& node) {
  const Shape& shape = shape_of(graph, node.inputs[0]);
  const auto rank = static_cast<std::int64_t>(shape.size());
  std::vector<std::int64_t> axes;
  if (node.op == "GlobalAveragePool") {
    for (std::int64_t i = 2; i < rank; ++i) axes.push_back(i);
  } else if (node.input(1) == kNone) {
    if (node.attributes.get_int("noop_with_empty_axes", 0) != 0) return {};
    axes.resize(shape.size());
    std::iota(axes.begin(), axes.end(), 0);
  } else {
    const auto given = ints_of(graph, node.input(1));
    if (!given) return {};
    for (std::int64_t axis : *given) axes.push_back(normalize_axis(axis, rank));
  }
  std::sort(axes.begin(), axes.end());
  std::erase_if(axes,
                [&](std::int64_t axis) { return shape[static_cast<std::size_t>(axis)] == 1; });
  return axes;
}

/// gain * mean(x^2), without a term, beneath at most `factors` constants.
MeanSquare scaled_mean_square_of(const Graph& graph, ValueId v, int factors) {
  if (v == kNone || graph.value(v).producer == kNone) return {};
  MeanSquare result;
  if (Reduction sum = reduced_by(graph, v, "ReduceSumSquare"); sum.found()) {
    result.of = std::move(sum);
    result.gain = static_cast<double>(reduced_count(graph, result.of));
    return result;
  }
  for (const bool is_mean : {true, false}) {
    Reduction squares =
        is_mean ? reduced_by(graph, v, "ReduceMean") : reduced_by(graph, v, "ReduceSum");
    if (is_mean && !squares.found()) squares = reduced_by(graph, v, "GlobalAveragePool");
    if (!squares.found()) continue;
    const ValueId x = square_root(graph, squares.x);
    if (x == kNone) return {};
    result.gain = is_mean ? 1 : static_cast<double>(reduced_count(graph, squares));
    result.of = {x, squares.axes};
    return result;
  }
  // A constant in front: a sum over its count, a variance over one less.
  const Node& node = graph.node(graph.value(v).producer);
  if (factors == 0 || (node.op != "Mul" && node.op != "Div")) return {};
  const auto operands = split_constant(graph, node);
  const auto factor = operands ? scalar_of(graph, operands->constant) : std::nullopt;
  if (!factor || *factor <= 0 || (node.op == "Div" && operands->data != node.inputs[0])) return {};
  result = scaled_mean_square_of(graph, operands->data, factors - 1);
  const auto f = static_cast<double>(*factor);
  result.gain *= node.op == "Mul" ? f : 1 / f;
  if (std::abs(result.gain - 1) < kSameCount) result.gain = 1;
  return result;
}

/// gain * mean(x^2) [+ epsilon], or bounded from below.
MeanSquare mean_square_of(const Graph& graph, ValueId v) {
  v = unexpanded(graph, v);
  MeanSquare result;
  float epsilon = 0, floor = 0;
  if (const NodeId add = producer(graph, v, "Add"); add != kNone) {
    const auto operands = split_constant(graph, graph.node(add));
    const auto term = operands ? scalar_of(graph, operands->constant) : std::nullopt;
    if (!term || *term < 0) return {};
    epsilon = *term;
    v = operands->data;
  } else if (const NodeId max = producer(graph, v, "Max"); max != kNone) {
    const auto operands = split_constant(graph, graph.node(max));
    const auto bound = operands ? scalar_of(graph, operands->constant) : std::nullopt;
    if (!bound) return {};
    floor = *bound;
    v = operands->data;
  } else if (const NodeId clip = producer(graph, v, "Clip"); clip != kNone) {
    const auto bound = scalar_of(graph, graph.node(clip).input(1));
    if (!bound || graph.node(clip).input(2) != kNone) return {};
    floor = *bound;
    v = graph.node(clip).inputs[0];
  } else if (const NodeId relu = producer(graph, v, "Relu"); relu != kNone) {
    v = graph.node(relu).inputs[0];
  }
  constexpr int kMostFactors = 4;
  result = scaled_mean_square_of(graph, v, kMostFactors);
  result.epsilon = epsilon;
  result.floor = floor;
  return result;
}

}  // namespace

std::int64_t reduced_count(const Graph& graph, const Reduction& reduction) {
  std::int64_t count = 1;
  for (std::int64_t axis : reduction.axes)
    count *= shape_of(graph, reduction.x)[static_cast<std::size_t>(axis)];
  return count;
}

Reduction reduced_by(const Graph& graph, ValueId v, std::string_view op) {
  if (v == kNone) return {};
  ValueId reduced = v;
  for (std::string_view move : {"Reshape", "Unsqueeze"})
    if (const NodeId id = producer(graph, v, move); id != kNone) reduced = graph.node(id).inputs[0];
  const NodeId id = producer(graph, reduced, op);
  if (id == kNone || graph.node(id).inputs[0] == kNone) return {};
  Reduction result{graph.node(id).inputs[0], axes_of(graph, graph.node(id))};
  Shape kept = shape_of(graph, result.x);
  for (std::int64_t axis : result.axes) kept[static_cast<std::size_t>(axis)] = 1;
  Shape shape = shape_of(graph, v);
  if (shape.size() > kept.size()) return {};
  shape.insert(shape.begin(), kept.size() - shape.size(), 1);
  return shape == kept ? result : Reduction{};
}

Reduction mean_of(const Graph& graph, ValueId v) {
  for (std::string_view op : {"ReduceMean", "GlobalAveragePool"})
    if (Reduction mean = reduced_by(graph, v, op); mean.found()) return mean;
  if (v == kNone || graph.value(v).producer == kNone) return {};
  for (ValueId in : graph.node(graph.value(v).producer).inputs) {
    Reduction sum = reduced_by(graph, in, "ReduceSum");
    if (sum.found() && unscaled(graph, v, 1 / static_cast<double>(reduced_count(graph, sum))) == in)
      return sum;
  }
  return {};
}

MeanSquare root_mean_square_of(const Graph& graph, ValueId v) {
  v = v == kNone ? v : unexpanded(graph, v);
  if (Reduction norm = reduced_by(graph, v, "ReduceL2"); norm.found()) {
    const auto count = static_cast<double>(reduced_count(graph, norm));
    return {std::move(norm), count, 0, 0};
  }
  const ValueId square = base_of_power(graph, v, 0.5);
  return square == kNone ? MeanSquare{} : mean_square_of(graph, square);
}

MeanSquare inverse_root_mean_square_of(const Graph& graph, ValueId v) {
  v = v == kNone ? v : unexpanded(graph, v);
  if (const ValueId square = base_of_power(graph, v, -0.5); square != kNone)
    return mean_square_of(graph, square);
  // 1 / sqrt(u), and sqrt(1 / u).
  if (const ValueId inverse = base_of_power(graph, v, 0.5); inverse != kNone)
    if (const ValueId square = inverse_of(graph, inverse); square != kNone)
      return mean_square_of(graph, square);
  return root_mean_square_of(graph, inverse_of(graph, v));
}

std::vector<Quotient> quotients_of(const Graph& graph, ValueId v) {
  if (v == kNone || graph.value(v).producer == kNone) return {};
  const Node& node = graph.node(graph.value(v).producer);
  std::vector<Quotient> found;
  if (node.inputs.size() != 2 || (node.op != "Div" && node.op != "Mul")) return found;
  if (node.op == "Div") {
    MeanSquare by = root_mean_square_of(graph, node.inputs[1]);
    if (by.found()) found.push_back({node.inputs[0], std::move(by), kNone});
    return found;
  }
  for (ValueId factor : node.inputs) {
    const ValueId x = other_input(node, factor);
    if (x == kNone) continue;
    if (MeanSquare by = inverse_root_mean_square_of(graph, factor); by.found()) {
      found.push_back({x, std::move(by), kNone});
      continue;
    }
    const NodeId mul = producer(graph, factor, "Mul");
    const auto operands = mul == kNone ? std::nullopt : split_constant(graph, graph.node(mul));
    if (!operands) continue;
    if (MeanSquare by = inverse_root_mean_square_of(graph, operands->data); by.found())
      found.push_back({x, std::move(by), operands->constant});
  }
  return found;
}

NormalizedPlace normalized_place(const Graph& graph, const Reduction& reduction) {
  if (!reduction.found()) return {};
  const Shape& shape = shape_of(graph, reduction.x);
  const auto rank = static_cast<std::int64_t>(shape.size());
  const std::int64_t first = reduction.axes.front();
  std::int64_t others = 0;
  for (std::int64_t i = first; i < rank; ++i)
    if (shape[static_cast<std::size_t>(i)] != 1) ++others;
  if (others == static_cast<std::int64_t>(reduction.axes.size())) return {rank - first, false};
  if (reduction.axes == std::vector<std::int64_t>{1} && (rank == 3 || rank == 4)) return {1, true};
  return {};
}

std::optional<Tensor> normalization_parameter(const Graph& graph, ValueId v,
                                              const Reduction& reduction,
                                              const NormalizedPlace& place) {
  const Shape& shape = shape_of(graph, reduction.x);
  if (!place.channels)
    return parameter_of_shape(graph, v, Shape(shape.end() - place.trailing, shape.end()));
  const auto channels = per_channel_constant(graph, v, shape, 1);
  return channels ? std::optional(Tensor::of<float>({shape[1]}, *channels)) : std::nullopt;
}

void become_normalization(Graph& graph, NodeId id, std::string_view op, std::string_view domain,
                          const MeanSquare& square, const NormalizedPlace& place,
                          std::optional<Tensor> scale, std::optional<Tensor> bias) {
  const std::string name = graph.node(id).name;
  const Shape shape = shape_of(graph, square.of.x);
  if (!scale) {
    scale =
        Tensor(DType::Float32,
               place.channels ? Shape{shape[1]} : Shape(shape.end() - place.trailing, shape.end()));
    for (float& x : scale->mutable_data<float>()) x = 1;
  }
  if (square.gain != 1)
    for (float& x : scale->mutable_data<float>())
      x = static_cast<float>(static_cast<double>(x) / std::sqrt(square.gain));
  Attributes attributes;
  attributes.set("axis", -place.trailing);
  attributes.set("epsilon", static_cast<float>(static_cast<double>(square.epsilon) / square.gain));
  std::vector<ValueId> inputs{square.of.x, add_constant(graph, name + "_scale", *std::move(scale))};
  if (bias) inputs.push_back(add_constant(graph, name + "_bias", *std::move(bias)));
  if (!place.channels) {
    become(graph, id, op, inputs, std::move(attributes), domain);
    return;
  }
  std::vector<std::int64_t> last(shape.size()), first(shape.size());
  Shape moved;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    last[i] = i == 0 ? 0 : i + 1 == shape.size() ? 1 : static_cast<std::int64_t>(i) + 1;
    first[static_cast<std::size_t>(last[i])] = static_cast<std::int64_t>(i);
  }
  for (std::int64_t axis : last) moved.push_back(shape[static_cast<std::size_t>(axis)]);
  Attributes there, back;
  there.set("perm", last);
  back.set("perm", first);
  inputs[0] = insert_node(graph, "Transpose", name + "_channels_last", {inputs[0]}, DType::Float32,
                          moved, std::move(there));
  const ValueId normalized = insert_node(graph, op, name + "_normalized", inputs, DType::Float32,
                                         moved, std::move(attributes));
  graph.node(graph.value(normalized).producer).domain = domain;
  become(graph, id, "Transpose", {normalized}, std::move(back));
}

}  // namespace espquant::passes
