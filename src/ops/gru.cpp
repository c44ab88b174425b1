#include <algorithm>

#include "ops/operators.h"
#include "ops/recurrent.h"

/// GRU: outputs Y (all hidden states) and Y_h (the last one). Gates in the order z, r, h.
namespace espquant::ops {
namespace {

constexpr std::int64_t kGruGates = 3;

void infer_gru(const InferContext& context) {
  const Recurrence shape = infer_recurrence(context, kGruGates);
  activations_of(context.node, shape.directions, {"Sigmoid", "Tanh"});
  set_output(context, 0, DType::Float32, shape.sequence_shape());
  set_output(context, 1, DType::Float32, shape.state_shape());
}

/// One direction's weights and state.
class GruCell {
 public:
  GruCell(const RunContext& context, const Recurrence& shape, std::int64_t direction)
      : shape_(shape),
        w_(context.in(1).data<float>().data() + direction * kGruGates * shape.hidden * shape.input),
        r_(context.in(2).data<float>().data() +
           direction * kGruGates * shape.hidden * shape.hidden),
        reset_after_(context.node.attributes.get_int("linear_before_reset", 0) != 0),
        z_(static_cast<std::size_t>(shape.hidden)),
        reset_(z_),
        candidate_(z_),
        gated_(z_) {
    bias_.assign(static_cast<std::size_t>(2 * kGruGates * shape.hidden), 0.0F);
    if (context.has(3))
      std::copy_n(
          context.in(3).data<float>().data() + direction * static_cast<std::int64_t>(bias_.size()),
          bias_.size(), bias_.data());
    const auto functions = activations_of(context.node, shape.directions, {"Sigmoid", "Tanh"});
    const auto first = static_cast<std::size_t>(direction) * 2;
    gate_ = functions[first];
    output_ = functions[first + 1];
  }

  /// h becomes the next hidden state.
  void step(const float* x, float* h, RecurrentReach* reach) {
    reach_ = reach;
    const std::int64_t n = shape_.hidden;
    for (std::int64_t i = 0; i < n; ++i) {
      z_[at(i)] = gate_(clipped(input(0, i, x) + recurrent(0, i, h)));
      reset_[at(i)] = gate_(clipped(input(1, i, x) + recurrent(1, i, h)));
    }
    for (std::int64_t i = 0; i < n; ++i) gated_[at(i)] = reset_[at(i)] * h[i];
    for (std::int64_t i = 0; i < n; ++i) {
      const float from_state =
          reset_after_ ? reset_[at(i)] * recurrent(2, i, h) : recurrent(2, i, gated_.data());
      candidate_[at(i)] = output_(clipped(input(2, i, x) + from_state));
    }
    for (std::int64_t i = 0; i < n; ++i)
      h[i] = (1 - z_[at(i)]) * candidate_[at(i)] + z_[at(i)] * h[i];
  }

 private:
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  float clipped(float x) const {
    return shape_.clip > 0 ? std::clamp(x, -shape_.clip, shape_.clip) : x;
  }
  float input(std::int64_t gate, std::int64_t i, const float* x) const {
    const std::int64_t row = gate * shape_.hidden + i;
    return biased(dot(w_, row, shape_.input, x), row);
  }
  float recurrent(std::int64_t gate, std::int64_t i, const float* h) const {
    const std::int64_t row = gate * shape_.hidden + i;
    return biased(dot(r_, row, shape_.hidden, h), kGruGates * shape_.hidden + row);
  }
  float biased(float product, std::int64_t row) const {
    const float result = product + bias_[at(row)];
    if (reach_ != nullptr)
      for (const float v : {product, result}) reach_->see_gate(v);
    return result;
  }

  const Recurrence& shape_;
  const float *w_, *r_;
  bool reset_after_;
  std::vector<float> z_, reset_, candidate_, gated_, bias_;
  Activation gate_, output_;
  RecurrentReach* reach_ = nullptr;
};

void run_gru_seen_by(RecurrentReach* reach, const RunContext& context) {
  const Recurrence shape =
      recurrence_of(context.node, context.in(0).shape(), context.in(2).shape());
  float *y = wanted_output(context, 0), *last = wanted_output(context, 1);
  for_each_sequence(context, shape, [&](const Sequence& sequence) {
    GruCell cell(context, shape, sequence.direction);
    std::vector<float> h(static_cast<std::size_t>(shape.hidden), 0.0F);
    if (context.has(5))
      std::copy_n(context.in(5).data<float>().data() + sequence.state_offset(), h.size(), h.data());
    for (std::int64_t i = 0; i < sequence.length; ++i) {
      const std::int64_t t = sequence.time(i);
      cell.step(sequence.input(t), h.data(), reach);
      if (y != nullptr) std::copy(h.begin(), h.end(), y + sequence.sequence_offset(t));
    }
    if (last != nullptr) std::copy(h.begin(), h.end(), last + sequence.state_offset());
  });
}

void run_gru(const RunContext& context) { run_gru_seen_by(nullptr, context); }

std::int64_t gru_macs(const Node& node, std::span<const Shape> inputs, std::span<const Shape>) {
  const Recurrence shape = recurrence_of(node, inputs[0], inputs[2]);
  return saturating_product({shape.steps, shape.batch, shape.directions, kGruGates * shape.hidden,
                             shape.input + shape.hidden});
}

}  // namespace

RecurrentReach gru_reach(const RunContext& context) {
  RecurrentReach reach;
  run_gru_seen_by(&reach, context);
  return reach;
}

const OpDef kGRU{"GRU", QuantRule::Recurrent, infer_gru, run_gru, nullptr, gru_macs};

}  // namespace espquant::ops
