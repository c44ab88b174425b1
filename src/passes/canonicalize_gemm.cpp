#include "passes/passes.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

Tensor scaled(const Tensor& t, float factor) {
  Tensor result = t;
  if (factor != 1.F)
    for (float& v : result.mutable_data<float>()) v *= factor;
  return result;
}

bool is_float_constant(const Graph& graph, ValueId v) {
  const Tensor* t = constant_of(graph, v);
  return t != nullptr && t->dtype() == DType::Float32;
}

ValueId transposed_matrix(Graph& graph, ValueId v, const std::string& name) {
  const Shape shape = shape_of(graph, v);
  Attributes attributes;
  attributes.set("perm", std::vector<std::int64_t>{1, 0});
  return insert_node(graph, "Transpose", name + "_transposed", {v}, graph.value(v).dtype,
                     {shape.at(1), shape.at(0)}, std::move(attributes));
}

ValueId times(Graph& graph, ValueId v, float factor, const std::string& name) {
  if (factor == 1.F) return v;
  if (is_float_constant(graph, v))
    return add_constant(graph, name, scaled(graph.value(v).constant, factor));
  const ValueId scalar = add_constant(graph, name + "_factor", Tensor::scalar(factor));
  return insert_node(graph, "Mul", name, {v, scalar}, graph.value(v).dtype, shape_of(graph, v));
}

/// x of rank 2 times a constant matrix.
bool matmul_to_gemm(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.inputs.size() != 2 || !is_float_constant(graph, node.inputs[1]) ||
      constant_of(graph, node.inputs[0]))
    return false;
  if (rank_of(graph, node.inputs[0]) != 2 || rank_of(graph, node.inputs[1]) != 2) return false;
  become(graph, id, "Gemm", {node.inputs[0], node.inputs[1]});
  return true;
}

bool is_canonical(const Graph& graph, const Node& node) {
  const Attributes& a = node.attributes;
  if (a.get_float("alpha", 1) != 1.F || a.get_float("beta", 1) != 1.F ||
      a.get_int("transA", 0) != 0)
    return false;
  const ValueId bias = node.input(2);
  return is_float_constant(graph, node.input(1)) &&
         (bias == kNone || (is_float_constant(graph, bias) && rank_of(graph, bias) == 1 &&
                            shape_of(graph, bias)[0] == shape_of(graph, node.outputs[0])[1]));
}

/// alpha * op(A) * op(B) + beta * C in the form A * op(B) + c, c a vector over the outputs. What
/// does not fit stands in nodes of its own: MatMul where B is computed, Add where C is computed or
/// differs from row to row.
bool canonicalize(Graph& graph, NodeId id) {
  if (is_canonical(graph, graph.node(id))) return false;
  const Node node = graph.node(id);
  ValueId a = node.input(0), b = node.input(1), c = node.input(2);
  if (a == kNone || b == kNone || graph.value(a).dtype != DType::Float32) return false;
  const Shape out = shape_of(graph, node.outputs[0]);
  const bool trans_b = node.attributes.get_int("transB", 0) != 0;
  const float alpha = node.attributes.get_float("alpha", 1),
              beta = node.attributes.get_float("beta", 1);
  if (node.attributes.get_int("transA", 0) != 0) a = transposed_matrix(graph, a, node.name + "_a");

  if (c != kNone) {
    if (const auto bias = per_channel_constant(graph, c, out, 1))
      c = add_constant(graph, node.name + "_bias",
                       scaled(Tensor::of<float>({out[1]}, *bias), beta));
    else
      c = times(graph, c, beta, node.name + "_addend");
  }
  const bool vector = c != kNone && is_float_constant(graph, c) && rank_of(graph, c) == 1 &&
                      shape_of(graph, c)[0] == out[1];
  std::string op = "Gemm";
  Attributes attributes;
  std::vector<ValueId> inputs;
  if (is_float_constant(graph, b)) {
    inputs = {a, times(graph, b, alpha, node.name + "_weight")};
    if (trans_b) attributes.set("transB", std::int64_t{1});
    if (vector) inputs.push_back(c);
  } else {
    op = "MatMul";
    if (trans_b) b = transposed_matrix(graph, b, node.name + "_b");
    inputs = {times(graph, a, alpha, node.name + "_scaled"), b};
  }
  if (c == kNone || inputs.size() == 3) {
    become(graph, id, op, inputs, std::move(attributes));
  } else {
    const ValueId product = insert_node(graph, op, node.name + "_product", inputs, DType::Float32,
                                        out, std::move(attributes));
    become(graph, id, "Add", {product, c});
  }
  return true;
}

}  // namespace

std::int64_t canonicalize_gemm(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) {
    const std::string& op = graph.node(id).op;
    if (op == "MatMul") return matmul_to_gemm(graph, id);
    if (op == "Gemm") return canonicalize(graph, id);
    return false;
  });
}

}  // namespace espquant::passes
