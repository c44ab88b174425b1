#include <algorithm>

#include "ops/recurrent.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// LSTM and GRU as ESP-DL runs them: forward or in both directions, steps in front of the batch
/// (ESP-DL 3.19). Backwards is forwards over the reversed sequence.
namespace espquant::passes {
namespace {

/// `v` with axes permuted; where that moves only axes of extent 1, a Reshape, which costs nothing.
ValueId in_order(Graph& graph, ValueId v, const std::vector<std::int64_t>& perm,
                 std::string_view name) {
  const Shape shape = shape_of(graph, v);
  Shape result;
  std::vector<std::int64_t> moved;
  for (const std::int64_t axis : perm) {
    result.push_back(shape[static_cast<std::size_t>(axis)]);
    if (result.back() != 1) moved.push_back(axis);
  }
  const DType dtype = graph.value(v).dtype;
  if (std::is_sorted(moved.begin(), moved.end()))
    return insert_node(graph, "Reshape", name, {v, add_ints(graph, name, result)}, dtype, result);
  Attributes attributes;
  attributes.set("perm", perm);
  return insert_node(graph, "Transpose", name, {v}, dtype, result, std::move(attributes));
}

/// Lets `n` write another value as its output i, from which `restored` makes what it was.
template <typename F>
void rewrite_output(Graph& graph, NodeId id, std::size_t i, Shape shape, const F& restored) {
  const Node& n = graph.node(id);
  const ValueId old = i < n.outputs.size() ? n.outputs[i] : kNone;
  if (old == kNone) return;
  const std::string name = n.name;
  const ValueId inner = graph.add_value(graph.unique_value_name(graph.value(old).name + "_plain"),
                                        graph.value(old).dtype, std::move(shape));
  graph.take_output(id, i, inner);
  const ValueId made = restored(inner, name + "_restored");
  graph.take_output(graph.value(made).producer, 0, old);
}

bool put_steps_first(Graph& graph, NodeId id) {
  if (graph.node(id).attributes.get_int("layout", 0) == 0) return false;
  graph.node(id).attributes.erase("layout");
  const std::string name = graph.node(id).name;
  for (const std::size_t i : {std::size_t{0}, std::size_t{5}, std::size_t{6}})
    if (const ValueId v = graph.node(id).input(i); v != kNone)
      graph.set_input(id, i, in_order(graph, v, {1, 0, 2}, name + "_steps_first"));
  const auto restore = [&](std::size_t i, const std::vector<std::int64_t>& perm,
                           const std::vector<std::int64_t>& inverse) {
    const auto& outputs = graph.node(id).outputs;
    if (i >= outputs.size() || outputs[i] == kNone) return;
    const Shape shape = shape_of(graph, outputs[i]);
    Shape inner;
    for (const std::int64_t axis : inverse) inner.push_back(shape[static_cast<std::size_t>(axis)]);
    rewrite_output(graph, id, i, inner, [&](ValueId v, const std::string& base) {
      return in_order(graph, v, perm, base);
    });
  };
  restore(0, {2, 0, 1, 3}, {1, 2, 0, 3});
  restore(1, {1, 0, 2}, {1, 0, 2});
  restore(2, {1, 0, 2}, {1, 0, 2});
  return true;
}

ValueId reversed(Graph& graph, ValueId v, const std::string& name) {
  const Shape shape = shape_of(graph, v);
  return insert_node(
      graph, "Slice", name,
      {v, add_ints(graph, name + "_starts", {-1}), add_ints(graph, name + "_ends", {-shape[0] - 1}),
       add_ints(graph, name + "_axes", {0}), add_ints(graph, name + "_steps", {-1})},
      graph.value(v).dtype, shape);
}

bool run_forward(Graph& graph, NodeId id) {
  if (graph.node(id).attributes.get_string("direction", "forward") != "reverse") return false;
  graph.node(id).attributes.set("direction", std::string("forward"));
  const ValueId x = graph.node(id).inputs[0];
  const Shape steps = shape_of(graph, x);
  if (steps[0] == 1) return true;
  graph.set_input(id, 0, reversed(graph, x, graph.node(id).name + "_reversed"));
  if (const ValueId y = graph.node(id).outputs[0]; y != kNone)
    rewrite_output(graph, id, 0, shape_of(graph, y),
                   [&](ValueId v, const std::string& base) { return reversed(graph, v, base); });
  return true;
}

/// Lengths that say that all steps run.
bool drop_lengths(Graph& graph, NodeId id) {
  const Node& n = graph.node(id);
  const Tensor* lengths = constant_of(graph, n.input(4));
  if (lengths == nullptr) return false;
  const std::int64_t steps =
      shape_of(graph, n.inputs[0])[n.attributes.get_int("layout", 0) != 0 ? 1 : 0];
  const Tensor wide = lengths->cast(DType::Int64);
  const auto given = wide.data<std::int64_t>();
  if (!std::all_of(given.begin(), given.end(), [&](std::int64_t l) { return l == steps; }))
    return false;
  graph.set_input(id, 4, kNone);
  return true;
}

}  // namespace

std::int64_t plain_recurrent(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) {
    if (!ops::is_recurrent(graph.node(id))) return false;
    const bool shortened = drop_lengths(graph, id);
    // Steps beyond a sequence's end stay where they are.
    if (graph.node(id).input(4) != kNone) return shortened;
    const bool ordered = put_steps_first(graph, id);
    return run_forward(graph, id) || ordered || shortened;
  });
}

}  // namespace espquant::passes
