#include "quant/gate_exponents.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "ops/op.h"
#include "ops/recurrent.h"

namespace espquant::quant {
namespace {

// Samples do not show the largest value of all. More room where it costs little.
constexpr float kGateHeadroom = 2, kAmpleGateHeadroom = 8;
// The tables of the chip end at sigmoid(6.3): gates are at most 0.9982, so that a cell that gains 1
// a step comes to rest (ESP-DL 3.19).
constexpr float kMostCell = 546;
// In a layer of 8 bits the noise of such steps is below what is rounded elsewhere.
constexpr int kHarmless8 = -7;
// Beyond, steps of the gates' inputs would be felt.
constexpr int kCoarsest8 = -3, kCoarsest16 = -5;

// Longer sequences become more nodes than a little noise is worth.
constexpr std::int64_t kMostUnrolledSteps = 8;
// Noise over signal of steps that is felt in a layer of 8 bits, and of 16; and what finer steps aim
// at.
constexpr double kFelt8 = 5e-3, kFelt16 = 5e-5, kFineNoise16 = 2e-5;

double mean_square_of(const calib::ValueStatistics& s) {
  return s.count > 0 ? s.sum_squares / static_cast<double>(s.count) : 0;
}

float range_of(const TensorQuant& q) {
  return std::ldexp(static_cast<float>(q.max_q() + 1), q.exponent());
}

int exponent_for(float reach, int finest) {
  int exponent = finest;
  // A few steps of rounding come on top.
  while (std::ldexp(32760.0F, exponent) < reach) ++exponent;
  return exponent;
}

/// Hidden states that the layer puts out; kNone where only a cell is used, which is not lowered.
ValueId state_of(const Node& n) {
  for (std::size_t i = 0; i < std::min<std::size_t>(n.outputs.size(), 2); ++i)
    if (n.outputs[i] != kNone) return n.outputs[i];
  return kNone;
}

/// Noise over signal that steps of 2^exponent make at the hidden states: each gate is rounded a few
/// times, and no function is steeper than 1.
double step_noise(int exponent, double mean_square) {
  return std::ldexp(1.0, 2 * exponent) / 12 / std::max(mean_square, 1e-9);
}

/// The finest steps worth their tables.
int finest_exponent(const calib::ValueStatistics& states, int bits) {
  int exponent = kFinestGateExponent;
  if (bits == 8) return exponent;
  while (exponent > kFinestGateExponent16 &&
         step_noise(exponent, mean_square_of(states)) > kFineNoise16)
    --exponent;
  return exponent;
}

/// What no input can exceed.
class Bounds {
 public:
  Bounds(const Graph& graph, const Node& n, int bits)
      : graph_(graph),
        n_(n),
        w_(*graph.value(n.inputs[1]).shape),
        input_(range_of(*graph.value(n.inputs[0]).quant_at(bits))),
        state_(1) {
    // Hidden states stay in [-1, 1] unless they start beyond.
    const ValueId initial = n.input(5);
    if (initial == kNone) return;
    const Value& value = graph.value(initial);
    if (!value.is_constant())
      state_ = std::max(state_, range_of(*value.quant_at(bits)));
    else
      for (const float v : value.constant.data<float>()) state_ = std::max(state_, std::abs(v));
  }

  float gates() const {
    float most = 0;
    const std::int64_t rows = w_[0] * w_[1];
    for (std::int64_t row = 0; row < rows; ++row) {
      const float of_input = input_ * row_sum(1, row), of_state = state_ * row_sum(2, row);
      const std::int64_t direction = row / w_[1];
      const float input_bias = bias(direction * 2 * w_[1] + row % w_[1]);
      const float state_bias = bias(direction * 2 * w_[1] + w_[1] + row % w_[1]);
      if (n_.op == "LSTM")
        most = std::max(
            {most, of_input, of_state, of_input + of_state + std::abs(input_bias + state_bias)});
      else
        most = std::max({most, of_input + std::abs(input_bias), of_state + std::abs(state_bias)});
    }
    return most;
  }

  float cell() const {
    if (n_.op != "LSTM") return 0;
    const ValueId initial = n_.input(6);
    // Whatever its exponent is, it can be full.
    if (initial != kNone && !graph_.value(initial).is_constant()) return kMostCell;
    float start = 0;
    if (initial != kNone)
      for (const float v : graph_.value(initial).constant.data<float>())
        start = std::max(start, std::abs(v));
    const auto steps = static_cast<float>((*graph_.value(n_.inputs[0]).shape)[0]);
    return std::max(start, std::min(start + steps, kMostCell));
  }

 private:
  float row_sum(std::size_t input, std::int64_t row) const {
    const Tensor& matrix = graph_.value(n_.inputs[input]).constant;
    const std::int64_t columns = matrix.shape()[2];
    float sum = 0;
    for (std::int64_t i = 0; i < columns; ++i)
      sum += std::abs(matrix.data<float>()[static_cast<std::size_t>(row * columns + i)]);
    return sum;
  }
  float bias(std::int64_t i) const {
    const ValueId v = n_.input(3);
    return v == kNone ? 0 : graph_.value(v).constant.data<float>()[static_cast<std::size_t>(i)];
  }

  const Graph& graph_;
  const Node& n_;
  const Shape& w_;
  float input_, state_;
};

bool has_constant_weights(const Graph& graph, const Node& n) {
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}, std::size_t{3}})
    if (n.input(i) != kNone && !graph.value(n.inputs[i]).is_constant()) return false;
  return !graph.value(n.inputs[0]).is_constant();
}

/// A cell state, or what is made of several by moving them.
bool only_moves(const Graph& graph, ValueId v) {
  const NodeId producer = graph.value(v).producer;
  if (producer == kNone) return true;
  const Node& n = graph.node(producer);
  return ops::is_recurrent(n) || n.op == "Concat" || ops::follows(n, ops::QuantRule::PassThrough);
}

int exponent_for(const Graph& graph, const Node& n, const ops::RecurrentReach& seen,
                 const calib::ValueStatistics& states, int bits) {
  const Bounds bounds(graph, n, bits);
  const float gates = bounds.gates(), cell = bounds.cell();
  const int finest = finest_exponent(states, bits);
  const auto exponent_with = [&](float headroom) {
    return exponent_for(
        std::max(std::min(gates, headroom * seen.gates), std::min(cell, headroom * seen.cell)),
        finest);
  };
  int exponent = exponent_with(kGateHeadroom);
  if (bits == 8)
    exponent = std::max(exponent, std::min(exponent_with(kAmpleGateHeadroom), kHarmless8));
  const int coarsest = bits == 8 ? kCoarsest8 : kCoarsest16;
  if (exponent > coarsest) exponent = std::max(coarsest, exponent_with(1));
  if (exponent <= coarsest) return exponent;
  const bool by_cell = seen.cell > seen.gates;
  throw Error(ErrorCode::Illegal,
              fmt::format("{} reaches {:.4g} on the calibration data; in the 16 bits "
                          "that the chip "
                          "has for it, its steps would be {:.3g}",
                          by_cell ? "its cell state" : "what it adds up for a gate",
                          by_cell ? seen.cell : seen.gates, std::ldexp(1.0, exponent)))
      .node(n.name)
      .remedy(
          "Check the scale of the layer's input and weights: its gates are "
          "saturated");
}

/// Hidden states must hold a constant that they start from.
void cover_initial_state(Graph& graph, const Node& n,
                         const std::vector<std::vector<ValueId>>& groups, const Plan& plan) {
  const ValueId initial = n.input(5);
  if (initial == kNone || !graph.value(initial).is_constant()) return;
  float most = 0;
  for (const float v : graph.value(initial).constant.data<float>())
    most = std::max(most, std::abs(v));
  const ValueId state = state_of(n);
  TensorQuant quant = *graph.value(state).quant;
  if (most <= range_of(quant)) return;
  while (most > range_of(quant)) ++quant.exponents[0];
  for (const ValueId v : groups[static_cast<std::size_t>(plan.exponents.find(state))]) {
    if (!is_quantizable(graph, v)) continue;
    graph.value(v).quant = quant;
    if (graph.value(v).requant && quant.bits == 8)
      graph.value(v).requant->exponents = quant.exponents;
  }
}

}  // namespace

std::vector<std::string> layers_of_coarse_steps(const Graph& graph,
                                                const calib::Statistics& statistics,
                                                const Settings& settings) {
  std::vector<std::string> layers;
  for (const auto& [id, seen] : statistics.recurrent) {
    const Node& n = graph.node(id);
    if (state_of(n) == kNone || (*graph.value(n.inputs[0]).shape)[0] > kMostUnrolledSteps) continue;
    // Whoever names a layer wants it as it is.
    if (settings.layer_bits.contains(n.name)) continue;
    const int bits = settings.bits;
    const int exponent = exponent_for(kGateHeadroom * std::max(seen.gates, seen.cell),
                                      bits == 8 ? kFinestGateExponent : kFinestGateExponent16);
    const double noise = step_noise(exponent, mean_square_of(statistics.of(state_of(n))));
    if (noise > (bits == 8 ? kFelt8 : kFelt16)) layers.push_back(n.name);
  }
  return layers;
}

void assign_gate_exponents(Graph& graph, const Plan& plan, const calib::Statistics& statistics,
                           const Widths& widths) {
  const auto groups = plan.exponents.members();
  for (const NodeId id : graph.topological_order())
    if (ops::is_recurrent(graph.node(id)) && is_quantizable(graph, state_of(graph.node(id))))
      cover_initial_state(graph, graph.node(id), groups, plan);
  std::map<NodeId, int> exponents;
  // Layers that hand a cell to each other, or read parts of one input, have one exponent.
  std::map<ValueId, std::vector<NodeId>> layers_of_cell;
  for (const NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    const auto seen = statistics.recurrent.find(id);
    if (!ops::is_recurrent(n) || state_of(n) == kNone || seen == statistics.recurrent.end() ||
        !has_constant_weights(graph, n))
      continue;
    exponents[id] =
        exponent_for(graph, n, seen->second, statistics.of(state_of(n)), widths.of(graph, n));
    if (n.op != "LSTM") continue;
    for (const ValueId cell : {n.input(6), n.outputs.size() > 2 ? n.outputs[2] : kNone})
      if (is_quantizable(graph, cell)) layers_of_cell[plan.exponents.find(cell)].push_back(id);
  }
  const auto settle = [&] {
    bool changed = false;
    for (const auto& [cell, layers] : layers_of_cell) {
      int coarsest = exponents.at(layers.front());
      for (const NodeId id : layers) coarsest = std::max(coarsest, exponents.at(id));
      for (const NodeId id : layers) {
        changed = changed || exponents.at(id) != coarsest;
        exponents.at(id) = coarsest;
      }
    }
    return changed;
  };
  while (settle()) {
  }
  for (const auto& [id, exponent] : exponents)
    graph.node(id).attributes.set("gate_exponent", std::int64_t{exponent});
  for (const auto& [cell, layers] : layers_of_cell) {
    const auto& members = groups[static_cast<std::size_t>(cell)];
    if (!std::all_of(members.begin(), members.end(),
                     [&](ValueId v) { return only_moves(graph, v); }))
      continue;
    for (const ValueId v : members)
      if (is_quantizable(graph, v))
        graph.value(v).quant = TensorQuant{16, {exponents.at(layers.front())}, -1};
  }
}

}  // namespace espquant::quant
