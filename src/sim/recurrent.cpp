#include "sim/recurrent.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/rounding.h"

namespace espquant::sim {
namespace {

constexpr float kSigmoidReach = 6.3F;
constexpr float kTanhReach = 3.5F;

std::vector<float> tabulate(float (*f)(float), float reach, int exponent) {
  const float scale = chip_scale(exponent);
  const auto last = static_cast<std::int32_t>(reach / scale) + 1;
  if (last > 1 << 20)
    refuse(fmt::format("gates with exponent {} need a table of {} entries", exponent, last),
           "Export the node with a larger gate_exponent");
  std::vector<float> values;
  for (std::int32_t q = 0; q <= last; ++q) values.push_back(f(static_cast<float>(q) * scale));
  return values;
}

std::int64_t dot(const std::int8_t* a, const std::int8_t* b, std::int64_t n) {
  std::int32_t sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::int32_t{a[i]} * b[i];
  return sum;
}

std::int64_t dot(const std::int16_t* a, const std::int16_t* b, std::int64_t n) {
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::int32_t{a[i]} * b[i];
  return sum;
}

/// Elements that one vector instruction multiplies.
template <typename T>
constexpr std::int64_t kVectorElements = 16 / static_cast<std::int64_t>(sizeof(T));

/// ACCX and XACC: the sum in 40 bits, clipped behind each vector (ESP-DL 0.2).
template <typename T>
std::int64_t dot_in_40_bits(const T* a, const T* b, std::int64_t n) {
  constexpr int kBits = 40;
  // So few products never reach the limit.
  constexpr std::int64_t kFew = (std::int64_t{1} << (kBits - 1)) >> (16 * sizeof(T) - 2);
  if (n < kFew) return dot(a, b, n);
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < n; i += kVectorElements<T>)
    sum = saturate_bits(sum + dot(a + i, b + i, kVectorElements<T>), kBits);
  return sum;
}

template <typename T>
std::int16_t gate_product(const RecurrentPlan& plan, const T* row, const T* vector,
                          std::int64_t length, int shift) {
  const bool whole_vectors = length % kVectorElements<T> == 0;
  if (plan.vector_kernels && whole_vectors && shift >= 0)
    return saturate<std::int16_t>(
        round_shift(dot_in_40_bits(row, vector, length), shift, plan.rounding));
  const std::int64_t sum = dot(row, vector, length);
  return quantize_value<std::int16_t>(static_cast<float>(sum), pow2(-shift), plan.rounding);
}

void check_shape(const NodeContext& context, std::size_t i, const Shape& expected) {
  const Shape& shape = context.input(i).shape;
  if (shape != expected)
    refuse(fmt::format("weights of shape {}, ESP-DL expects {}", to_string(shape),
                       to_string(expected)),
           "Export the model again");
}

}  // namespace

float gate_sigmoid(float x) { return static_cast<float>(1.0 / (1.0 + std::exp(-x))); }
float gate_tanh(float x) { return 2 * gate_sigmoid(2 * x) - 1; }

GateTable GateTable::sigmoid(int exponent) {
  return {tabulate(gate_sigmoid, kSigmoidReach, exponent), 1.0F};
}

GateTable GateTable::tanh(int exponent) {
  return {tabulate(gate_tanh, kTanhReach, exponent), 0.0F};
}

RecurrentPlan plan_recurrent(const NodeContext& context, std::int64_t gates, std::size_t outputs) {
  const DType dtype = element_type(context);
  const espdl::Node& node = context.node;
  const Shape& x = context.input(0).shape;
  require_type(context, 1, dtype);
  require_type(context, 2, dtype);
  for (std::size_t i = 0; i < outputs; ++i)
    if (i >= node.outputs.size() || node.outputs[i].empty())
      refuse(fmt::format("{} without its output {}: ESP-DL writes it regardless", node.op, i),
             "Export the node with all its outputs");

  RecurrentPlan plan;
  plan.gates = gates;
  plan.hidden = node.get_int("hidden_size", 0);
  const std::string direction = node.get_string("direction", "forward");
  plan.directions = direction == "bidirectional" ? 2 : 1;
  const bool batch_first = node.get_int("layout", 0) != 0;
  if (x.size() != 3 || plan.hidden < 1 || plan.hidden > 1 << 16)
    refuse(fmt::format("{} of {} with hidden_size {}", node.op, to_string(x), plan.hidden),
           "Export the model again");
  plan.steps = batch_first ? x[1] : x[0];
  if ((batch_first ? x[0] : x[1]) != 1)
    refuse("ESP-DL runs recurrent layers for a batch of one", "Export the model for one");
  plan.features = x[2];
  check_shape(context, 1, {plan.directions, plan.rows(), plan.features});
  check_shape(context, 2, {plan.directions, plan.rows(), plan.hidden});

  plan.vector_kernels = uses_vector_kernels(context);
  plan.rounding = context.target.rounding;
  plan.gate_exponent =
      static_cast<int>(std::clamp<std::int64_t>(node.get_int("gate_exponent", -8), -31, 31));
  if (!is_float(dtype)) {
    plan.input_shift =
        plan.gate_exponent - context.input(0).exponent() - context.input(1).exponent();
    plan.hidden_shift = plan.gate_exponent - output_desc(context, 1, {}, dtype).exponent() -
                        context.input(2).exponent();
    chip_scale(plan.input_shift);
    chip_scale(plan.hidden_shift);
  }
  return plan;
}

void note_recurrent_faults(const NodeContext& context, Prepared& prepared) {
  const std::vector<TensorDesc>& outputs = prepared.outputs;
  if (!is_float(outputs[0].dtype) && outputs[0].exponent() != outputs[1].exponent())
    add_fault(prepared, "exponents-ignored");
  if (context.has_input(4)) add_fault(prepared, "recurrent-ignores-sequence-lengths");
  if (context.node.get_string("direction", "forward") == "reverse")
    add_fault(prepared, "recurrent-reverse-runs-forward");
}

void note_portable_products(const NodeContext& context, const RecurrentPlan& plan,
                            Prepared& prepared) {
  constexpr std::int64_t kVector = kVectorElements<std::int16_t>;
  const auto fills_vectors = [](std::int64_t length, int shift) {
    return length % kVector == 0 && shift >= 0;
  };
  if (context.input(0).dtype == DType::Int16 && (fills_vectors(plan.features, plan.input_shift) ||
                                                 fills_vectors(plan.hidden, plan.hidden_shift)))
    note_portable_kernel(context, prepared);
}

void check_recurrent_operand(const NodeContext& context, std::size_t i, DType dtype,
                             std::int64_t count) {
  if (!context.has_input(i)) return;
  require_type(context, i, dtype);
  if (element_count(context.input(i).shape) != count)
    refuse(fmt::format("input {} has {} elements, ESP-DL reads {}", i,
                       element_count(context.input(i).shape), count),
           "Export the model again");
}

template <typename T>
void gate_products(const RecurrentPlan& plan, const T* matrix, const T* vector, std::int64_t length,
                   int shift, std::int16_t* result) {
  for (std::int64_t r = 0; r < plan.rows(); ++r)
    result[r] = gate_product(plan, matrix + r * length, vector, length, shift);
}

template void gate_products(const RecurrentPlan&, const std::int8_t*, const std::int8_t*,
                            std::int64_t, int, std::int16_t*);
template void gate_products(const RecurrentPlan&, const std::int16_t*, const std::int16_t*,
                            std::int64_t, int, std::int16_t*);

void gate_products(const RecurrentPlan& plan, const float* matrix, const float* vector,
                   std::int64_t length, int /*shift*/, float* result) {
  for (std::int64_t r = 0; r < plan.rows(); ++r) {
    float sum = 0;
    for (std::int64_t i = 0; i < length; ++i) sum += matrix[r * length + i] * vector[i];
    result[r] = sum;
  }
}

}  // namespace espquant::sim
