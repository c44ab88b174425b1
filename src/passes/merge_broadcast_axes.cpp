#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// ESP-DL broadcasts, and multiplies matrices of, up to four dimensions. Of more, neighbours that
/// both operands have, or that the same one of them repeats, are as one: a head's
/// (1,anchors,rows,columns,numbers) times (1,anchors,1,1,numbers) is (anchors,rows*columns,numbers)
/// times (anchors,1,numbers). Matrices of the same batches are as many in one row.
namespace espquant::passes {
namespace {

constexpr std::size_t kMostAxes = 4;

bool takes_two(std::string_view op) {
  static constexpr std::array<std::string_view, 6> kOps = {"Add", "Div", "Mod",
                                                           "Mul", "Pow", "Sub"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

struct MergedShapes {
  Shape first, second;
};

MergedShapes merged(Shape first, Shape second) {
  const std::size_t rank = std::max(first.size(), second.size());
  for (Shape* s : {&first, &second}) s->insert(s->begin(), rank - s->size(), 1);
  MergedShapes shapes;
  std::pair<bool, bool> before;
  for (std::size_t i = 0; i < rank; ++i) {
    if (first[i] == 1 && second[i] == 1) continue;
    const std::pair<bool, bool> repeats{first[i] == 1, second[i] == 1};
    if (shapes.first.empty() || repeats != before) {
      shapes.first.push_back(1);
      shapes.second.push_back(1);
    }
    shapes.first.back() *= first[i];
    shapes.second.back() *= second[i];
    before = repeats;
  }
  if (shapes.first.empty()) shapes = {{1}, {1}};
  return shapes;
}

bool merge_batches(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const Shape a = shape_of(graph, node.inputs[0]), b = shape_of(graph, node.inputs[1]);
  const Shape out = shape_of(graph, node.outputs[0]);
  if (out.size() <= kMostAxes || a.size() != b.size() ||
      !std::equal(a.begin(), a.end() - 2, b.begin()))
    return false;
  const auto in_a_row = [](const Shape& s) {
    const std::int64_t matrix = s.end()[-2] * s.end()[-1];
    return Shape{element_count(s) / std::max<std::int64_t>(matrix, 1), s.end()[-2], s.end()[-1]};
  };
  const ValueId first = insert_reshape(graph, node.name + "_first", node.inputs[0], in_a_row(a));
  const ValueId second = insert_reshape(graph, node.name + "_second", node.inputs[1], in_a_row(b));
  const ValueId product =
      insert_node(graph, "MatMul", node.name, {first, second}, DType::Float32, in_a_row(out));
  become(graph, id, "Reshape", {product, add_ints(graph, node.name + "_shape", out)});
  return true;
}

bool merge_axes(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  if (node.op == "MatMul") return merge_batches(graph, id);
  if (!takes_two(node.op) || node.inputs.size() != 2) return false;
  const Shape out = shape_of(graph, node.outputs[0]);
  if (out.size() <= kMostAxes || graph.value(node.outputs[0]).dtype != DType::Float32) return false;
  const MergedShapes shapes =
      merged(shape_of(graph, node.inputs[0]), shape_of(graph, node.inputs[1]));
  if (shapes.first.size() > kMostAxes) return false;
  Shape joined = shapes.first;
  for (std::size_t i = 0; i < joined.size(); ++i) joined[i] = std::max(joined[i], shapes.second[i]);
  const ValueId a = insert_reshape(graph, node.name + "_first", node.inputs[0], shapes.first);
  const ValueId b = insert_reshape(graph, node.name + "_second", node.inputs[1], shapes.second);
  const ValueId computed =
      insert_node(graph, node.op, node.name, {a, b}, DType::Float32, joined, node.attributes);
  become(graph, id, "Reshape", {computed, add_ints(graph, node.name + "_shape", out)});
  return true;
}

}  // namespace

std::int64_t merge_broadcast_axes(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return merge_axes(graph, id); });
}

}  // namespace espquant::passes
