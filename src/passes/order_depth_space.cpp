#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// DepthToSpace and SpaceToDepth in ESP-DL's order of channels, column within channel ("CRD",
/// ESP-DL 3.14), and a Gather of channels where ONNX means another.
namespace espquant::passes {
namespace {

/// For each channel of CRD order where DCR has it: c * b * b + k stands at k * width + c.
std::vector<std::int64_t> depth_first_positions(std::int64_t width, std::int64_t block) {
  std::vector<std::int64_t> positions;
  for (std::int64_t c = 0; c < width; ++c)
    for (std::int64_t k = 0; k < block * block; ++k) positions.push_back(k * width + c);
  return positions;
}

bool reorder(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const bool widens = node.op == "DepthToSpace";
  if (!widens && node.op != "SpaceToDepth") return false;
  if (node.attributes.get_string("mode", "DCR") == "CRD") return false;
  const std::int64_t block = node.attributes.get_int("blocksize", 1);
  const Shape in = shape_of(graph, node.inputs[0]), out = shape_of(graph, node.outputs[0]);
  const std::int64_t width = widens ? out[1] : in[1];
  const auto positions = depth_first_positions(width, block);
  Attributes attributes;
  attributes.set("blocksize", block);
  attributes.set("mode", std::string("CRD"));
  if (widens) {
    const ValueId ordered =
        insert_gather(graph, node.name + "_channels", node.inputs[0], 1, positions);
    become(graph, id, node.op, {ordered}, std::move(attributes));
    return true;
  }
  const ValueId moved = insert_node(graph, node.op, node.name + "_blocks", {node.inputs[0]},
                                    graph.value(node.inputs[0]).dtype, out, std::move(attributes));
  take_over(graph, id,
            insert_gather(graph, node.name + "_channels", moved, 1, inverse_positions(positions)));
  return true;
}

}  // namespace

std::int64_t order_depth_space(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return reorder(graph, id); });
}

}  // namespace espquant::passes
