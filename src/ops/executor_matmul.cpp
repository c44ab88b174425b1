#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>

#include "ops/dnnl_primitives.h"
#include "ops/executor_lowering.h"

namespace espquant::ops::exec {
namespace {

using dnnl::memory;
constexpr auto kMatmulFloat = memory::data_type::f32;

/// y(M,N) = x(M,K) w + bias, weights known beforehand.
struct Linear {
  ValueId x = kNone, y = kNone;
  std::int64_t m = 0, k = 0, n = 0;
  const float* weights = nullptr;
  memory::dims weight_strides;  ///< steps along (N, K)
  std::vector<float> bias;      ///< N, or none
};

bool add_linear(PlanBuilder& plan, NodeId node, const Linear& linear) {
  const memory::desc input({linear.m, linear.k}, kMatmulFloat, memory::format_tag::ab);
  const memory::desc output({linear.m, linear.n}, kMatmulFloat, memory::format_tag::ab);
  const memory::dims weight_dims{linear.n, linear.k};
  const memory::desc any(weight_dims, kMatmulFloat, memory::format_tag::any);
  const memory::desc bias({linear.n}, kMatmulFloat, memory::format_tag::a);
  using Product = dnnl::inner_product_forward;
  constexpr auto kInference = dnnl::prop_kind::forward_inference;
  const auto description = linear.bias.empty()
                               ? Product::desc(kInference, input, any, output)
                               : Product::desc(kInference, input, any, bias, output);
  const Product::primitive_desc found(description, user_scratchpad(), cpu_engine());
  std::vector<DnnlKernel::Constant> constants;
  constants.push_back({DNNL_ARG_WEIGHTS,
                       reordered(linear.weights, {weight_dims, kMatmulFloat, linear.weight_strides},
                                 found.weights_desc())});
  if (!linear.bias.empty())
    constants.push_back({DNNL_ARG_BIAS, reordered(linear.bias.data(), bias, bias)});
  Step step;
  step.node = node;
  step.inputs = {plan.require(linear.x, Form::Plain)};
  step.outputs = {plan.define(linear.y, Form::Plain)};
  step.kernel = std::make_shared<DnnlKernel>(
      Product(found), found.impl_info_str(), found.scratchpad_desc(),
      std::vector<DnnlKernel::Argument>{{DNNL_ARG_SRC, input}},
      std::vector<DnnlKernel::Argument>{{DNNL_ARG_DST, output}}, std::move(constants));
  plan.add_step(std::move(step));
  return true;
}

/// beta * C as one number per column; nothing when it differs between rows.
std::optional<std::vector<float>> column_bias(const Tensor& c, float beta, std::int64_t columns) {
  std::vector<float> bias(static_cast<std::size_t>(columns));
  const auto values = c.data<float>();
  const bool uniform = c.size() == 1;
  if (!uniform && (c.size() != columns || c.shape().back() != columns)) return {};
  for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = beta * values[uniform ? 0 : i];
  return bias;
}

std::int64_t product(Shape::const_iterator begin, Shape::const_iterator end) {
  return std::accumulate(begin, end, std::int64_t{1}, std::multiplies<>());
}

/// Matrices of activations, with broadcast batch axes.
bool add_batched_matmul(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const ValueId a = node.inputs[0], b = node.inputs[1], y = node.outputs[0];
  const std::size_t rank = plan.shape(y).size();
  if (rank > DNNL_MAX_NDIMS) return false;
  const auto describe = [&](ValueId v) {
    memory::dims dims(rank - plan.shape(v).size(), 1);
    dims.insert(dims.end(), plan.shape(v).begin(), plan.shape(v).end());
    return memory::desc(dims, kMatmulFloat, strides_of(dims));
  };
  const memory::desc da = describe(a), db = describe(b), dy = describe(y);
  const dnnl::matmul::primitive_desc found(dnnl::matmul::desc(da, db, dy), user_scratchpad(),
                                           cpu_engine());
  Step step;
  step.node = n;
  step.inputs = {plan.require(a, Form::Plain), plan.require(b, Form::Plain)};
  step.outputs = {plan.define(y, Form::Plain)};
  step.kernel = std::make_shared<DnnlKernel>(
      dnnl::matmul(found), found.impl_info_str(), found.scratchpad_desc(),
      std::vector<DnnlKernel::Argument>{{DNNL_ARG_SRC, da}, {DNNL_ARG_WEIGHTS, db}},
      std::vector<DnnlKernel::Argument>{{DNNL_ARG_DST, dy}}, std::vector<DnnlKernel::Constant>{});
  plan.add_step(std::move(step));
  return true;
}

}  // namespace

bool lower_gemm(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const ValueId a = node.input(0), b = node.input(1), c = node.input(2), y = node.outputs[0];
  const Tensor* weights = plan.constant(b);
  const Tensor* addend = plan.constant(c);
  if (!plan.is_float(a) || !plan.is_float(b) || !plan.is_float(y) || weights == nullptr ||
      (c != kNone && (addend == nullptr || !plan.is_float(c))) ||
      node.attributes.get_int("transA", 0) != 0)
    return false;
  Linear linear;
  linear.x = a;
  linear.y = y;
  linear.m = plan.shape(a)[0];
  linear.k = plan.shape(a)[1];
  linear.n = plan.shape(y)[1];
  linear.weight_strides = node.attributes.get_int("transB", 0) != 0 ? memory::dims{linear.k, 1}
                                                                    : memory::dims{1, linear.n};
  if (addend != nullptr) {
    auto bias = column_bias(*addend, node.attributes.get_float("beta", 1.0F), linear.n);
    if (!bias) return false;
    linear.bias = std::move(*bias);
  }
  Tensor scaled = *weights;
  if (const float alpha = node.attributes.get_float("alpha", 1.0F); alpha != 1.0F)
    for (float& v : scaled.mutable_data<float>()) v *= alpha;
  linear.weights = scaled.data<float>().data();
  return add_linear(plan, n, linear);
}

bool lower_matmul(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const ValueId a = node.input(0), b = node.input(1), y = node.outputs[0];
  if (!plan.is_float(a) || !plan.is_float(b) || !plan.is_float(y) || plan.shape(a).size() < 2 ||
      plan.shape(b).size() < 2)
    return false;
  const Tensor* weights = plan.constant(b);
  if (weights == nullptr || weights->rank() != 2) return add_batched_matmul(plan, n);
  Linear linear;
  linear.x = a;
  linear.y = y;
  linear.m = product(plan.shape(a).begin(), plan.shape(a).end() - 1);
  linear.k = weights->shape()[0];
  linear.n = weights->shape()[1];
  linear.weights = weights->data<float>().data();
  linear.weight_strides = {1, linear.n};
  return add_linear(plan, n, linear);
}

}  // namespace espquant::ops::exec
