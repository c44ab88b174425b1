#pragma once

#include <vector>

#include "sim/prepare.h"

/// What GRU and LSTM share (ESP-DL 3.19).
namespace espquant::sim {

/// A function of gate pre-activations, tabulated for non-negative integers and mirrored.
class GateTable {
 public:
  static GateTable sigmoid(int exponent);
  static GateTable tanh(int exponent);

  float operator()(std::int32_t q) const {
    const std::int64_t magnitude = q < 0 ? -std::int64_t{q} : q;
    const auto last = static_cast<std::int64_t>(values_.size()) - 1;
    const float value = values_[static_cast<std::size_t>(magnitude < last ? magnitude : last)];
    return q < 0 ? mirror_ - value : value;
  }

 private:
  GateTable(std::vector<float> values, float mirror)
      : values_(std::move(values)), mirror_(mirror) {}

  std::vector<float> values_;
  float mirror_;
};

/// Double arithmetic around expf, as in the runtime.
float gate_sigmoid(float x);
float gate_tanh(float x);

/// Sizes and operands of one node. X is sequence, batch of one, features (or batch first);
/// W is directions, gates * hidden, features; R is directions, gates * hidden, hidden.
struct RecurrentPlan {
  std::int64_t steps = 0, features = 0, hidden = 0, directions = 1, gates = 0;
  int gate_exponent = -8;
  /// How far products of W and x, and of R and h, are shifted to the gates' exponent.
  int input_shift = 0, hidden_shift = 0;
  bool vector_kernels = false;
  Rounding rounding = Rounding::HalfUp;

  std::int64_t rows() const { return gates * hidden; }
  Shape y_shape() const { return {steps, directions, 1, hidden}; }
  Shape h_shape() const { return {directions, 1, hidden}; }
};

/// `gates` is 3 for GRU, 4 for LSTM; each of the first `outputs` outputs must be declared. Throws
/// Error(Illegal) for what the runtime would compute from memory that is not there.
RecurrentPlan plan_recurrent(const NodeContext& context, std::int64_t gates, std::size_t outputs);

/// Checks an optional operand: its type and that it has `count` elements.
void check_recurrent_operand(const NodeContext& context, std::size_t i, DType dtype,
                             std::int64_t count);

/// What the runtime passes over: lengths, the reverse direction, exponents of Y and Y_h that
/// differ.
void note_recurrent_faults(const NodeContext& context, Prepared& prepared);

/// Where the P4's vector unit and ESP-DL's portable kernels shift such sums differently: int16, of
/// a length that fills vectors.
void note_portable_products(const NodeContext& context, const RecurrentPlan& plan,
                            Prepared& prepared);

/// result[r] = matrix row r times vector, in int16 at the gates' exponent. Vector kernels add the
/// products of one vector at a time to a 40-bit register, which clips, and shift the sum; other
/// lengths go through float32.
template <typename T>
void gate_products(const RecurrentPlan& plan, const T* matrix, const T* vector, std::int64_t length,
                   int shift, std::int16_t* result);
void gate_products(const RecurrentPlan& plan, const float* matrix, const float* vector,
                   std::int64_t length, int shift, float* result);

/// Element `i` of an operand, or null when it is not given.
template <typename T>
const T* operand_or_null(const KernelArgs& args, std::size_t i) {
  return i < args.inputs.size() ? args.in<T>(i) : nullptr;
}

/// The runtime's 16-bit additions wrap.
inline std::int16_t wrapping_sum(std::int32_t v) {
  return static_cast<std::int16_t>(static_cast<std::uint16_t>(static_cast<std::uint32_t>(v)));
}

}  // namespace espquant::sim
