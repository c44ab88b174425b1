#include "ops/op.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// Comparisons that the network puts out: a Cast makes 0 and 1 of them, as which they are measured;
/// the chip writes bools in its place (ESP-DL 3.15).
namespace espquant::passes {
namespace {

bool number_comparison(Graph& graph, ValueId output) {
  const Value value = graph.value(output);
  if (value.dtype != DType::Bool || value.producer == kNone || !value.consumers.empty() ||
      !ops::follows(graph.node(value.producer), ops::QuantRule::CompareInputs))
    return false;
  const ValueId result =
      graph.add_value(graph.unique_value_name(value.name + "_bool"), DType::Bool, value.shape);
  graph.take_output(value.producer, 0, result);
  graph.value(output).dtype = DType::Float32;
  Attributes attributes;
  attributes.set("to", static_cast<std::int64_t>(DType::Float32));
  graph.add_node("Cast", graph.unique_node_name(value.name + "_number"), {result}, {output},
                 std::move(attributes));
  return true;
}

}  // namespace

std::int64_t number_comparisons(Graph& graph) {
  std::int64_t count = 0;
  const std::vector<ValueId> outputs(graph.outputs().begin(), graph.outputs().end());
  for (const ValueId v : outputs) count += number_comparison(graph, v) ? 1 : 0;
  return count;
}

}  // namespace espquant::passes
