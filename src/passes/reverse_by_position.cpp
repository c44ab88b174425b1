#include <algorithm>

#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// ReverseSequence of constant lengths: a Gather of constant positions, along the steps where all
/// entries of the batch have one length, else along batch and steps as one axis.
namespace espquant::passes {
namespace {

/// Position `t` of a sequence whose first `length` steps are reversed.
std::int64_t reversed(std::int64_t t, std::int64_t length) {
  return t < length ? length - 1 - t : t;
}

bool rewrite_reverse(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op != "ReverseSequence") return false;
  const auto lengths = ints_of(graph, node.inputs.at(1));
  const ValueId x = node.inputs[0];
  if (!lengths || lengths->empty() || graph.value(x).is_constant()) return false;
  const Shape shape = shape_of(graph, x);
  const std::int64_t batch_axis = node.attributes.get_int("batch_axis", 1);
  const auto batches = shape[static_cast<std::size_t>(batch_axis)],
             steps = shape[static_cast<std::size_t>(1 - batch_axis)];
  for (const std::int64_t length : *lengths)
    if (length < 0 || length > steps) return false;
  const bool all_the_same =
      std::all_of(lengths->begin(), lengths->end(), [&](auto l) { return l == lengths->front(); });
  std::vector<std::int64_t> positions;
  if (all_the_same) {
    for (std::int64_t t = 0; t < steps; ++t) positions.push_back(reversed(t, lengths->front()));
    take_over(graph, id, insert_gather(graph, node.name + "_steps", x, 1 - batch_axis, positions));
    return true;
  }
  for (std::int64_t i = 0; i < batches * steps; ++i) {
    const std::int64_t batch = batch_axis == 0 ? i / steps : i % batches;
    const std::int64_t t = batch_axis == 0 ? i % steps : i / batches;
    const std::int64_t from = reversed(t, (*lengths)[static_cast<std::size_t>(batch)]);
    positions.push_back(batch_axis == 0 ? batch * steps + from : from * batches + batch);
  }
  Shape flat(shape.begin() + 2, shape.end());
  flat.insert(flat.begin(), batches * steps);
  const ValueId rows = insert_reshape(graph, node.name + "_flat", x, flat);
  const ValueId moved = insert_gather(graph, node.name + "_steps", rows, 0, positions);
  take_over(graph, id, insert_reshape(graph, node.name + "_whole", moved, shape));
  return true;
}

}  // namespace

std::int64_t reverse_by_position(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return rewrite_reverse(graph, id); });
}

}  // namespace espquant::passes
