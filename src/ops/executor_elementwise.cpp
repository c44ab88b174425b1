#include "ops/executor_elementwise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <string_view>

#include "ops/dnnl_primitives.h"
#include "ops/executor_loops.h"
#include "ops/executor_lowering.h"

namespace espquant::ops::exec {
namespace {

class UnaryKernel final : public Kernel {
 public:
  UnaryKernel(Unary f, float p, float q, std::int64_t count) : f_(f), p_(p), q_(q), count_(count) {}

  std::function<void()> bind(const Binding& binding) const override {
    return [this, x = binding.inputs[0].data, y = binding.outputs[0].data] {
      map_unary(f_, p_, q_, x, y, count_);
    };
  }
  std::string name() const override { return "loop"; }

 private:
  Unary f_;
  float p_, q_;
  std::int64_t count_;
};

struct UnaryCall {
  Unary f;
  float p = 0, q = 0;
};

std::optional<UnaryCall> unary_call(const PlanBuilder& plan, const Node& node) {
  const Attributes& a = node.attributes;
  if (node.op == "Abs") return UnaryCall{Unary::Abs};
  if (node.op == "HardSigmoid")
    return UnaryCall{Unary::HardSigmoid, a.get_float("alpha", 0.2F), a.get_float("beta", 0.5F)};
  if (node.op == "HardSwish") return UnaryCall{Unary::HardSwish};
  if (node.op == "LeakyRelu") return UnaryCall{Unary::LeakyRelu, a.get_float("alpha", 0.01F)};
  if (node.op == "Neg") return UnaryCall{Unary::Neg};
  if (node.op == "Relu") return UnaryCall{Unary::Relu};
  if (node.op == "Sqrt") return UnaryCall{Unary::Sqrt};
  if (const auto bounds = clip_bounds(plan, node))
    return UnaryCall{Unary::Clip, bounds->low, bounds->high};
  return {};
}

struct DnnlCall {
  dnnl::algorithm algorithm;
  float alpha = 0;
};

/// Functions with an exponential in them, which oneDNN has in vector form.
std::optional<DnnlCall> dnnl_call(const Node& node) {
  using dnnl::algorithm;
  const Attributes& a = node.attributes;
  if (node.op == "Elu") return DnnlCall{algorithm::eltwise_elu, a.get_float("alpha", 1.0F)};
  if (node.op == "Sigmoid") return DnnlCall{algorithm::eltwise_logistic};
  if (node.op == "Swish") return DnnlCall{algorithm::eltwise_swish, a.get_float("alpha", 1.0F)};
  if (node.op == "Tanh") return DnnlCall{algorithm::eltwise_tanh};
  return {};
}

std::shared_ptr<const Kernel> make_dnnl_unary(const DnnlCall& call, std::int64_t count) {
  using dnnl::memory;
  const memory::desc flat({count}, memory::data_type::f32, memory::format_tag::a);
  const dnnl::eltwise_forward::primitive_desc found(
      {dnnl::prop_kind::forward_inference, call.algorithm, flat, call.alpha, 0.0F},
      user_scratchpad(), cpu_engine());
  return std::make_shared<DnnlKernel>(
      dnnl::eltwise_forward(found), found.impl_info_str(), found.scratchpad_desc(),
      std::vector<DnnlKernel::Argument>{{DNNL_ARG_SRC, flat}},
      std::vector<DnnlKernel::Argument>{{DNNL_ARG_DST, flat}}, std::vector<DnnlKernel::Constant>{});
}

/// Where a kernel works in any order: the order in which the value already stands.
Form same_order(const PlanBuilder& plan, ValueId v) {
  return plan.is_channels_last(v) ? Form::ChannelsLast : Form::Plain;
}

struct NamedBinary {
  std::string_view op;
  Binary f;
};
constexpr std::array kBinaries{
    NamedBinary{"Add", Binary::Add}, NamedBinary{"Div", Binary::Div},
    NamedBinary{"Max", Binary::Max}, NamedBinary{"Min", Binary::Min},
    NamedBinary{"Mul", Binary::Mul}, NamedBinary{"PRelu", Binary::PRelu},
    NamedBinary{"Sub", Binary::Sub}, NamedBinary{"Sum", Binary::Add},
};

/// One loop of the nest over a broadcast operation.
struct Loop {
  std::int64_t extent, step_a, step_b;
};

/// Steps of an operand along the axes of the result, in the result's order of storage.
Shape operand_steps(const Shape& operand, Form operand_form, const Shape& result,
                    Form result_form) {
  const Shape own = stored_strides(operand, operand_form);
  Shape steps(result.size(), 0);
  const std::size_t lead = result.size() - operand.size();
  for (std::size_t i = 0; i < operand.size(); ++i)
    if (operand[i] != 1) steps[lead + i] = own[i];
  return stored_shape(steps, result_form);
}

/// Outermost first; axes that both operands cross in one stride are joined.
std::vector<Loop> loop_nest(const Shape& extents, const Shape& steps_a, const Shape& steps_b) {
  std::vector<Loop> loops;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] == 1) continue;
    const Loop inner{extents[i], steps_a[i], steps_b[i]};
    if (!loops.empty() && loops.back().step_a == inner.extent * inner.step_a &&
        loops.back().step_b == inner.extent * inner.step_b)
      loops.back() = {loops.back().extent * inner.extent, inner.step_a, inner.step_b};
    else
      loops.push_back(inner);
  }
  if (loops.empty()) loops.push_back({1, 0, 0});
  return loops;
}

class BinaryKernel final : public Kernel {
 public:
  BinaryKernel(Binary f, std::vector<Loop> loops) : f_(f), loops_(std::move(loops)) {}

  std::function<void()> bind(const Binding& binding) const override {
    return [this, a = binding.inputs[0].data, b = binding.inputs[1].data,
            y = binding.outputs[0].data] { run(0, a, b, y); };
  }
  std::string name() const override { return "loop"; }

 private:
  float* run(std::size_t depth, const float* a, const float* b, float* y) const {
    const Loop& loop = loops_[depth];
    if (depth + 1 == loops_.size()) {
      map_binary(f_, a, loop.step_a, b, loop.step_b, y, loop.extent);
      return y + loop.extent;
    }
    for (std::int64_t i = 0; i < loop.extent; ++i)
      y = run(depth + 1, a + i * loop.step_a, b + i * loop.step_b, y);
    return y;
  }

  Binary f_;
  std::vector<Loop> loops_;
};

class ColumnScale final : public Kernel {
 public:
  ColumnScale(std::vector<float> factor, std::vector<float> offset, std::int64_t rows)
      : factor_(std::move(factor)), offset_(std::move(offset)), rows_(rows) {}

  std::function<void()> bind(const Binding& binding) const override {
    return [this, x = binding.inputs[0].data, y = binding.outputs[0].data] {
      scale_columns(x, factor_.data(), offset_.data(), y, rows_,
                    static_cast<std::int64_t>(factor_.size()));
    };
  }
  std::string name() const override { return "loop"; }

 private:
  std::vector<float> factor_, offset_;
  std::int64_t rows_;
};

class Softmax final : public Kernel {
 public:
  Softmax(std::int64_t rows, std::int64_t columns) : rows_(rows), columns_(columns) {}

  std::function<void()> bind(const Binding& binding) const override {
    return [this, x = binding.inputs[0].data, y = binding.outputs[0].data] {
      for (std::int64_t r = 0; r < rows_; ++r) run_row(x + r * columns_, y + r * columns_);
    };
  }
  std::string name() const override { return "loop"; }

 private:
  void run_row(const float* x, float* y) const {
    const float largest = *std::max_element(x, x + columns_);
    float sum = 0;
    for (std::int64_t i = 0; i < columns_; ++i) sum += y[i] = std::exp(x[i] - largest);
    for (std::int64_t i = 0; i < columns_; ++i) y[i] /= sum;
  }

  std::int64_t rows_, columns_;
};

/// y like x, in x's own order or in `form`, over x's memory where possible.
void add_map(PlanBuilder& plan, NodeId n, Form form, std::shared_ptr<const Kernel> kernel) {
  const Node& node = plan.graph().node(n);
  Step step;
  step.node = n;
  step.inputs = {plan.require(node.inputs[0], form)};
  step.outputs = {plan.define(node.outputs[0], form)};
  step.may_overwrite = {0};
  step.kernel = std::move(kernel);
  plan.add_step(std::move(step));
}

}  // namespace

std::optional<Bounds> clip_bounds(const PlanBuilder& plan, const Node& node) {
  if (node.op != "Clip") return {};
  Bounds bounds{std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max()};
  if (plan.graph().opset < 11)
    return Bounds{node.attributes.get_float("min", bounds.low),
                  node.attributes.get_float("max", bounds.high)};
  for (std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    if (node.input(i) == kNone) continue;
    const Tensor* bound = plan.constant(node.input(i));
    if (bound == nullptr || bound->dtype() != DType::Float32) return {};
    (i == 1 ? bounds.low : bounds.high) = bound->data<float>()[0];
  }
  return bounds;
}

bool lower_unary(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const ValueId x = node.input(0);
  if (!plan.is_float(x)) return false;
  const std::int64_t count = element_count(plan.shape(x));
  std::shared_ptr<const Kernel> kernel;
  if (const auto call = unary_call(plan, node))
    kernel = std::make_shared<UnaryKernel>(call->f, call->p, call->q, count);
  else if (const auto vectorised = dnnl_call(node))
    kernel = make_dnnl_unary(*vectorised, count);
  else
    return false;
  add_map(plan, n, same_order(plan, x), std::move(kernel));
  return true;
}

bool lower_binary(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const ValueId a = node.input(0), b = node.input(1), y = node.outputs[0];
  if (node.inputs.size() != 2 || !plan.is_float(a) || !plan.is_float(b) || !plan.is_float(y))
    return false;
  const auto* named = std::find_if(kBinaries.begin(), kBinaries.end(),
                                   [&](const NamedBinary& k) { return k.op == node.op; });
  if (named == kBinaries.end()) return false;
  const Shape& result = plan.shape(y);
  const auto leads = [&](ValueId v) {
    return plan.shape(v).size() == result.size() && plan.is_channels_last(v);
  };
  const Form form = leads(a) || leads(b) ? Form::ChannelsLast : Form::Plain;
  const auto operand_form = [&](ValueId v) {
    return plan.shape(v).size() == result.size() ? form : Form::Plain;
  };
  const auto steps = [&](ValueId v) {
    return operand_steps(plan.shape(v), operand_form(v), result, form);
  };
  Step step;
  step.node = n;
  step.inputs = {plan.require(a, operand_form(a)), plan.require(b, operand_form(b))};
  step.outputs = {plan.define(y, form)};
  if (plan.shape(a) == result) step.may_overwrite.push_back(0);
  if (plan.shape(b) == result) step.may_overwrite.push_back(1);
  step.kernel = std::make_shared<BinaryKernel>(
      named->f, loop_nest(stored_shape(result, form), steps(a), steps(b)));
  plan.add_step(std::move(step));
  return true;
}

bool lower_batch_normalization(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const ValueId x = node.input(0);
  if (!plan.is_float(x) || node.attributes.get_int("training_mode", 0) != 0) return false;
  const Shape& shape = plan.shape(x);
  if (shape.size() != 2 && !has_channels(shape)) return false;
  std::array<const Tensor*, 5> parameters{};
  for (std::size_t i = 1; i < 5; ++i) {
    parameters[i] = plan.constant(node.input(i));
    if (parameters[i] == nullptr || !plan.is_float(node.input(i))) return false;
  }
  const auto epsilon = static_cast<double>(node.attributes.get_float("epsilon", 1e-5F));
  std::vector<float> factor, offset;
  for (std::size_t c = 0; c < static_cast<std::size_t>(shape[1]); ++c) {
    const auto parameter = [&](std::size_t i) {
      return static_cast<double>(parameters[i]->data<float>()[c]);
    };
    const double f = parameter(1) / std::sqrt(parameter(4) + epsilon);
    factor.push_back(static_cast<float>(f));
    offset.push_back(static_cast<float>(parameter(2) - parameter(3) * f));
  }
  const std::int64_t rows = element_count(shape) / shape[1];
  add_map(plan, n, has_channels(shape) ? Form::ChannelsLast : Form::Plain,
          std::make_shared<ColumnScale>(std::move(factor), std::move(offset), rows));
  return true;
}

bool lower_softmax(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const ValueId x = node.input(0);
  if (!plan.is_float(x) || plan.shape(x).empty()) return false;
  const Shape& shape = plan.shape(x);
  const auto rank = static_cast<std::int64_t>(shape.size());
  // Before opset 13 all axes from `axis` on are one.
  const bool coerced = plan.graph().opset < 13;
  const std::int64_t given = node.attributes.get_int("axis", coerced ? 1 : -1);
  if (given < -rank || given >= rank) return false;
  const std::int64_t axis = normalize_axis(given, rank);
  const bool over_channels = !coerced && axis == 1 && plan.is_channels_last(x);
  if (!coerced && axis != rank - 1 && !over_channels) return false;
  std::int64_t columns = shape[static_cast<std::size_t>(axis)];
  if (coerced)
    for (std::int64_t i = axis + 1; i < rank; ++i) columns *= shape[static_cast<std::size_t>(i)];
  add_map(plan, n, over_channels ? Form::ChannelsLast : Form::Plain,
          std::make_shared<Softmax>(element_count(shape) / columns, columns));
  return true;
}

}  // namespace espquant::ops::exec
