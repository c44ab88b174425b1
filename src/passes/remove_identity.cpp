#include <algorithm>
#include <array>
#include <limits>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

bool all_equal(const std::vector<std::int64_t>& values, std::int64_t expected) {
  return std::all_of(values.begin(), values.end(), [&](std::int64_t v) { return v == expected; });
}

bool all_scalars_are(const Tensor& t, float expected) {
  if (t.dtype() != DType::Float32) return false;
  const auto data = t.data<float>();
  return std::all_of(data.begin(), data.end(), [&](float v) { return v == expected; });
}

bool same_type_and_shape(const Graph& graph, const Node& node) {
  const Value& in = graph.value(node.inputs[0]);
  const Value& out = graph.value(node.outputs[0]);
  return in.dtype == out.dtype && in.shape.has_value() && in.shape == out.shape;
}

bool dropout_drops_nothing(const Graph& graph, const Node& node) {
  if (node.input(2) == kNone) return true;
  const Tensor* training = constant_of(graph, node.input(2));
  return training != nullptr && training->dtype() == DType::Bool && training->size() == 1 &&
         !training->data<bool>()[0];
}

bool transpose_keeps_order(const Graph& graph, const Node& node) {
  const std::int64_t rank = rank_of(graph, node.inputs[0]);
  const auto perm = node.attributes.get_ints("perm");
  if (perm.empty()) return rank <= 1;
  return std::is_sorted(perm.begin(), perm.end());
}

/// A slice that keeps the shape either keeps all or reverses.
bool slice_reverses_nothing(const Graph& graph, const Node& node) {
  if (node.input(4) == kNone) return true;
  const auto steps = ints_of(graph, node.input(4));
  return steps && std::all_of(steps->begin(), steps->end(), [](std::int64_t s) { return s > 0; });
}

/// Pads of 1 and -1 keep the shape too, but shift.
bool pad_adds_nothing(const Graph& graph, const Node& node) {
  const auto pads = ints_of(graph, node.input(1));
  return pads && all_equal(*pads, 0);
}

bool resize_keeps_grid(const Graph& graph, const Node& node) {
  if (node.attributes.get_string("coordinate_transformation_mode", "") == "tf_crop_and_resize")
    return false;
  const Tensor* scales = constant_of(graph, node.input(2));
  const bool by_scales = scales != nullptr && scales->size() > 0;
  return by_scales ? all_scalars_are(*scales, 1.F) : node.input(3) != kNone;
}

bool window_is_one_element(const Node& node) {
  return all_equal(node.attributes.get_ints("kernel_shape"), 1) &&
         all_equal(node.attributes.get_ints("strides"), 1) &&
         all_equal(node.attributes.get_ints("pads"), 0);
}

bool clip_is_open(const Graph& graph, const Node& node) {
  const auto open = [&](ValueId bound, float limit, float infinity) {
    if (bound == kNone) return true;
    const auto value = scalar_of(graph, bound);
    return value && (*value == limit || *value == infinity);
  };
  constexpr float kMost = std::numeric_limits<float>::max(),
                  kInfinity = std::numeric_limits<float>::infinity();
  return open(node.input(1), -kMost, -kInfinity) && open(node.input(2), kMost, kInfinity);
}

/// The operand that `x op neutral` leaves as it is; kNone where there is none.
ValueId arithmetic_survivor(const Graph& graph, const Node& node) {
  const bool additive = node.op == "Add" || node.op == "Sub";
  const bool commutes = node.op == "Add" || node.op == "Mul";
  for (std::size_t i = 0; i < 2; ++i) {
    const Tensor* neutral = constant_of(graph, node.inputs[1 - i]);
    if (neutral == nullptr || (i == 1 && !commutes)) continue;
    if (all_scalars_are(*neutral, additive ? 0.F : 1.F) &&
        graph.value(node.inputs[i]).shape == graph.value(node.outputs[0]).shape)
      return node.inputs[i];
  }
  return kNone;
}

/// What the first output of the node equals; kNone when it is none of the inputs.
ValueId equal_input(const Graph& graph, const Node& node) {
  constexpr std::array kReshapes = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile"};
  constexpr std::array kVariadic = {"Concat", "Sum", "Mean", "Max", "Min"};
  constexpr std::array kArithmetic = {"Add", "Sub", "Mul", "Div", "Pow"};
  const auto is_one_of = [&](const auto& ops) {
    return std::find(ops.begin(), ops.end(), node.op) != ops.end();
  };
  if (node.inputs.empty() || node.inputs[0] == kNone || node.outputs.at(0) == kNone) return kNone;
  if (node.inputs.size() == 2 && is_one_of(kArithmetic)) return arithmetic_survivor(graph, node);
  if (!same_type_and_shape(graph, node)) return kNone;
  const bool same =
      node.op == "Identity" || node.op == "Cast" || is_one_of(kReshapes) ||
      (node.inputs.size() == 1 && is_one_of(kVariadic)) ||
      (node.op == "Split" && node.outputs.size() == 1) ||
      (node.op == "Pad" && pad_adds_nothing(graph, node)) ||
      (node.op == "Dropout" && dropout_drops_nothing(graph, node)) ||
      (node.op == "Transpose" && transpose_keeps_order(graph, node)) ||
      (node.op == "Slice" && slice_reverses_nothing(graph, node)) ||
      (node.op == "Resize" && resize_keeps_grid(graph, node)) ||
      ((node.op == "AveragePool" || node.op == "MaxPool") && window_is_one_element(node)) ||
      (node.op == "Clip" && clip_is_open(graph, node));
  return same ? node.inputs[0] : kNone;
}

}  // namespace

std::int64_t remove_identity(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) {
    const Node& node = graph.node(id);
    const ValueId same = equal_input(graph, node);
    return same != kNone && only_first_output_used(graph, node) && bypass(graph, id, same);
  });
}

}  // namespace espquant::passes
