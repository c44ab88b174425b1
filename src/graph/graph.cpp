#include "graph/graph.h"

#include <fmt/format.h>

#include <algorithm>

namespace espquant {

void Attributes::erase(std::string_view name) {
  if (auto it = values_.find(name); it != values_.end()) values_.erase(it);
}

template <typename T>
const T* Attributes::find(std::string_view name) const {
  auto it = values_.find(name);
  if (it == values_.end()) return nullptr;
  const T* value = std::get_if<T>(&it->second);
  if (value == nullptr)
    throw Error(ErrorCode::Malformed, fmt::format("attribute '{}' has the wrong type", name));
  return value;
}

std::int64_t Attributes::get_int(std::string_view name, std::int64_t otherwise) const {
  const auto* v = find<std::int64_t>(name);
  return v ? *v : otherwise;
}
float Attributes::get_float(std::string_view name, float otherwise) const {
  const auto* v = find<float>(name);
  return v ? *v : otherwise;
}
std::string Attributes::get_string(std::string_view name, std::string_view otherwise) const {
  const auto* v = find<std::string>(name);
  return v ? *v : std::string(otherwise);
}
std::vector<std::int64_t> Attributes::get_ints(std::string_view name,
                                               std::vector<std::int64_t> otherwise) const {
  const auto* v = find<std::vector<std::int64_t>>(name);
  return v ? *v : std::move(otherwise);
}
std::vector<float> Attributes::get_floats(std::string_view name,
                                          std::vector<float> otherwise) const {
  const auto* v = find<std::vector<float>>(name);
  return v ? *v : std::move(otherwise);
}
std::vector<std::string> Attributes::get_strings(std::string_view name) const {
  const auto* v = find<std::vector<std::string>>(name);
  return v ? *v : std::vector<std::string>();
}
const Tensor* Attributes::get_tensor(std::string_view name) const { return find<Tensor>(name); }

ValueId Graph::add_value(std::string value_name, DType dtype, std::optional<Shape> shape) {
  const auto id = static_cast<ValueId>(values_.size());
  if (!by_name_.emplace(value_name, id).second)
    throw Error(ErrorCode::Malformed, "two tensors have this name").tensor(value_name);
  Value v;
  v.name = std::move(value_name);
  v.dtype = dtype;
  v.shape = std::move(shape);
  values_.push_back(std::move(v));
  return id;
}

ValueId Graph::add_constant(std::string value_name, Tensor data) {
  const ValueId id = add_value(std::move(value_name), data.dtype(), data.shape());
  value(id).constant = std::move(data);
  return id;
}

NodeId Graph::add_node(std::string op, std::string node_name, std::vector<ValueId> inputs,
                       std::vector<ValueId> outputs, Attributes attributes) {
  const auto id = static_cast<NodeId>(nodes_.size());
  for (ValueId v : inputs)
    if (v != kNone) value(v).consumers.push_back(id);
  for (ValueId v : outputs) {
    if (v == kNone) continue;
    if (value(v).producer != kNone || value(v).is_constant() || is_input(v))
      throw Error(ErrorCode::Malformed, "is computed by two nodes")
          .tensor(value(v).name)
          .node(node_name);
    value(v).producer = id;
  }
  node_names_.insert(node_name);
  Node n;
  n.name = std::move(node_name);
  n.op = std::move(op);
  n.inputs = std::move(inputs);
  n.outputs = std::move(outputs);
  n.attributes = std::move(attributes);
  n.origin = rewritten_ == kNone ? id : node(rewritten_).origin;
  nodes_.push_back(std::move(n));
  return id;
}

bool Graph::is_input(ValueId v) const {
  return std::find(inputs_.begin(), inputs_.end(), v) != inputs_.end();
}
bool Graph::is_output(ValueId v) const {
  return std::find(outputs_.begin(), outputs_.end(), v) != outputs_.end();
}

ValueId Graph::find_value(std::string_view value_name) const {
  auto it = by_name_.find(value_name);
  return it == by_name_.end() ? kNone : it->second;
}

void Graph::set_input(NodeId n, std::size_t index, ValueId v) {
  Node& user = node(n);
  if (index >= user.inputs.size()) user.inputs.resize(index + 1, kNone);
  if (const ValueId old = user.inputs[index]; old != kNone) {
    auto& readers = value(old).consumers;
    readers.erase(std::find(readers.begin(), readers.end(), n));
  }
  user.inputs[index] = v;
  if (v != kNone) value(v).consumers.push_back(n);
}

void Graph::replace_uses(ValueId from, ValueId to) {
  const std::vector<NodeId> readers = value(from).consumers;
  for (NodeId n : readers) {
    for (std::size_t i = 0; i < node(n).inputs.size(); ++i)
      if (node(n).inputs[i] == from) set_input(n, i, to);
  }
  std::replace(outputs_.begin(), outputs_.end(), from, to);
}

void Graph::take_output(NodeId n, std::size_t index, ValueId v) {
  if (const NodeId old = value(v).producer; old != kNone)
    std::replace(node(old).outputs.begin(), node(old).outputs.end(), v, ValueId{kNone});
  if (const ValueId before = node(n).outputs.at(index); before != kNone)
    value(before).producer = kNone;
  node(n).outputs[index] = v;
  value(v).producer = n;
}

void Graph::remove_node(NodeId n) {
  Node& gone = node(n);
  for (std::size_t i = 0; i < gone.inputs.size(); ++i) set_input(n, i, kNone);
  for (ValueId v : gone.outputs)
    if (v != kNone && value(v).producer == n) value(v).producer = kNone;
  node_names_.erase(gone.name);
  gone.inputs.clear();
  gone.outputs.clear();
  gone.alive = false;
}

void Graph::remove_dead() {
  std::vector<NodeId> order = topological_order();
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Node& n = node(*it);
    const bool needed = std::any_of(n.outputs.begin(), n.outputs.end(), [&](ValueId v) {
      return v != kNone && (!value(v).consumers.empty() || is_output(v));
    });
    if (!needed) remove_node(*it);
  }
  for (std::size_t i = 0; i < values_.size(); ++i) {
    Value& v = values_[i];
    if (v.is_constant() && v.consumers.empty() && !is_output(static_cast<ValueId>(i)))
      v.constant = Tensor();
  }
}

std::vector<NodeId> Graph::topological_order() const {
  std::vector<int> waiting(nodes_.size(), 0);
  std::set<NodeId> ready;
  std::size_t living = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i].alive) continue;
    ++living;
    for (ValueId v : nodes_[i].inputs)
      if (v != kNone && value(v).producer != kNone) ++waiting[i];
    if (waiting[i] == 0) ready.insert(static_cast<NodeId>(i));
  }
  std::vector<NodeId> order;
  order.reserve(living);
  while (!ready.empty()) {
    const NodeId n = *ready.begin();
    ready.erase(ready.begin());
    order.push_back(n);
    for (ValueId v : node(n).outputs) {
      if (v == kNone) continue;
      for (NodeId user : value(v).consumers)
        if (--waiting[static_cast<std::size_t>(user)] == 0) ready.insert(user);
    }
  }
  if (order.size() != living) throw Error(ErrorCode::Malformed, "the network has a cycle");
  return order;
}

std::string Graph::unique_value_name(std::string_view base) const {
  std::string candidate(base);
  for (int i = 1; by_name_.contains(candidate); ++i) candidate = fmt::format("{}_{}", base, i);
  return candidate;
}

std::string Graph::unique_node_name(std::string_view base) const {
  std::string candidate(base);
  for (int i = 1; node_names_.contains(candidate); ++i) candidate = fmt::format("{}_{}", base, i);
  return candidate;
}

void verify(const Graph& graph, std::string_view after) {
  const auto fail = [&](std::string_view what, const std::string& where) {
    internal_error(fmt::format("after '{}': {} ('{}')", after, what, where), __FILE__, __LINE__);
  };
  std::vector<std::vector<NodeId>> readers(graph.value_count());
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    const auto id = static_cast<NodeId>(i);
    const Node& n = graph.node(id);
    if (!n.alive) continue;
    for (ValueId v : n.inputs)
      if (v != kNone) readers.at(static_cast<std::size_t>(v)).push_back(id);
    for (ValueId v : n.outputs)
      if (v != kNone && graph.value(v).producer != id)
        fail("an output does not know its producer", n.name);
  }
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const auto id = static_cast<ValueId>(i);
    const Value& v = graph.value(id);
    std::vector<NodeId> known = v.consumers;
    std::sort(known.begin(), known.end());
    std::sort(readers[i].begin(), readers[i].end());
    if (known != readers[i]) fail("a value does not know its readers", v.name);
    if (v.producer != kNone && !graph.node(v.producer).alive)
      fail("a value's producer is gone", v.name);
    const bool sourced = v.producer != kNone || v.is_constant() || graph.is_input(id);
    if (!sourced && (!v.consumers.empty() || graph.is_output(id)))
      fail("a value is read but never computed", v.name);
    if (v.is_constant() && v.shape && *v.shape != v.constant.shape())
      fail("a constant's shape is wrong", v.name);
  }
  (void)graph.topological_order();
}

std::string print(const Graph& graph) {
  const auto name_of = [&](ValueId v) -> std::string {
    if (v == kNone) return "-";
    const Value& value = graph.value(v);
    return fmt::format("{}[{}]", value.name, value.shape ? to_string(*value.shape) : "?");
  };
  std::string text = fmt::format("graph {} (opset {})\n", graph.name, graph.opset);
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    std::string line = "  ";
    for (ValueId v : n.outputs) line += name_of(v) + " ";
    line += "= " + n.op + "(";
    for (std::size_t i = 0; i < n.inputs.size(); ++i)
      line += (i ? ", " : "") + name_of(n.inputs[i]);
    text += line + ")  # " + n.name + "\n";
  }
  return text;
}

}  // namespace espquant
