#include "passes/rewrite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace espquant::passes {

namespace {

/// What is added while it lives stands for what the node stands for.
class Rewriting {
 public:
  Rewriting(Graph& graph, NodeId id) : graph_(graph) { graph_.rewriting(id); }
  ~Rewriting() { graph_.rewriting(kNone); }
  Rewriting(const Rewriting&) = delete;
  Rewriting& operator=(const Rewriting&) = delete;

 private:
  Graph& graph_;
};

std::int64_t rewrite_each(Graph& graph, const std::vector<NodeId>& order,
                          const std::function<bool(NodeId)>& rewrite) {
  std::int64_t changes = 0;
  for (const NodeId id : order) {
    if (!graph.node(id).alive) continue;
    const Rewriting scope(graph, id);
    if (rewrite(id)) ++changes;
  }
  return changes;
}

}  // namespace

std::int64_t for_each_node(Graph& graph, const std::function<bool(NodeId)>& rewrite) {
  return rewrite_each(graph, graph.topological_order(), rewrite);
}

std::int64_t for_each_node_backwards(Graph& graph, const std::function<bool(NodeId)>& rewrite) {
  std::vector<NodeId> order = graph.topological_order();
  std::reverse(order.begin(), order.end());
  return rewrite_each(graph, order, rewrite);
}

NodeId only_reader(const Graph& graph, ValueId v) {
  if (v == kNone || graph.is_output(v)) return kNone;
  const auto& readers = graph.value(v).consumers;
  return readers.size() == 1 ? readers.front() : kNone;
}

NodeId only_reader(const Graph& graph, ValueId v, std::string_view op) {
  const NodeId reader = only_reader(graph, v);
  return reader != kNone && graph.node(reader).op == op ? reader : kNone;
}

NodeId producer(const Graph& graph, ValueId v, std::string_view op) {
  if (v == kNone) return kNone;
  const NodeId id = graph.value(v).producer;
  return id != kNone && graph.node(id).op == op ? id : kNone;
}

const Tensor* constant_of(const Graph& graph, ValueId v) {
  if (v == kNone || !graph.value(v).is_constant()) return nullptr;
  return &graph.value(v).constant;
}

bool is_finite(const Tensor& t) {
  if (t.dtype() != DType::Float32) return false;
  const auto data = t.data<float>();
  return std::all_of(data.begin(), data.end(), [](float x) { return std::isfinite(x); });
}

std::optional<float> scalar_of(const Graph& graph, ValueId v) {
  const Tensor* t = constant_of(graph, v);
  if (t == nullptr || t->dtype() != DType::Float32 || t->size() != 1) return std::nullopt;
  return t->data<float>()[0];
}

bool is_scalar_near(const Graph& graph, ValueId v, double expected) {
  const auto value = scalar_of(graph, v);
  return value && std::abs(*value - expected) <= 1e-5 * std::abs(expected);
}

std::optional<std::vector<std::int64_t>> ints_of(const Graph& graph, ValueId v) {
  const Tensor* t = constant_of(graph, v);
  if (t == nullptr || (t->dtype() != DType::Int64 && t->dtype() != DType::Int32))
    return std::nullopt;
  const Tensor wide = t->cast(DType::Int64);
  const auto data = wide.data<std::int64_t>();
  return std::vector<std::int64_t>(data.begin(), data.end());
}

ValueId other_input(const Node& node, ValueId one) {
  if (node.inputs.size() != 2 || one == kNone) return kNone;
  const bool first = node.inputs[0] == one, second = node.inputs[1] == one;
  if (first == second) return kNone;
  return first ? node.inputs[1] : node.inputs[0];
}

ValueId unscaled(const Graph& graph, ValueId v, double factor) {
  if (v == kNone || graph.value(v).producer == kNone) return kNone;
  const Node& node = graph.node(graph.value(v).producer);
  if (node.op == "Div" && is_scalar_near(graph, node.input(1), 1 / factor)) return node.inputs[0];
  const auto operands = node.op == "Mul" ? split_constant(graph, node) : std::nullopt;
  return operands && is_scalar_near(graph, operands->constant, factor) ? operands->data : kNone;
}

std::optional<SplitOperand> split_constant(const Graph& graph, const Node& node) {
  if (node.inputs.size() != 2) return std::nullopt;
  const ValueId a = node.inputs[0], b = node.inputs[1];
  const bool a_constant = constant_of(graph, a) != nullptr,
             b_constant = constant_of(graph, b) != nullptr;
  if (a_constant == b_constant) return std::nullopt;
  return a_constant ? SplitOperand{b, a} : SplitOperand{a, b};
}

std::optional<std::vector<float>> per_channel_constant(const Graph& graph, ValueId v,
                                                       const Shape& shape, std::size_t axis) {
  const Tensor* t = constant_of(graph, v);
  if (t == nullptr || t->dtype() != DType::Float32 || axis >= shape.size()) return std::nullopt;
  const std::size_t rank = shape.size(), own_rank = t->shape().size();
  if (own_rank > rank) return std::nullopt;
  for (std::size_t i = 0; i < own_rank; ++i) {
    const std::int64_t extent = t->shape()[i];
    const std::size_t at = rank - own_rank + i;
    if (extent != 1 && (at != axis || extent != shape[axis])) return std::nullopt;
  }
  const auto data = t->data<float>();
  if (data.size() == 1) return std::vector<float>(static_cast<std::size_t>(shape[axis]), data[0]);
  return std::vector<float>(data.begin(), data.end());
}

const Shape& shape_of(const Graph& graph, ValueId v) {
  ESPQUANT_ASSERT(v != kNone && graph.value(v).shape.has_value(),
                  "a pass needs a shape that is unknown");
  return *graph.value(v).shape;
}

std::int64_t rank_of(const Graph& graph, ValueId v) {
  return static_cast<std::int64_t>(shape_of(graph, v).size());
}

std::int64_t trailing_axes(std::vector<std::int64_t> axes, std::int64_t rank) {
  for (std::int64_t& axis : axes) axis = normalize_axis(axis, rank);
  std::sort(axes.begin(), axes.end());
  const auto count = static_cast<std::int64_t>(axes.size());
  for (std::int64_t i = 0; i < count; ++i)
    if (axes[static_cast<std::size_t>(i)] != rank - count + i) return 0;
  return count;
}

std::int64_t trailing_reduction(const Graph& graph, NodeId id) {
  if (id == kNone || !graph.node(id).op.starts_with("Reduce")) return 0;
  const Node& node = graph.node(id);
  const auto axes = ints_of(graph, node.input(1));
  if (!axes || node.attributes.get_int("keepdims", 1) == 0) return 0;
  return trailing_axes(*axes, rank_of(graph, node.inputs[0]));
}

std::optional<Tensor> parameter_of_shape(const Graph& graph, ValueId v, const Shape& shape) {
  const Tensor* t = constant_of(graph, v);
  if (t == nullptr || t->dtype() != DType::Float32) return std::nullopt;
  if (t->size() == 1) {
    Tensor full(DType::Float32, shape);
    std::fill(full.mutable_data<float>().begin(), full.mutable_data<float>().end(),
              t->data<float>()[0]);
    return full;
  }
  const auto extra =
      static_cast<std::ptrdiff_t>(t->shape().size()) - static_cast<std::ptrdiff_t>(shape.size());
  if (extra < 0) return std::nullopt;
  const auto begin = t->shape().begin();
  const bool fits =
      std::all_of(begin, begin + extra, [](std::int64_t extent) { return extent == 1; }) &&
      std::equal(begin + extra, t->shape().end(), shape.begin(), shape.end());
  return fits ? std::optional(t->reshaped(shape)) : std::nullopt;
}

ValueId add_constant(Graph& graph, std::string_view base_name, Tensor data) {
  return graph.add_constant(graph.unique_value_name(base_name), std::move(data));
}

ValueId add_ints(Graph& graph, std::string_view base_name,
                 const std::vector<std::int64_t>& values) {
  return add_constant(graph, base_name,
                      Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
}

std::vector<std::int64_t> spatial_ints(const Node& node, std::string_view name, std::size_t count,
                                       std::int64_t otherwise) {
  auto values = node.attributes.get_ints(name);
  if (values.empty()) values.assign(count, otherwise);
  if (values.size() != count)
    throw Error(ErrorCode::Malformed, fmt::format("attribute '{}' has {} entries, expected {}",
                                                  name, values.size(), count))
        .node(node.name);
  return values;
}

ValueId insert_node(Graph& graph, std::string_view op, std::string_view base_name,
                    std::vector<ValueId> inputs, DType dtype, Shape shape, Attributes attributes) {
  const std::string name = graph.unique_node_name(base_name);
  const ValueId out = graph.add_value(graph.unique_value_name(name), dtype, std::move(shape));
  graph.add_node(std::string(op), name, std::move(inputs), {out}, std::move(attributes));
  return out;
}

void set_inputs(Graph& graph, NodeId id, const std::vector<ValueId>& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) graph.set_input(id, i, inputs[i]);
  for (std::size_t i = inputs.size(); i < graph.node(id).inputs.size(); ++i)
    graph.set_input(id, i, kNone);
  graph.node(id).inputs.resize(inputs.size());
}

void become(Graph& graph, NodeId id, std::string_view op, const std::vector<ValueId>& inputs,
            Attributes attributes, std::string_view domain) {
  set_inputs(graph, id, inputs);
  Node& node = graph.node(id);
  node.op = op;
  node.domain = domain;
  node.attributes = std::move(attributes);
}

bool is_private(const Graph& graph, NodeId last, ValueId x) {
  // The nodes before `last`, back to x: the patterns are small, and stop at x on every path.
  constexpr std::size_t kMostNodes = 64;
  std::set<NodeId> part = {last};
  std::vector<NodeId> open = {last};
  while (!open.empty()) {
    const NodeId id = open.back();
    open.pop_back();
    for (ValueId v : graph.node(id).inputs) {
      const NodeId before = v == kNone || v == x ? kNone : graph.value(v).producer;
      if (before == kNone || !part.insert(before).second) continue;
      if (part.size() > kMostNodes) return false;
      open.push_back(before);
    }
  }
  part.erase(last);
  return std::all_of(part.begin(), part.end(), [&](NodeId id) {
    const auto& outputs = graph.node(id).outputs;
    return std::all_of(outputs.begin(), outputs.end(), [&](ValueId v) {
      if (v == kNone) return true;
      const auto& readers = graph.value(v).consumers;
      return !graph.is_output(v) && std::all_of(readers.begin(), readers.end(), [&](NodeId r) {
        return r == last || part.contains(r);
      });
    });
  });
}

bool bypass(Graph& graph, NodeId id, ValueId to) {
  const ValueId from = graph.node(id).outputs.at(0);
  if (!graph.is_output(from)) {
    graph.replace_uses(from, to);
    graph.remove_node(id);
    return true;
  }
  const NodeId source = graph.value(to).producer;
  if (source == kNone || graph.is_output(to)) return false;
  graph.remove_node(id);
  const auto& outputs = graph.node(source).outputs;
  const auto index =
      static_cast<std::size_t>(std::find(outputs.begin(), outputs.end(), to) - outputs.begin());
  graph.take_output(source, index, from);
  graph.replace_uses(to, from);
  return true;
}

bool only_first_output_used(const Graph& graph, const Node& node) {
  return std::all_of(node.outputs.begin() + 1, node.outputs.end(), [&](ValueId v) {
    return v == kNone || (graph.value(v).consumers.empty() && !graph.is_output(v));
  });
}

}  // namespace espquant::passes
