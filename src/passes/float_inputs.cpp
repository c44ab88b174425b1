#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "passes/passes.h"
#include "passes/rewrite.h"

/// Inputs of whole numbers that the network makes floats of first, moved at most: they are taken as
/// floats, and the chip gets them quantized like any other.
namespace espquant::passes {
namespace {

bool moves_any_type(std::string_view op) {
  constexpr std::array<std::string_view, 9> kOps = {"Reshape",   "Transpose", "Squeeze",
                                                    "Unsqueeze", "Flatten",   "Slice",
                                                    "Identity",  "Gather",    "Split"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

bool makes_floats(const Graph& graph, const Node& node) {
  if (node.op == "Cast") return graph.value(node.outputs.at(0)).dtype == DType::Float32;
  return node.op == "DequantizeLinear" && constant_of(graph, node.input(1)) != nullptr &&
         constant_of(graph, node.input(1))->size() == 1;
}

/// Collects what makes floats of `input`; false where something else reads it as whole numbers.
bool becomes_float(const Graph& graph, ValueId input, std::set<NodeId>& casts) {
  std::vector<ValueId> open{input};
  while (!open.empty()) {
    const ValueId v = open.back();
    open.pop_back();
    if (graph.is_output(v)) return false;
    for (NodeId id : graph.value(v).consumers) {
      const Node& node = graph.node(id);
      if (node.inputs[0] != v || std::count(node.inputs.begin(), node.inputs.end(), v) != 1)
        return false;
      if (makes_floats(graph, node)) {
        casts.insert(id);
        continue;
      }
      if (!moves_any_type(node.op)) return false;
      for (ValueId out : node.outputs)
        if (out != kNone) open.push_back(out);
    }
  }
  return true;
}

float number_of(const Tensor& t) { return t.cast(DType::Float32).data<float>()[0]; }

/// (x - zero) * scale.
void dequantize_floats(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const ValueId x = node.inputs[0];
  ValueId shifted = x;
  const Tensor* zero = constant_of(graph, node.input(2));
  if (zero != nullptr && number_of(*zero) != 0)
    shifted =
        insert_node(graph, "Sub", node.name + "_shifted",
                    {x, add_constant(graph, node.name + "_zero", Tensor::scalar(number_of(*zero)))},
                    DType::Float32, shape_of(graph, x));
  const float scale = number_of(*constant_of(graph, node.inputs[1]));
  become(graph, id, "Mul",
         {shifted, add_constant(graph, node.name + "_scale", Tensor::scalar(scale))});
}

bool take_as_floats(Graph& graph, ValueId input) {
  const DType given = graph.value(input).dtype;
  if (is_float(given) || graph.value(input).consumers.empty()) return false;
  std::set<NodeId> casts;
  if (!becomes_float(graph, input, casts)) return false;
  graph.value(input).dtype = DType::Float32;
  graph.value(input).given = given;
  for (const NodeId id : casts) {
    if (graph.node(id).op == "DequantizeLinear")
      dequantize_floats(graph, id);
    else
      become(graph, id, "Identity", {graph.node(id).inputs[0]});
  }
  return true;
}

}  // namespace

std::int64_t float_inputs(Graph& graph) {
  std::int64_t changes = 0;
  const std::vector<ValueId> inputs(graph.inputs().begin(), graph.inputs().end());
  for (const ValueId v : inputs) changes += take_as_floats(graph, v) ? 1 : 0;
  return changes;
}

}  // namespace espquant::passes
