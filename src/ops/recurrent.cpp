#include "ops/recurrent.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ops/op.h"

namespace espquant::ops {
namespace {

void require_float32(const InferContext& context, std::size_t i) {
  if (context.dtype(i) != DType::Float32)
    unsupported(
        fmt::format("{} on elements of type {}", context.node.op, to_string(context.dtype(i))),
        "Export the network in float32");
}

Activation activation_named(const std::string& name, float alpha, float beta) {
  if (name == "Sigmoid") return [](float x) { return 1 / (1 + std::exp(-x)); };
  if (name == "Tanh") return [](float x) { return std::tanh(x); };
  if (name == "Relu") return [](float x) { return std::max(x, 0.0F); };
  if (name == "Affine") return [alpha, beta](float x) { return alpha * x + beta; };
  if (name == "LeakyRelu") return [alpha](float x) { return x < 0 ? alpha * x : x; };
  if (name == "ThresholdedRelu") return [alpha](float x) { return x > alpha ? x : 0.0F; };
  if (name == "ScaledTanh") return [alpha, beta](float x) { return alpha * std::tanh(beta * x); };
  if (name == "HardSigmoid")
    return [alpha, beta](float x) { return std::clamp(alpha * x + beta, 0.0F, 1.0F); };
  if (name == "Elu") return [alpha](float x) { return x < 0 ? alpha * std::expm1(x) : x; };
  if (name == "Softsign") return [](float x) { return x / (1 + std::abs(x)); };
  if (name == "Softplus")
    return [](float x) { return std::max(x, 0.0F) + std::log1p(std::exp(-std::abs(x))); };
  unsupported(fmt::format("the activation '{}'", name), "Use Sigmoid and Tanh");
}

/// ONNX gives each activation its own defaults.
float default_alpha(const std::string& name) {
  if (name == "LeakyRelu") return 0.01F;
  if (name == "HardSigmoid") return 0.2F;
  return 1.0F;
}
float default_beta(const std::string& name) {
  if (name == "HardSigmoid") return 0.5F;
  return name == "ScaledTanh" ? 1.0F : 0.0F;
}

}  // namespace

bool is_recurrent(const Node& node) { return follows(node, QuantRule::Recurrent); }

Shape Recurrence::sequence_shape() const {
  if (batch_first) return {batch, steps, directions, hidden};
  return {steps, directions, batch, hidden};
}

Shape Recurrence::state_shape() const {
  if (batch_first) return {batch, directions, hidden};
  return {directions, batch, hidden};
}

Recurrence recurrence_of(const Node& node, const Shape& x, const Shape& r) {
  Recurrence result;
  const std::string direction = node.attributes.get_string("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    malformed(fmt::format("direction '{}', expected forward, reverse or bidirectional", direction));
  result.directions = direction == "bidirectional" ? 2 : 1;
  result.backward_only = direction == "reverse";
  result.batch_first = node.attributes.get_int("layout", 0) != 0;
  result.clip = node.attributes.get_float("clip", 0.0F);
  result.steps = x[result.batch_first ? 1 : 0];
  result.batch = x[result.batch_first ? 0 : 1];
  result.input = x[2];
  result.hidden = r[2];
  return result;
}

Recurrence infer_recurrence(const InferContext& context, std::int64_t gates) {
  for (std::size_t i = 0; i < 3; ++i) {
    require_rank(context, i, 3, 3);
    require_float32(context, i);
  }
  const Recurrence shape = recurrence_of(context.node, context.shape(0), context.shape(2));
  if (context.node.attributes.get_int("hidden_size", shape.hidden) != shape.hidden)
    malformed(fmt::format("hidden_size differs from the recurrent weights {}",
                          to_string(context.shape(2))));
  const std::int64_t rows = checked_mul(gates, shape.hidden);
  require_shape(context, 1, {shape.directions, rows, shape.input}, "W");
  require_shape(context, 2, {shape.directions, rows, shape.hidden}, "R");
  if (context.has(3)) {
    require_shape(context, 3, {shape.directions, 2 * rows}, "B");
    require_float32(context, 3);
  }
  if (context.has(4)) {
    require_shape(context, 4, {shape.batch}, "sequence_lens");
    if (context.dtype(4) != DType::Int32) malformed("sequence_lens must be int32");
  }
  if (context.has(5)) {
    require_shape(context, 5, shape.state_shape(), "initial_h");
    require_float32(context, 5);
  }
  return shape;
}

std::vector<Activation> activations_of(const Node& node, std::int64_t directions,
                                       const std::vector<std::string>& defaults) {
  std::vector<std::string> names = node.attributes.get_strings("activations");
  if (names.empty())
    for (std::int64_t d = 0; d < directions; ++d)
      names.insert(names.end(), defaults.begin(), defaults.end());
  if (names.size() != defaults.size() * static_cast<std::size_t>(directions))
    malformed(fmt::format("{} activations, expected {} for each direction", names.size(),
                          defaults.size()));
  const auto alphas = node.attributes.get_floats("activation_alpha");
  const auto betas = node.attributes.get_floats("activation_beta");
  std::vector<Activation> result;
  for (std::size_t i = 0; i < names.size(); ++i)
    result.push_back(activation_named(names[i],
                                      i < alphas.size() ? alphas[i] : default_alpha(names[i]),
                                      i < betas.size() ? betas[i] : default_beta(names[i])));
  return result;
}

float dot(const float* matrix, std::int64_t row, std::int64_t columns, const float* x) {
  const float* weights = matrix + row * columns;
  float sum = 0;
  for (std::int64_t i = 0; i < columns; ++i) sum += weights[i] * x[i];
  return sum;
}

void for_each_sequence(const RunContext& context, const Recurrence& shape,
                       const std::function<void(const Sequence&)>& f) {
  const float* x = context.in(0).data<float>().data();
  for (std::int64_t direction = 0; direction < shape.directions; ++direction)
    for (std::int64_t b = 0; b < shape.batch; ++b) {
      std::int64_t length = shape.steps;
      if (context.has(4)) length = context.in(4).data<std::int32_t>()[static_cast<std::size_t>(b)];
      if (length < 0 || length > shape.steps)
        bad_data(fmt::format("a sequence of {} among {} steps", length, shape.steps));
      f({shape, x, b, length, direction});
    }
}

RecurrentReach recurrent_reach(const Node& node, std::int64_t opset,
                               std::span<const Tensor* const> inputs) {
  const RunContext context{node, opset, inputs, {}};
  return node.op == "LSTM" ? lstm_reach(context) : gru_reach(context);
}

float* wanted_output(const RunContext& context, std::size_t i) {
  const bool wanted = i < context.outputs.size() && context.outputs[i].defined();
  return wanted ? context.outputs[i].mutable_data<float>().data() : nullptr;
}

}  // namespace espquant::ops
