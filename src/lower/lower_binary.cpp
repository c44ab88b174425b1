#include <fmt/format.h>

#include <algorithm>

#include "lower/rules.h"

namespace espquant::lower {
namespace {

bool is_constant(const Builder& b, ValueId v) { return b.graph().value(v).is_constant(); }

// The order in which a binary operator works: the one its operands share, else that of the
// channels-last one.
Perm common_order(const Builder& b, const Node& n) {
  const std::size_t rank = b.shape(n.outputs[0]).size();
  Perm best;
  for (ValueId v : n.inputs) {
    if (is_constant(b, v)) continue;
    const Perm& perm = b.stored(v).perm;
    if (perm.size() != rank) return identity_perm(rank);
    if (best.empty() || perm == channels_last_perm(rank)) best = perm;
  }
  return best.empty() ? identity_perm(rank) : best;
}

// A constant operand in the order of the result: its axes are those of the result, counted from the
// last.
std::string quantized_operand(Builder& b, ValueId v, const Perm& perm, const TensorQuant& quant) {
  const Value& value = b.graph().value(v);
  Tensor integers = b.quantized(value.constant, quant);
  if (integers.size() == 1) {
    integers = integers.reshaped({1});
  } else {
    Shape shape = integers.shape();
    shape.insert(shape.begin(), perm.size() - shape.size(), 1);
    integers = integers.reshaped(shape).transposed(perm);
  }
  return b.constant(b.unique_name(value.name), integers, quant.exponents);
}

void lower_elementwise(Builder& b, const Node& n, bool aligned) {
  const Perm perm = common_order(b, n);
  const TensorQuant& out = quant_of(b, n.outputs[0]);
  if (perm.size() > 4) refuse(n, "ESP-DL broadcasts up to four dimensions", "Reshape the operands");
  std::vector<std::string> inputs;
  for (std::size_t i = 0; i < n.inputs.size(); ++i) {
    const ValueId v = n.inputs[i];
    const TensorQuant& quant = aligned ? out : input_quant(b, n, i);
    if (is_constant(b, v)) {
      inputs.push_back(quantized_operand(b, v, perm, quant));
    } else {
      const std::size_t rank = b.stored(v).perm.size();
      inputs.push_back(b.read_as(v, rank == perm.size() ? perm : identity_perm(rank), quant));
    }
  }
  b.node(n.op, n.name, std::move(inputs), {b.define(n.outputs[0], perm)}, out.bits);
}

}  // namespace

void lower_aligned_binary(Builder& b, const Node& n) { lower_elementwise(b, n, true); }

void lower_binary(Builder& b, const Node& n) {
  if (n.op == "Mul") {
    const int shift = quant_of(b, n.outputs[0]).exponent() - input_quant(b, n).exponent() -
                      input_quant(b, n, 1).exponent();
    if (shift < 0)
      refuse(n,
             fmt::format(
                 "needs a left shift of {} bits behind its product, which the chip does not have",
                 -shift),
             "Give its output a coarser exponent");
  }
  lower_elementwise(b, n, false);
}

}  // namespace espquant::lower
