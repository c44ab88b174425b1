#include <algorithm>

#include "sim/operators.h"
#include "sim/recurrent.h"
#include "sim/rounding.h"

/// LSTM (ESP-DL 3.19), gates in the order i, o, f, c. The cell state is int16 at the gates'
/// exponent and wraps.
namespace espquant::sim {
namespace {

constexpr std::int64_t kLstmGates = 4;

template <typename T>
using CellOf = std::conditional_t<std::is_floating_point_v<T>, float, std::int16_t>;

template <typename T>
class LstmQuantizedStep {
 public:
  LstmQuantizedStep(const RecurrentPlan& plan, int y_exponent)
      : sigmoid_(GateTable::sigmoid(plan.gate_exponent)),
        tanh_(GateTable::tanh(plan.gate_exponent)),
        inv_y_(chip_scale(-y_exponent)),
        inv_c_(chip_scale(-plan.gate_exponent)),
        rounding_(plan.rounding) {}

  void operator()(std::int64_t hidden, const std::int16_t* gates, T* h, std::int16_t* c) const {
    for (std::int64_t i = 0; i < hidden; ++i) {
      const float in = sigmoid_(gates[i]), out = sigmoid_(gates[hidden + i]);
      const float forget = sigmoid_(gates[2 * hidden + i]), fresh = tanh_(gates[3 * hidden + i]);
      const float cell = forget * static_cast<float>(c[i]) + in * fresh * inv_c_;
      c[i] = wrapping_sum(round_to_int(cell, rounding_));
      h[i] = saturate<T>(round_to_int(out * tanh_(c[i]) * inv_y_, rounding_));
    }
  }

 private:
  GateTable sigmoid_, tanh_;
  float inv_y_, inv_c_;
  Rounding rounding_;
};

struct LstmFloatStep {
  void operator()(std::int64_t hidden, const float* gates, float* h, float* c) const {
    for (std::int64_t i = 0; i < hidden; ++i) {
      const float in = gate_sigmoid(gates[i]), out = gate_sigmoid(gates[hidden + i]);
      const float forget = gate_sigmoid(gates[2 * hidden + i]);
      c[i] = forget * c[i] + in * gate_tanh(gates[3 * hidden + i]);
      h[i] = out * gate_tanh(c[i]);
    }
  }
};

/// Adds the products of the hidden state and both biases (null for none) to those of the input.
template <typename Cell>
void add_up(const Cell* hidden, const Cell* biases, std::int64_t rows, Cell* gates) {
  for (std::int64_t i = 0; i < rows; ++i) {
    if constexpr (std::is_floating_point_v<Cell>)
      gates[i] += biases != nullptr ? biases[i] + hidden[i] + biases[rows + i] : hidden[i];
    else
      gates[i] = wrapping_sum(gates[i] + hidden[i] +
                              (biases != nullptr ? biases[i] + biases[rows + i] : 0));
  }
}

template <typename E>
void start_state(const E* initial, std::int64_t direction, std::int64_t hidden, E* state) {
  if (initial != nullptr)
    std::copy_n(initial + direction * hidden, hidden, state);
  else
    std::fill_n(state, hidden, E{0});
}

template <typename T, typename Step>
void run_lstm(const RecurrentPlan& plan, const Step& step, const KernelArgs& args) {
  using Cell = CellOf<T>;
  const std::int64_t hidden = plan.hidden, rows = plan.rows();
  Cell* gates = args.workspace.scratch_of<Cell>(static_cast<std::size_t>(2 * rows));
  Cell* recurrent = gates + rows;
  const auto* biases = operand_or_null<Cell>(args, 3);

  for (std::int64_t d = 0; d < plan.directions; ++d) {
    T* h = args.out<T>(1) + d * hidden;
    Cell* c = args.out<Cell>(2) + d * hidden;
    start_state(operand_or_null<T>(args, 5), d, hidden, h);
    start_state(operand_or_null<Cell>(args, 6), d, hidden, c);
    for (std::int64_t s = 0; s < plan.steps; ++s) {
      const std::int64_t t = d == 0 ? s : plan.steps - 1 - s;
      gate_products(plan, args.in<T>(1) + d * rows * plan.features,
                    args.in<T>(0) + t * plan.features, plan.features, plan.input_shift, gates);
      gate_products(plan, args.in<T>(2) + d * rows * hidden, h, hidden, plan.hidden_shift,
                    recurrent);
      add_up(recurrent, biases == nullptr ? nullptr : biases + d * 2 * rows, rows, gates);
      step(hidden, gates, h, c);
      std::copy_n(h, hidden, args.out<T>(0) + (t * plan.directions + d) * hidden);
    }
  }
}

template <typename T, typename Step>
std::unique_ptr<Kernel> lstm_kernel(const RecurrentPlan& plan, Step step) {
  return make_kernel(
      [plan, step = std::move(step)](const KernelArgs& args) { run_lstm<T>(plan, step, args); });
}

}  // namespace

Prepared prepare_lstm(const NodeContext& context) {
  const DType dtype = element_type(context);
  if (context.node.get_int("input_forget", 0) != 0)
    refuse("ESP-DL does not couple an LSTM's input and forget gates", "Export with input_forget 0");
  const RecurrentPlan plan = plan_recurrent(context, kLstmGates, 3);
  const DType cell = is_float(dtype) ? dtype : DType::Int16;
  check_recurrent_operand(context, 3, cell, plan.directions * 2 * plan.rows());
  check_recurrent_operand(context, 5, dtype, plan.directions * plan.hidden);
  check_recurrent_operand(context, 6, cell, plan.directions * plan.hidden);
  if (context.has_input(7))
    refuse("ESP-DL's LSTM has no peephole connections", "Export the model without them");

  Prepared prepared;
  prepared.outputs.push_back(output_desc(context, 0, plan.y_shape(), dtype));
  prepared.outputs.push_back(output_desc(context, 1, plan.h_shape(), dtype));
  prepared.outputs.push_back(output_desc(context, 2, plan.h_shape(), cell));
  if (!is_float(dtype) && prepared.outputs[2].exponent() != plan.gate_exponent)
    refuse("ESP-DL asserts that the cell state has the gates' exponent", "Export the model again");
  prepared.kernel = visit_element_type(dtype, [&]<typename T>() {
    if constexpr (std::is_floating_point_v<T>)
      return lstm_kernel<T>(plan, LstmFloatStep{});
    else
      return lstm_kernel<T>(plan, LstmQuantizedStep<T>(plan, prepared.outputs[0].exponent()));
  });
  note_recurrent_faults(context, prepared);
  note_portable_products(context, plan, prepared);
  return prepared;
}

}  // namespace espquant::sim
