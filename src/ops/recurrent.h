#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "ops/infer.h"

/// What GRU and LSTM share: X (steps, batch, input), W (directions, gates*hidden, input), R
/// (directions, gates*hidden, hidden), B (directions, 2*gates*hidden); with layout=1 the batch
/// comes first in X, Y and the states.
namespace espquant::ops {

/// Of a GRU or an LSTM.
bool is_recurrent(const Node& node);

struct Recurrence {
  std::int64_t directions = 1, steps = 0, batch = 0, input = 0, hidden = 0;
  bool backward_only = false, batch_first = false;
  float clip = 0;  ///< 0: none

  /// (steps, directions, batch, hidden), or batch first.
  Shape sequence_shape() const;
  /// (directions, batch, hidden), or batch first.
  Shape state_shape() const;
};

/// Reads the attributes and checks inputs 0 to 5, which both operators have in common, for `gates`
/// gates. Throws Error(Malformed) where shapes disagree, Error(Unsupported) on types other than
/// float32.
Recurrence infer_recurrence(const InferContext& context, std::int64_t gates);
Recurrence recurrence_of(const Node& node, const Shape& x, const Shape& r);

using Activation = std::function<float(float)>;
/// The functions of all directions, `per_direction` each; `defaults` where the node names none.
/// Throws Error(Unsupported) on one that is not known.
std::vector<Activation> activations_of(const Node& node, std::int64_t directions,
                                       const std::vector<std::string>& defaults);

/// sum over columns of matrix (rows x columns) at `row` with x.
float dot(const float* matrix, std::int64_t row, std::int64_t columns, const float* x);

/// Where output `i` goes; null where nobody named it.
float* wanted_output(const RunContext& context, std::size_t i);

/// The largest magnitudes inside a layer, which its outputs do not show.
struct RecurrentReach {
  /// What is added up for a gate: the products of the input and of the hidden state, with and
  /// without biases, and their sums.
  float gates = 0;
  float cell = 0;

  void see_gate(float x) { gates = std::max(gates, std::abs(x)); }
  void see_cell(float x) { cell = std::max(cell, std::abs(x)); }
  void include(const RecurrentReach& other) {
    see_gate(other.gates);
    see_cell(other.cell);
  }
};

/// Of an LSTM or GRU for these inputs (null where one is not given), initial states included.
RecurrentReach recurrent_reach(const Node& node, std::int64_t opset,
                               std::span<const Tensor* const> inputs);
/// The same, one operator each.
RecurrentReach lstm_reach(const RunContext& context);
RecurrentReach gru_reach(const RunContext& context);

/// Runs one direction for one batch entry over its steps. `step(x)` advances the state; `state` is
/// written out.
struct Sequence {
  const Recurrence& shape;
  const float* x;              ///< the whole input
  std::int64_t batch, length;  ///< of this entry
  std::int64_t direction;

  /// Time of the i-th step taken.
  std::int64_t time(std::int64_t i) const {
    const bool backward = shape.backward_only || direction == 1;
    return backward ? length - 1 - i : i;
  }
  const float* input(std::int64_t t) const {
    const std::int64_t row = shape.batch_first ? batch * shape.steps + t : t * shape.batch + batch;
    return x + row * shape.input;
  }
  /// Offset of this entry's hidden vector in a state, and in the sequence at time t.
  std::int64_t state_offset() const {
    const std::int64_t row =
        shape.batch_first ? batch * shape.directions + direction : direction * shape.batch + batch;
    return row * shape.hidden;
  }
  std::int64_t sequence_offset(std::int64_t t) const {
    const std::int64_t row = shape.batch_first
                                 ? (batch * shape.steps + t) * shape.directions + direction
                                 : (t * shape.directions + direction) * shape.batch + batch;
    return row * shape.hidden;
  }
};

/// Calls f for every direction and batch entry; its length is sequence_lens[b], or all steps.
void for_each_sequence(const RunContext& context, const Recurrence& shape,
                       const std::function<void(const Sequence&)>& f);

}  // namespace espquant::ops
