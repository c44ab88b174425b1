#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "ops/op.h"
#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// ESP-DL 3.14: Gather takes constant positions only. Rows of a constant table that an input of
/// whole numbers chooses are a product with clip(d + 1, 0, 1) - clip(d, 0, 1), where d is the input
/// less 0, 1, 2, ...: it is 1 in one place and 0 in the others, and every number on the way is
/// whole, so that the chip's integers are exact. Positions count from 0, as tokens do; negative
/// ones give zeros.
namespace espquant::passes {
namespace {

/// Of the ones and zeros: of a sentence of 64 tokens out of 1000.
constexpr std::int64_t kMostElements = std::int64_t{1} << 16;
/// More than so many rows need 16 bits to be told apart.
constexpr std::int64_t kNarrowRows = 128;

struct Lookup {
  NodeId gather;
  ValueId positions;
};

bool is_lookup(const Graph& graph, const Node& node, ValueId positions) {
  const Tensor* table = constant_of(graph, node.input(0));
  if (node.op != "Gather" || node.input(1) != positions || table == nullptr) return false;
  return table->dtype() == DType::Float32 && table->rank() >= 1 && is_finite(*table) &&
         node.attributes.get_int("axis", 0) == 0 &&
         table->shape()[0] * element_count(shape_of(graph, positions)) <= kMostElements;
}

bool moves_positions(const Graph& graph, const Node& node) {
  if (node.op == "Cast") return !is_float(graph.value(node.outputs[0]).dtype);
  return ops::follows(node, ops::QuantRule::PassThrough);
}

/// Where the whole numbers of an input choose rows; nothing where anything else reads them, other
/// than to make floats of them.
std::optional<std::vector<Lookup>> lookups_of(const Graph& graph, ValueId input,
                                              std::vector<NodeId>& casts) {
  std::vector<Lookup> lookups;
  std::vector<ValueId> open{input};
  while (!open.empty()) {
    const ValueId v = open.back();
    open.pop_back();
    if (graph.is_output(v)) return std::nullopt;
    for (NodeId id : graph.value(v).consumers) {
      const Node& node = graph.node(id);
      if (is_lookup(graph, node, v)) {
        lookups.push_back({id, v});
      } else if (node.input(0) == v && moves_positions(graph, node)) {
        if (node.op == "Cast") casts.push_back(id);
        for (ValueId out : node.outputs)
          if (out != kNone) open.push_back(out);
      } else if (node.op != "Cast") {
        return std::nullopt;
      }
    }
  }
  return lookups;
}

/// (positions, rows): 1 where the position is that of the row.
ValueId ones_at(Graph& graph, std::string name, ValueId positions, std::int64_t rows) {
  const std::int64_t count = element_count(shape_of(graph, positions));
  Attributes to_float;
  to_float.set("to", static_cast<std::int64_t>(DType::Float32));
  const ValueId numbers = insert_node(graph, "Cast", name + "_numbers", {positions}, DType::Float32,
                                      shape_of(graph, positions), std::move(to_float));
  const ValueId column = insert_reshape(graph, name + "_column", numbers, {count, 1});
  Tensor all(DType::Float32, {rows});
  for (std::int64_t r = 0; r < rows; ++r)
    all.mutable_data<float>()[static_cast<std::size_t>(r)] = static_cast<float>(r);
  const Shape shape{count, rows};
  const auto add = [&](const char* op, const char* what, std::vector<ValueId> inputs,
                       Attributes attributes = {}) {
    if (rows > kNarrowRows) attributes.set("least_bits", std::int64_t{16});
    return insert_node(graph, op, name + what, std::move(inputs), DType::Float32, shape,
                       std::move(attributes));
  };
  const ValueId away =
      add("Sub", "_away", {column, add_constant(graph, name + "_rows", std::move(all))});
  // 1 from -beta + 1 on, 0 before.
  const auto from = [&](const char* what, float beta) {
    Attributes attributes;
    attributes.set("of_whole_numbers", std::int64_t{1});
    attributes.set("alpha", 1.0F);
    attributes.set("beta", beta);
    return add("HardSigmoid", what, {away}, std::move(attributes));
  };
  return add("Sub", "_chosen", {from("_from", 1), from("_behind", 0)});
}

void multiply(Graph& graph, NodeId gather, ValueId ones) {
  const Node node = graph.node(gather);
  const Tensor table = graph.value(node.inputs[0]).constant;
  const std::int64_t rows = table.shape()[0], width = table.size() / rows;
  const std::int64_t count = shape_of(graph, ones)[0];
  const Shape out = shape_of(graph, node.outputs[0]);
  const ValueId weights =
      add_constant(graph, graph.value(node.inputs[0]).name, table.reshaped({rows, width}));
  const ValueId product =
      insert_node(graph, "MatMul", node.name, {ones, weights}, DType::Float32, {count, width});
  become(graph, gather, "Reshape", {product, add_ints(graph, node.name + "_shape", out)});
}

std::int64_t embed(Graph& graph, ValueId input) {
  if (is_float(graph.value(input).dtype)) return 0;
  std::vector<NodeId> casts;
  const auto lookups = lookups_of(graph, input, casts);
  if (!lookups || lookups->empty()) return 0;
  std::map<std::pair<ValueId, std::int64_t>, ValueId> known;
  for (const Lookup& lookup : *lookups) {
    const std::int64_t rows = graph.value(graph.node(lookup.gather).inputs[0]).constant.shape()[0];
    const auto [at, is_new] = known.try_emplace({lookup.positions, rows}, kNone);
    if (is_new) at->second = ones_at(graph, graph.node(lookup.gather).name, lookup.positions, rows);
    multiply(graph, lookup.gather, at->second);
  }
  // Between kinds of whole numbers: what is left of the way becomes one of floats.
  for (NodeId cast : casts)
    graph.replace_uses(graph.node(cast).outputs[0], graph.node(cast).inputs[0]);
  return static_cast<std::int64_t>(lookups->size());
}

}  // namespace

std::int64_t embed_by_product(Graph& graph) {
  std::int64_t changes = 0;
  const std::vector<ValueId> inputs(graph.inputs().begin(), graph.inputs().end());
  for (const ValueId v : inputs) changes += embed(graph, v);
  if (changes == 0) return 0;
  graph.remove_dead();
  return changes + float_inputs(graph);
}

}  // namespace espquant::passes
