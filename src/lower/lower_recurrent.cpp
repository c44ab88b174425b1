#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/fixed_point.h"
#include "lower/rules.h"

/// LSTM and GRU (ESP-DL 3.19): what goes into the gates, and the cell state, has 16 bits and one
/// exponent, whatever the width of the rest.
namespace espquant::lower {
namespace {

// Where nothing else was chosen: sums reach 64 before they wrap; the same as ESP-PPQ's.
constexpr std::int64_t kGateExponent = -9;

TensorQuant gate_quant(const Node& n) {
  return {16, {static_cast<int>(n.attributes.get_int("gate_exponent", kGateExponent))}, -1};
}

void check_sequence_lengths(const Builder& b, const Node& n) {
  const ValueId lengths = n.input(4);
  if (lengths == kNone) return;
  const Value& value = b.graph().value(lengths);
  const std::int64_t steps = b.shape(n.inputs[0])[0];
  if (value.is_constant()) {
    const Tensor wide = value.constant.cast(DType::Int64);
    const auto given = wide.data<std::int64_t>();
    if (std::all_of(given.begin(), given.end(), [&](std::int64_t l) { return l == steps; })) return;
  }
  refuse(n, "ESP-DL runs all steps, whatever sequence_lens says",
         "Export the network for sequences of one length");
}

void check_recurrent(const Builder& b, const Node& n) {
  if (n.attributes.get_string("direction", "forward") == "reverse")
    refuse(n, "ESP-DL runs the direction 'reverse' forwards",
           "Reverse the sequence before the layer, or use a bidirectional one");
  if (b.graph().value(n.inputs[0]).is_constant())
    refuse(n, "its sequence is a constant", "Leave the layer out, or give it an input");
  if (n.attributes.get_int("layout", 0) != 0)
    refuse(n, "only sequences in front of the batch can be written (layout 0)",
           "Export with layout 0, the batch second");
  if (b.shape(n.inputs[0])[1] != 1)
    refuse(n, "ESP-DL runs recurrent layers for a batch of one",
           "Export the network for a batch of one");
  if (n.attributes.has("clip"))
    refuse(n, "ESP-DL does not clip what goes into the gates", "Export without 'clip'");
  if (n.attributes.has("activations")) {
    const std::vector<std::string> usual = n.op == "LSTM"
                                               ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
                                               : std::vector<std::string>{"Sigmoid", "Tanh"};
    const auto given = n.attributes.get_strings("activations");
    for (std::size_t i = 0; i < given.size(); ++i)
      if (given[i] != usual[i % usual.size()])
        refuse(n, fmt::format("ESP-DL's {} has no activation '{}'", n.op, given[i]),
               "Use the usual ones, Sigmoid and Tanh");
  }
  if (n.op == "LSTM" && n.attributes.get_int("input_forget", 0) != 0)
    refuse(n, "ESP-DL does not couple input and forget gates", "Export with input_forget 0");
  if (n.op == "LSTM" && n.input(7) != kNone)
    refuse(n, "ESP-DL's LSTM has no peephole connections", "Export the layer without them");
  if (n.op == "GRU" && n.attributes.get_int("linear_before_reset", 0) == 0)
    refuse(n, "ESP-DL runs a GRU with linear_before_reset 1 only",
           "Export it so, as PyTorch does; in Keras: reset_after=True");
  check_sequence_lengths(b, n);
}

bool is_zero(const Tensor& t) {
  const auto data = t.data<float>();
  return std::all_of(data.begin(), data.end(), [](float v) { return v == 0; });
}

std::string weights(Builder& b, const Node& n, std::size_t input) {
  const ValueId v = n.inputs.at(input);
  if (!b.graph().value(v).is_constant())
    refuse(n, "its weights are computed at run time", "Make the weights constant");
  return b.quantized_constant(v, quant_of(b, v));
}

/// Constants are refused, never clipped.
void check_reach(const Node& n, const Tensor& real, const TensorQuant& quant, const char* what) {
  const float reach = static_cast<float>(quant.max_q() + 1) * pow2(quant.exponent());
  for (const float v : real.data<float>())
    if (std::abs(v) > reach)
      refuse(n,
             fmt::format("its {} has a value of {:.4g}, beyond the {:.4g} that the chip holds",
                         what, v, reach),
             "Quantize this layer to 16 bits, or check why the value is so large");
}

/// Of both products; zeros where the layer has none.
std::string biases(Builder& b, const Node& n) {
  const Shape& w = b.shape(n.inputs.at(1));
  const bool given = n.input(3) != kNone;
  if (given && !b.graph().value(n.inputs[3]).is_constant())
    refuse(n, "its bias is computed at run time", "Make the bias a constant");
  const Tensor real =
      given ? b.graph().value(n.inputs[3]).constant : Tensor(DType::Float32, {w[0], 2 * w[1]});
  check_reach(n, real, gate_quant(n), "bias");
  const std::string name = given ? b.graph().value(n.inputs[3]).name : n.name + "_bias";
  return b.constant(b.unique_name(name), b.quantized(real, gate_quant(n)), gate_quant(n).exponents);
}

/// The state before the first step, empty where there is none.
std::string initial_state(Builder& b, const Node& n, std::size_t input, const TensorQuant& quant) {
  const ValueId v = n.input(input);
  if (v == kNone) return {};
  const Value& value = b.graph().value(v);
  if (!value.is_constant()) return b.read_as(v, identity_perm(3), quant);
  if (is_zero(value.constant)) return {};
  check_reach(n, value.constant, quant, "initial state");
  return b.quantized_constant(v, quant);
}

/// The quantization of the hidden states, which share one (ESP-DL 3.19).
const TensorQuant& state_quant(const Builder& b, const Node& n) {
  for (std::size_t i = 0; i < std::min<std::size_t>(n.outputs.size(), 2); ++i)
    if (n.outputs[i] != kNone) return quant_of(b, n.outputs[i]);
  refuse(n, "only its cell state is used, which espquant does not write by itself",
         "Give the layer's other outputs a name");
}

}  // namespace

void lower_recurrent(Builder& b, const Node& n) {
  check_recurrent(b, n);
  const TensorQuant hidden = state_quant(b, n);
  const auto& x_quant = b.graph().value(n.inputs[0]).quant_at(hidden.bits);
  ESPQUANT_ASSERT(x_quant.has_value(), "a sequence without exponent reached the lowering");
  std::vector<std::string> inputs{b.read_as(n.inputs[0], identity_perm(3), *x_quant),
                                  weights(b, n, 1),
                                  weights(b, n, 2),
                                  biases(b, n),
                                  {},
                                  initial_state(b, n, 5, hidden)};
  const bool has_cell = n.op == "LSTM";
  if (has_cell) inputs.push_back(initial_state(b, n, 6, gate_quant(n)));
  while (inputs.back().empty()) inputs.pop_back();

  // The runtime writes all outputs, wanted or not.
  const std::int64_t steps = b.shape(n.inputs[0])[0], directions = b.shape(n.inputs[1])[0];
  const std::int64_t size = b.shape(n.inputs[2])[2];
  const Shape state{directions, 1, size};
  std::vector<std::string> outputs;
  const auto write = [&](std::size_t i, const Shape& shape, const TensorQuant& quant) {
    const ValueId v = i < n.outputs.size() ? n.outputs[i] : kNone;
    outputs.push_back(v == kNone ? b.declare(n.name, shape, quant)
                                 : b.define_as(v, identity_perm(shape.size()), quant));
  };
  write(0, {steps, directions, 1, size}, hidden);
  write(1, state, hidden);
  if (has_cell) write(2, state, gate_quant(n));

  espdl::Node& node = b.node(n.op, n.name, std::move(inputs), std::move(outputs), hidden.bits);
  node.attributes["hidden_size"] = size;
  node.attributes["direction"] = n.attributes.get_string("direction", "forward");
  node.attributes["layout"] = std::int64_t{0};
  node.attributes["gate_exponent"] = std::int64_t{gate_quant(n).exponent()};
  if (n.op == "GRU") node.attributes["linear_before_reset"] = std::int64_t{1};
}

}  // namespace espquant::lower
