#include "strategy/recurrent_notes.h"

#include <fmt/format.h>

#include <set>

#include "ops/recurrent.h"
#include "quant/gate_exponents.h"
#include "quant/groups.h"

namespace espquant::strategy {
namespace {

std::vector<const Node*> recurrent_layers(const Graph& graph) {
  std::vector<const Node*> layers;
  for (const NodeId id : graph.topological_order())
    if (ops::is_recurrent(graph.node(id))) layers.push_back(&graph.node(id));
  return layers;
}

// Of one layer alone, in a network of so many bits.
constexpr double kFelt8 = 1e-2, kFelt16 = 1e-3;

}  // namespace

std::vector<std::string> recurrent_noise_notes(const measure::NoiseReport& noise) {
  std::vector<std::string> notes;
  for (const measure::LayerNoise& layer : noise.layers) {
    if (layer.op != "LSTM" && layer.op != "GRU") continue;
    const bool narrow = layer.dtype == DType::Int8;
    const double ratio = layer.alone.ratio();
    if (ratio <= (narrow ? kFelt8 : kFelt16)) continue;
    // ESP-DL 3.19.
    notes.push_back(fmt::format(
        "layer '{}' makes {:.2g} % of noise by itself: {}", layer.node, 100 * ratio,
        narrow
            ? fmt::format("its gates tell inputs and states in 8 bits apart; at 16 there is less "
                          "(--set layer.{}.bits=16)",
                          layer.node)
            : "the chip's gates open to 0.9982 at most, so that what a cell keeps fades over many "
              "steps; shorter sequences, or smaller biases of the gate that forgets, help"));
  }
  return notes;
}

std::vector<std::string> recurrent_notes(const Graph& imported, const Graph& quantized) {
  std::vector<std::string> notes;
  std::set<std::string> kept;
  for (const Node* n : recurrent_layers(quantized)) kept.insert(n->name);
  for (const Node* n : recurrent_layers(imported))
    if (!kept.contains(n->name))
      notes.push_back(
          fmt::format("the {} '{}' is written in other operators, "
                      "as ESP-DL would not run it right",
                      n->op, n->name));
  for (const Node* n : recurrent_layers(quantized)) {
    const auto exponent = n->attributes.get_int("gate_exponent", quant::kFinestGateExponent);
    if (exponent > quant::kFinestGateExponent)
      notes.push_back(
          fmt::format("layer '{}' reaches far inside: its gates and cell have steps of "
                      "2^{} for a range of +-{}",
                      n->name, exponent, std::int64_t{1} << (15 + exponent)));
    if (n->op != "LSTM") continue;
    const ValueId out = quant::first_rounded_output(quantized, *n);
    if (out == kNone || !quantized.value(out).quant || quantized.value(out).quant->bits != 8)
      continue;
    const ValueId before = n->input(6), after = n->outputs.size() > 2 ? n->outputs[2] : kNone;
    for (const ValueId cell : {before, after}) {
      if (!quant::is_quantizable(quantized, cell)) continue;
      if (quantized.value(cell).consumers.empty() && !quantized.is_output(cell)) continue;
      notes.push_back(fmt::format("layer '{}' has 8 bits, its cell state '{}' has 16", n->name,
                                  quantized.value(cell).name));
    }
  }
  return notes;
}

}  // namespace espquant::strategy
