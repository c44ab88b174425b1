#include <fmt/format.h>

#include <algorithm>

#include "lower/rules.h"
#include "quant/groups.h"

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

/// `as`: what every operand is read as, where it is not as itself.
std::vector<std::string> operands(Builder& b, const Node& n, const Perm& perm,
                                  const TensorQuant* as) {
  if (perm.size() > 4) refuse(n, "ESP-DL broadcasts up to four dimensions", "Reshape the operands");
  std::vector<std::string> inputs;
  for (std::size_t i = 0; i < n.inputs.size(); ++i) {
    const ValueId v = n.inputs[i];
    const TensorQuant& quant = as != nullptr ? *as : input_quant(b, n, i);
    if (is_constant(b, v)) {
      inputs.push_back(quantized_operand(b, v, perm, quant));
    } else {
      const std::size_t rank = b.stored(v).perm.size();
      inputs.push_back(b.read_as(v, rank == perm.size() ? perm : identity_perm(rank), quant));
    }
  }
  return inputs;
}

void lower_elementwise(Builder& b, const Node& n, bool aligned) {
  const Perm perm = common_order(b, n);
  const TensorQuant& out = quant_of(b, n.outputs[0]);
  std::vector<std::string> inputs = operands(b, n, perm, aligned ? &out : nullptr);
  b.node(n.op, n.name, std::move(inputs), {b.define(n.outputs[0], perm)}, out.bits);
}

/// The Cast to a number that the network puts out and that alone reads `v`; kNone where there is
/// none.
NodeId number_of(const Graph& graph, ValueId v) {
  const Value& value = graph.value(v);
  if (value.consumers.size() != 1 || graph.is_output(v)) return kNone;
  const Node& reader = graph.node(value.consumers[0]);
  const bool shows = reader.op == "Cast" && graph.is_output(reader.outputs[0]) &&
                     graph.value(reader.outputs[0]).consumers.empty();
  return shows ? value.consumers[0] : kNone;
}

constexpr const char* kNoReaderOfBools =
    "Put out the numbers and compare them in the application, or write the choice as arithmetic "
    "(Relu, Clip, Max, Min)";

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

void lower_comparison(Builder& b, const Node& n) {
  const NodeId number = number_of(b.graph(), n.outputs[0]);
  if (number == kNone)
    refuse(n, "nothing on the chip takes the result of a comparison", kNoReaderOfBools);
  const TensorQuant quant = quant::compared_quant(b.graph(), n);
  const Perm perm = common_order(b, n);
  std::vector<std::string> inputs = operands(b, n, perm, &quant);
  const std::string output = b.define_bool(b.graph().node(number).outputs[0], perm);
  b.node(n.op, n.name, std::move(inputs), {output}, quant.bits);
}

void lower_cast(Builder&, const Node& n) {
  refuse(n, "the chip casts nothing but a comparison that the network puts out", kNoReaderOfBools);
}

}  // namespace espquant::lower
