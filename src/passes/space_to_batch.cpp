#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string_view>

#include "ops/op.h"
#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// TensorFlow's dilated convolution: every d-th row and column into the batch, a convolution, and
/// back. What the moves do is found by moving numbers through them.
namespace espquant::passes {
namespace {

constexpr std::int64_t kMostBatchElements = 1 << 22;

bool rearranges(std::string_view op) {
  constexpr std::array<std::string_view, 5> kOps = {"Reshape", "Transpose", "Squeeze", "Unsqueeze",
                                                    "Flatten"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

bool is_function_of_one(std::string_view op) {
  constexpr std::array<std::string_view, 6> kOps = {"Relu",    "Clip", "LeakyRelu",
                                                    "Sigmoid", "Tanh", "HardSwish"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

/// Where each element of the last value of a chain of moves stood in the first.
std::vector<std::int64_t> moved_by(const Graph& graph, const std::vector<NodeId>& chain,
                                   const Shape& first) {
  Tensor numbers(DType::Int64, first);
  auto data = numbers.mutable_data<std::int64_t>();
  std::iota(data.begin(), data.end(), 0);
  for (const NodeId id : chain) {
    const Node& node = graph.node(id);
    std::vector<const Tensor*> inputs{&numbers};
    for (std::size_t i = 1; i < node.inputs.size(); ++i)
      inputs.push_back(node.inputs[i] == kNone ? nullptr : constant_of(graph, node.inputs[i]));
    numbers = ops::run_node(graph, node, inputs).at(0);
  }
  const auto result = numbers.data<std::int64_t>();
  return {result.begin(), result.end()};
}

bool has_constant_parameters(const Graph& graph, const Node& node) {
  return std::all_of(node.inputs.begin() + 1, node.inputs.end(),
                     [&](ValueId v) { return v == kNone || constant_of(graph, v) != nullptr; });
}

/// Rows and columns between those of one batch element, and in which order the elements of the
/// batch start: element b at row first[b][0] and column first[b][1].
struct Phases {
  std::array<std::int64_t, 2> step;
  std::vector<std::array<std::int64_t, 2>> first;
};

/// A value (N,C,W) or (N,C,H,W) with rows, whatever its rank.
std::array<std::int64_t, 4> with_rows(const Shape& s) {
  return s.size() == 3 ? std::array<std::int64_t, 4>{s[0], s[1], 1, s[2]}
                       : std::array<std::int64_t, 4>{s[0], s[1], s[2], s[3]};
}

/// How `batch` (B,C,h,w) consists of rows and columns of `whole` (1,C,H,W): sources[i] is where
/// element i of the batch stands in the whole.
std::optional<Phases> phases_of(const std::vector<std::int64_t>& sources, const Shape& batch_shape,
                                const Shape& whole_shape) {
  const auto b = with_rows(batch_shape), w = with_rows(whole_shape);
  if (w[0] != 1 || b[1] != w[1] || b[2] == 0 || b[3] == 0) return std::nullopt;
  Phases phases{{w[2] / b[2], w[3] / b[3]}, {}};
  if (phases.step[0] * b[2] != w[2] || phases.step[1] * b[3] != w[3] ||
      phases.step[0] * phases.step[1] != b[0])
    return std::nullopt;
  std::size_t i = 0;
  for (std::int64_t n = 0; n < b[0]; ++n) {
    const std::int64_t start = sources[i];
    phases.first.push_back({start / w[3] % w[2], start % w[3]});
    for (std::int64_t c = 0; c < b[1]; ++c)
      for (std::int64_t y = 0; y < b[2]; ++y)
        for (std::int64_t x = 0; x < b[3]; ++x, ++i) {
          const std::int64_t row = phases.first.back()[0] + y * phases.step[0],
                             column = phases.first.back()[1] + x * phases.step[1];
          if (sources[i] != (c * w[2] + row) * w[3] + column) return std::nullopt;
        }
  }
  return phases;
}

/// The moves that end in `v`, from the last value of batch 1 on; empty where there are none.
std::vector<NodeId> moves_before(const Graph& graph, ValueId v) {
  std::vector<NodeId> chain;
  while (true) {
    const NodeId id = graph.value(v).producer;
    if (id == kNone || !rearranges(graph.node(id).op) ||
        !has_constant_parameters(graph, graph.node(id)) || graph.is_output(v) ||
        graph.value(v).consumers.size() != 1)
      break;
    chain.insert(chain.begin(), id);
    v = graph.node(id).inputs[0];
  }
  return chain;
}

/// What stands between the convolution and the moves back: functions of one element, and constants
/// per channel.
bool keeps_batch(const Graph& graph, const Node& node) {
  if (is_function_of_one(node.op)) return has_constant_parameters(graph, node);
  if (node.op != "Add" && node.op != "Mul" && node.op != "PRelu") return false;
  const auto operands = split_constant(graph, node);
  return operands &&
         per_channel_constant(graph, operands->constant, shape_of(graph, node.outputs[0]), 1);
}

struct Pattern {
  std::vector<NodeId> to_batch, between, back;
  std::array<std::int64_t, 2> step;
};

std::optional<Pattern> match(const Graph& graph, NodeId id) {
  const Node& conv = graph.node(id);
  const Shape& batch = shape_of(graph, conv.inputs[0]);
  if (conv.op != "Conv" || batch[0] < 2 || batch.size() > 4) return std::nullopt;
  const std::size_t spatial = batch.size() - 2;
  for (const char* name : {"dilations", "strides"})
    for (const std::int64_t i : spatial_ints(conv, name, spatial, 1))
      if (i != 1) return std::nullopt;
  Pattern p;
  p.to_batch = moves_before(graph, conv.inputs[0]);
  // The chain may begin before the picture takes its form: the shortest part that fits.
  while (!p.to_batch.empty() &&
         shape_of(graph, graph.node(p.to_batch.front()).inputs[0]).size() != batch.size())
    p.to_batch.erase(p.to_batch.begin());
  if (p.to_batch.empty()) return std::nullopt;
  const Shape& whole = shape_of(graph, graph.node(p.to_batch.front()).inputs[0]);
  if (element_count(whole) > kMostBatchElements) return std::nullopt;
  const auto phases = phases_of(moved_by(graph, p.to_batch, whole), batch, whole);
  if (!phases) return std::nullopt;
  p.step = phases->step;
  NodeId last = id;
  const auto next_of = [&](NodeId n) { return only_reader(graph, graph.node(n).outputs.at(0)); };
  for (NodeId next = next_of(last); next != kNone && keeps_batch(graph, graph.node(next));
       next = next_of(last))
    p.between.push_back(last = next);
  const Shape& results = shape_of(graph, graph.node(last).outputs[0]);
  if (element_count(results) > kMostBatchElements) return std::nullopt;
  for (NodeId next = next_of(last); next != kNone && rearranges(graph.node(next).op) &&
                                    has_constant_parameters(graph, graph.node(next));
       next = next_of(last)) {
    p.back.push_back(last = next);
    const Shape& joined = shape_of(graph, graph.node(last).outputs[0]);
    if (joined.size() != results.size() || joined[0] != 1) continue;
    const auto back =
        phases_of(inverse_positions(moved_by(graph, p.back, results)), results, joined);
    if (back && back->step == phases->step && back->first == phases->first) return p;
  }
  return std::nullopt;
}

bool dilate(Graph& graph, NodeId id) {
  const auto p = match(graph, id);
  if (!p) return false;
  const Node conv = graph.node(id);
  const std::size_t spatial = shape_of(graph, conv.inputs[0]).size() - 2;
  std::vector<std::int64_t> dilations, pads = spatial_ints(conv, "pads", 2 * spatial, 0);
  for (std::size_t i = 0; i < spatial; ++i) {
    const std::int64_t step = p->step[2 - spatial + i];
    dilations.push_back(step);
    pads[i] *= step;
    pads[i + spatial] *= step;
  }
  graph.node(id).attributes.set("dilations", dilations);
  graph.node(id).attributes.set("pads", pads);
  graph.set_input(id, 0, graph.node(p->to_batch.front()).inputs[0]);
  const Shape joined = shape_of(graph, graph.node(p->back.back()).outputs[0]);
  const auto reshape_result = [&](NodeId n, std::int64_t channels) {
    Shape s = joined;
    s[1] = channels;
    graph.value(graph.node(n).outputs[0]).shape = s;
  };
  const std::int64_t channels = joined[1];
  reshape_result(id, channels);
  for (const NodeId n : p->between) reshape_result(n, channels);
  const NodeId last = p->between.empty() ? id : p->between.back();
  const ValueId result = graph.node(last).outputs[0],
                replaced = graph.node(p->back.back()).outputs[0];
  for (const NodeId n : p->back) graph.remove_node(n);
  graph.take_output(last, 0, replaced);
  graph.replace_uses(result, replaced);
  return true;
}

}  // namespace

std::int64_t space_to_batch(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) {
    const Node& node = graph.node(id);
    return node.op == "Conv" && dilate(graph, id);
  });
}

}  // namespace espquant::passes
