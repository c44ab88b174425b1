#include <algorithm>

#include "sim/operators.h"
#include "sim/recurrent.h"
#include "sim/rounding.h"

/// GRU (ESP-DL 3.19), gates in the order z, r, n, with the reset gate behind the recurrent product
/// (linear_before_reset).
namespace espquant::sim {
namespace {

constexpr std::int64_t kGruGates = 3;

template <typename T>
using GateOf = std::conditional_t<std::is_floating_point_v<T>, float, std::int16_t>;

/// The pre-activations of one step: products of the input and of the hidden state, with biases.
template <typename T>
struct GruGates {
  GateOf<T>*input, *hidden;
};

/// One step of quantized arithmetic: h becomes the new hidden state.
template <typename T>
class GruQuantizedStep {
 public:
  GruQuantizedStep(const RecurrentPlan& plan, int y_exponent)
      : sigmoid_(GateTable::sigmoid(plan.gate_exponent)),
        tanh_(GateTable::tanh(plan.gate_exponent)),
        inv_scale_(chip_scale(-y_exponent)),
        rounding_(plan.rounding) {}

  void operator()(std::int64_t hidden, const GruGates<T>& g, T* h) const {
    for (std::int64_t i = 0; i < hidden; ++i) {
      const std::int64_t r = hidden + i, n = 2 * hidden + i;
      const float update = sigmoid_(g.input[i] + g.hidden[i]);
      const float reset = sigmoid_(g.input[r] + g.hidden[r]);
      const float candidate =
          static_cast<float>(g.input[n]) + reset * static_cast<float>(g.hidden[n]);
      const float fresh = tanh_(round_to_int(candidate, rounding_));
      const float result = (1 - update) * fresh * inv_scale_ + update * static_cast<float>(h[i]);
      h[i] = saturate<T>(round_to_int(result, rounding_));
    }
  }

 private:
  GateTable sigmoid_, tanh_;
  float inv_scale_;
  Rounding rounding_;
};

struct GruFloatStep {
  void operator()(std::int64_t hidden, const GruGates<float>& g, float* h) const {
    for (std::int64_t i = 0; i < hidden; ++i) {
      const std::int64_t r = hidden + i, n = 2 * hidden + i;
      const float update = gate_sigmoid(g.input[i] + g.hidden[i]);
      const float reset = gate_sigmoid(g.input[r] + g.hidden[r]);
      const float fresh = gate_tanh(g.input[n] + reset * g.hidden[n]);
      h[i] = (1 - update) * fresh + update * h[i];
    }
  }
};

template <typename Gate>
void add_bias(const Gate* bias, std::int64_t count, Gate* gates) {
  for (std::int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_floating_point_v<Gate>)
      gates[i] += bias[i];
    else
      gates[i] = wrapping_sum(gates[i] + bias[i]);
  }
}

template <typename T, typename Step>
void run_gru(const RecurrentPlan& plan, const Step& step, const KernelArgs& args) {
  using Gate = GateOf<T>;
  const std::int64_t hidden = plan.hidden, rows = plan.rows();
  Gate* memory = args.workspace.scratch_of<Gate>(static_cast<std::size_t>(2 * rows));
  const GruGates<T> gates{memory, memory + rows};
  const auto* biases = operand_or_null<Gate>(args, 3);
  const auto* initial = operand_or_null<T>(args, 5);

  for (std::int64_t d = 0; d < plan.directions; ++d) {
    T* h = args.out<T>(1) + d * hidden;
    if (initial != nullptr)
      std::copy_n(initial + d * hidden, hidden, h);
    else
      std::fill_n(h, hidden, T{0});
    for (std::int64_t s = 0; s < plan.steps; ++s) {
      const std::int64_t t = d == 0 ? s : plan.steps - 1 - s;
      gate_products(plan, args.in<T>(1) + d * rows * plan.features,
                    args.in<T>(0) + t * plan.features, plan.features, plan.input_shift,
                    gates.input);
      gate_products(plan, args.in<T>(2) + d * rows * hidden, h, hidden, plan.hidden_shift,
                    gates.hidden);
      if (biases != nullptr) {
        add_bias(biases + d * 2 * rows, rows, gates.input);
        add_bias(biases + d * 2 * rows + rows, rows, gates.hidden);
      }
      step(hidden, gates, h);
      std::copy_n(h, hidden, args.out<T>(0) + (t * plan.directions + d) * hidden);
    }
  }
}

template <typename T, typename Step>
std::unique_ptr<Kernel> gru_kernel(const RecurrentPlan& plan, Step step) {
  return make_kernel(
      [plan, step = std::move(step)](const KernelArgs& args) { run_gru<T>(plan, step, args); });
}

}  // namespace

Prepared prepare_gru(const NodeContext& context) {
  const DType dtype = element_type(context);
  if (context.node.get_int("linear_before_reset", 0) == 0)
    refuse("ESP-DL runs a GRU with linear_before_reset 1 only", "Export it so (as PyTorch does)");
  const RecurrentPlan plan = plan_recurrent(context, kGruGates, 2);
  check_recurrent_operand(context, 3, is_float(dtype) ? dtype : DType::Int16,
                          plan.directions * 2 * plan.rows());
  check_recurrent_operand(context, 5, dtype, plan.directions * plan.hidden);

  Prepared prepared;
  prepared.outputs.push_back(output_desc(context, 0, plan.y_shape(), dtype));
  prepared.outputs.push_back(output_desc(context, 1, plan.h_shape(), dtype));
  prepared.kernel = visit_element_type(dtype, [&]<typename T>() {
    if constexpr (std::is_floating_point_v<T>)
      return gru_kernel<T>(plan, GruFloatStep{});
    else
      return gru_kernel<T>(plan, GruQuantizedStep<T>(plan, prepared.outputs[0].exponent()));
  });
  note_recurrent_faults(context, prepared);
  note_portable_products(context, plan, prepared);
  return prepared;
}

}  // namespace espquant::sim
