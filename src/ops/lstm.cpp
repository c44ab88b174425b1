#include <fmt/format.h>

#include <algorithm>

#include "ops/operators.h"
#include "ops/recurrent.h"

/// LSTM: outputs Y (all hidden states), Y_h, Y_c (the last ones). Gates in the order i, o, f, c;
/// peepholes i, o, f.
namespace espquant::ops {
namespace {

constexpr std::int64_t kLstmGates = 4;

void infer_lstm(const InferContext& context) {
  const Recurrence shape = infer_recurrence(context, kLstmGates);
  activations_of(context.node, shape.directions, {"Sigmoid", "Tanh", "Tanh"});
  require_same_dtype(context, 0, 6);
  require_same_dtype(context, 0, 7);
  if (context.has(6)) require_shape(context, 6, shape.state_shape(), "initial_c");
  if (context.has(7)) require_shape(context, 7, {shape.directions, 3 * shape.hidden}, "P");
  set_output(context, 0, DType::Float32, shape.sequence_shape());
  set_output(context, 1, DType::Float32, shape.state_shape());
  set_output(context, 2, DType::Float32, shape.state_shape());
}

/// One direction's weights.
class LstmCell {
 public:
  LstmCell(const RunContext& context, const Recurrence& shape, std::int64_t direction)
      : shape_(shape),
        w_(context.in(1).data<float>().data() +
           direction * kLstmGates * shape.hidden * shape.input),
        r_(context.in(2).data<float>().data() +
           direction * kLstmGates * shape.hidden * shape.hidden),
        peepholes_(context.has(7)
                       ? context.in(7).data<float>().data() + direction * 3 * shape.hidden
                       : nullptr),
        coupled_(context.node.attributes.get_int("input_forget", 0) != 0),
        before_(static_cast<std::size_t>(shape.hidden)) {
    bias_.assign(static_cast<std::size_t>(2 * kLstmGates * shape.hidden), 0.0F);
    if (context.has(3))
      std::copy_n(
          context.in(3).data<float>().data() + direction * static_cast<std::int64_t>(bias_.size()),
          bias_.size(), bias_.data());
    const auto functions =
        activations_of(context.node, shape.directions, {"Sigmoid", "Tanh", "Tanh"});
    const auto first = static_cast<std::size_t>(direction) * 3;
    gate_ = functions[first];
    candidate_ = functions[first + 1];
    output_ = functions[first + 2];
  }

  /// h and c become the next hidden and cell states.
  void step(const float* x, float* h, float* c, RecurrentReach* reach) {
    reach_ = reach;
    std::copy_n(h, before_.size(), before_.data());
    for (std::int64_t i = 0; i < shape_.hidden; ++i) {
      const float in = gate_(clipped(sum(0, i, x) + peephole(0, i, c[i])));
      const float forget = coupled_ ? 1 - in : gate_(clipped(sum(2, i, x) + peephole(2, i, c[i])));
      c[i] = forget * c[i] + in * candidate_(clipped(sum(3, i, x)));
      if (reach != nullptr) reach->see_cell(c[i]);
      h[i] = gate_(clipped(sum(1, i, x) + peephole(1, i, c[i]))) * output_(c[i]);
    }
  }

 private:
  float clipped(float x) const {
    return shape_.clip > 0 ? std::clamp(x, -shape_.clip, shape_.clip) : x;
  }
  float peephole(std::int64_t gate, std::int64_t i, float c) const {
    return peepholes_ == nullptr ? 0.0F : peepholes_[gate * shape_.hidden + i] * c;
  }
  float sum(std::int64_t gate, std::int64_t i, const float* x) const {
    const std::int64_t row = gate * shape_.hidden + i;
    const float of_input = dot(w_, row, shape_.input, x);
    const float of_state = dot(r_, row, shape_.hidden, before_.data());
    const float result = of_input + of_state + bias_[static_cast<std::size_t>(row)] +
                         bias_[static_cast<std::size_t>(kLstmGates * shape_.hidden + row)];
    if (reach_ != nullptr)
      for (const float v : {of_input, of_state, result}) reach_->see_gate(v);
    return result;
  }

  const Recurrence& shape_;
  const float *w_, *r_, *peepholes_;
  bool coupled_;
  std::vector<float> before_, bias_;
  Activation gate_, candidate_, output_;
  RecurrentReach* reach_ = nullptr;
};

void run_lstm_seen_by(RecurrentReach* reach, const RunContext& context) {
  const Recurrence shape =
      recurrence_of(context.node, context.in(0).shape(), context.in(2).shape());
  float *y = wanted_output(context, 0), *last_h = wanted_output(context, 1),
        *last_c = wanted_output(context, 2);
  const auto initial = [&](std::size_t i, const Sequence& sequence) {
    std::vector<float> state(static_cast<std::size_t>(shape.hidden), 0.0F);
    if (context.has(i))
      std::copy_n(context.in(i).data<float>().data() + sequence.state_offset(), state.size(),
                  state.data());
    return state;
  };
  for_each_sequence(context, shape, [&](const Sequence& sequence) {
    LstmCell cell(context, shape, sequence.direction);
    std::vector<float> h = initial(5, sequence), c = initial(6, sequence);
    if (reach != nullptr)
      for (const float v : c) reach->see_cell(v);
    for (std::int64_t i = 0; i < sequence.length; ++i) {
      const std::int64_t t = sequence.time(i);
      cell.step(sequence.input(t), h.data(), c.data(), reach);
      if (y != nullptr) std::copy(h.begin(), h.end(), y + sequence.sequence_offset(t));
    }
    if (last_h != nullptr) std::copy(h.begin(), h.end(), last_h + sequence.state_offset());
    if (last_c != nullptr) std::copy(c.begin(), c.end(), last_c + sequence.state_offset());
  });
}

void run_lstm(const RunContext& context) { run_lstm_seen_by(nullptr, context); }

std::int64_t lstm_macs(const Node& node, std::span<const Shape> inputs, std::span<const Shape>) {
  const Recurrence shape = recurrence_of(node, inputs[0], inputs[2]);
  return saturating_product({shape.steps, shape.batch, shape.directions, kLstmGates * shape.hidden,
                             shape.input + shape.hidden});
}

}  // namespace

RecurrentReach lstm_reach(const RunContext& context) {
  RecurrentReach reach;
  run_lstm_seen_by(&reach, context);
  return reach;
}

const OpDef kLSTM{"LSTM", QuantRule::Recurrent, infer_lstm, run_lstm, nullptr, lstm_macs};

}  // namespace espquant::ops
