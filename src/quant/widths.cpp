#include "quant/widths.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "ops/op.h"

namespace espquant::quant {
namespace {

void check_names(const Graph& graph, const Settings& settings) {
  if (settings.layer_bits.empty() && settings.layer_weight_bits.empty()) return;
  std::vector<std::string> names;
  for (NodeId id : graph.topological_order()) names.push_back(graph.node(id).name);
  for (const auto* asked : {&settings.layer_bits, &settings.layer_weight_bits})
    for (const auto& [name, bits] : *asked) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      const std::string nearest = nearest_name(name, names);
      throw Error(ErrorCode::Usage, fmt::format("the network has no layer '{}'", name))
          .remedy(nearest.empty() ? "`espquant inspect MODEL --simplified` lists its layers"
                                  : fmt::format("Did you mean '{}'?", nearest));
    }
}

// What a group of values was asked for: the widest of what its layers were given by name, else what
// all layers take.
struct Asked {
  int by_name = 0;
  bool wide = false;
};

}  // namespace

Widths::Widths(const Graph& graph, const ValueSets& exponents, const Settings& settings,
               const std::vector<bool>& wide)
    : bits_(exponents.size(), settings.bits),
      weight_bits_(settings.weight_bits),
      layer_weight_bits_(settings.layer_weight_bits) {
  check_names(graph, settings);
  // Constants may have been added since the sets were made; they have no group.
  const auto group = [&](ValueId v) { return static_cast<std::size_t>(exponents.find(v)); };
  // The widest of what its layers were given by name; 0 where none was.
  std::vector<Asked> asked(exponents.size());
  std::vector<bool> produced(exponents.size(), false);
  const std::vector<NodeId> order = graph.topological_order();
  for (NodeId id : order) {
    const Node& n = graph.node(id);
    const auto named = settings.layer_bits.find(n.name);
    for (ValueId v : n.outputs) {
      if (!is_quantizable(graph, v)) continue;
      Asked& a = asked[group(v)];
      if (named != settings.layer_bits.end()) a.by_name = std::max(a.by_name, named->second);
      // Asked for by a rewrite.
      if (n.attributes.get_int("least_bits", 0) == 16) a.by_name = 16;
      if (!ops::follows(n, ops::QuantRule::PassThrough)) produced[group(v)] = true;
    }
    // A cell state has 16 bits whatever the layer's width (ESP-DL 3.19). In fewer it would lose
    // from run to run.
    if (n.op != "LSTM") continue;
    for (ValueId cell : {n.input(6), n.outputs.size() > 2 ? n.outputs[2] : kNone})
      if (is_quantizable(graph, cell)) asked[group(cell)].by_name = 16;
  }
  std::vector<int> of_group(exponents.size());
  for (std::size_t v = 0; v < wide.size(); ++v)
    if (wide[v]) asked[group(static_cast<ValueId>(v))].wide = true;
  for (std::size_t g = 0; g < of_group.size(); ++g)
    of_group[g] = asked[g].by_name > 0 ? asked[g].by_name : asked[g].wide ? 16 : settings.bits;

  // Inputs have no producer whose width they could take.
  for (ValueId input : graph.inputs()) {
    const std::size_t g = group(input);
    if (produced[g] || asked[g].by_name > 0 || asked[g].wide) continue;
    int narrowest = 16;
    for (NodeId id : order) {
      const Node& n = graph.node(id);
      const bool reads = std::any_of(n.inputs.begin(), n.inputs.end(), [&](ValueId v) {
        return is_quantizable(graph, v) && group(v) == g;
      });
      const ValueId out = first_rounded_output(graph, n);
      if (!reads || out == kNone) continue;
      if (group(out) != g) narrowest = std::min(narrowest, of_group[group(out)]);
    }
    of_group[g] = narrowest;
  }
  for (std::size_t v = 0; v < bits_.size(); ++v)
    bits_[v] = of_group[group(static_cast<ValueId>(v))];
}

int Widths::of(const Graph& graph, const Node& n) const {
  const bool by_inputs = ops::follows(n, ops::QuantRule::FloatOutput) ||
                         ops::follows(n, ops::QuantRule::CompareInputs);
  const auto& deciding = by_inputs ? n.inputs : n.outputs;
  for (ValueId v : deciding)
    if (is_quantizable(graph, v)) return of(v);
  return 8;
}

int Widths::of_weights(const Graph& graph, const Node& n) const {
  const int bits = of(graph, n);
  if (bits == 8 || !has_w8a16(graph, n)) return bits;
  const auto named = layer_weight_bits_.find(n.name);
  return named == layer_weight_bits_.end() ? weight_bits_ : named->second;
}

bool has_w8a16(const Graph& graph, const Node& n) {
  if (!is_weighted(graph, n) || n.op == "ConvTranspose") return false;
  const std::int64_t groups = n.op == "Conv" ? n.attributes.get_int("group", 1) : 1;
  if (groups == 1) return true;
  // Other groups become a dense filter.
  const Shape& filter = graph.value(n.inputs[1]).constant.shape();
  return filter.at(0) != groups || filter.at(1) != 1;
}

int activation_bits(const Graph& graph, const Node& n) {
  const auto& quant = graph.value(n.outputs.at(0)).quant;
  ESPQUANT_ASSERT(quant.has_value(), "a weighted layer of a quantized graph gives integers");
  return quant->bits;
}

}  // namespace espquant::quant
