#include <algorithm>

#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// QuantizeLinear and DequantizeLinear in pairs stand for a float network that was quantized
/// before: they go. Where the integers' lower end is zero they did the work of a Relu, which takes
/// their place.
namespace espquant::passes {
namespace {

/// A zero point as a number; 0 where it is left out.
std::optional<std::int64_t> zero_point(const Graph& graph, ValueId v) {
  if (v == kNone) return 0;
  const Tensor* t = constant_of(graph, v);
  if (t == nullptr || t->size() == 0) return std::nullopt;
  const Tensor wide = t->cast(DType::Int64);
  const auto data = wide.data<std::int64_t>();
  const bool uniform =
      std::all_of(data.begin(), data.end(), [&](std::int64_t z) { return z == data[0]; });
  return uniform ? std::optional(data[0]) : std::nullopt;
}

std::int64_t lowest_of(DType type) {
  switch (type) {
    case DType::Int8:
      return -128;
    case DType::Int16:
      return -32768;
    default:
      return 0;
  }
}

std::int64_t highest_of(DType type) {
  switch (type) {
    case DType::Int8:
      return 127;
    case DType::UInt8:
      return 255;
    case DType::Int16:
      return 32767;
    default:
      return 65535;
  }
}

/// Of integers with one scale.
std::optional<std::pair<float, float>> range_of(const Graph& graph, const Node& quantize,
                                                std::int64_t zero) {
  const auto scale = scalar_of(graph, quantize.input(1));
  const DType type = graph.value(quantize.outputs.at(0)).dtype;
  if (!scale || size_of(type) > 2) return std::nullopt;
  const auto real = [&](std::int64_t q) { return static_cast<float>(q - zero) * *scale; };
  return std::pair(real(lowest_of(type)), real(highest_of(type)));
}

bool same_constants(const Graph& graph, ValueId a, ValueId b) {
  if (a == b) return true;
  const Tensor *x = constant_of(graph, a), *y = constant_of(graph, b);
  return x != nullptr && y != nullptr && x->equals(*y);
}

bool is_never_negative(const Graph& graph, ValueId v) {
  const NodeId id = graph.value(v).producer;
  if (id == kNone) return false;
  const std::string& op = graph.node(id).op;
  return op == "Relu" || op == "Sigmoid" || op == "Softmax" || op == "HardSigmoid";
}

bool remove_pair(Graph& graph, NodeId id) {
  const Node& back = graph.node(id);
  if (back.op != "DequantizeLinear" || back.inputs[0] == kNone) return false;
  const NodeId forth = producer(graph, back.inputs[0], "QuantizeLinear");
  if (forth == kNone) return false;
  const Node& node = graph.node(forth);
  if (!same_constants(graph, node.input(1), back.input(1))) return false;
  const auto zero = zero_point(graph, node.input(2)), back_zero = zero_point(graph, back.input(2));
  if (!zero || zero != back_zero) return false;
  const ValueId x = node.inputs[0];
  if (graph.value(x).dtype != DType::Float32) return false;
  // Of both names: one of them survives.
  const ValueId result = back.outputs.at(0);
  graph.value(result).stated_range = range_of(graph, node, *zero);
  // Without a zero point, output_dtype says the type: the integers themselves know it.
  if (*zero == lowest_of(graph.value(back.inputs[0]).dtype) && !is_never_negative(graph, x) &&
      constant_of(graph, x) == nullptr) {
    become(graph, id, "Relu", {x});
    return true;
  }
  if (constant_of(graph, x) == nullptr)
    graph.value(x).stated_range = graph.value(result).stated_range;
  if (!bypass(graph, id, x)) become(graph, id, "Identity", {x});
  return true;
}

}  // namespace

std::int64_t remove_quantization(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return remove_pair(graph, id); });
}

}  // namespace espquant::passes
