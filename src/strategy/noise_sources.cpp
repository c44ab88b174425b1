#include "strategy/noise_sources.h"

#include <algorithm>
#include <map>

#include "ops/op.h"
#include "quant/widths.h"

namespace espquant::strategy {
namespace {

/// What computes from a value, be it moved about before.
void collect_readers(const Graph& graph, ValueId v, std::vector<NodeId>& readers) {
  for (NodeId id : graph.value(v).consumers) {
    const Node& n = graph.node(id);
    if (!ops::follows(n, ops::QuantRule::PassThrough)) {
      readers.push_back(id);
      continue;
    }
    for (ValueId moved : n.outputs)
      if (moved != kNone) collect_readers(graph, moved, readers);
  }
}

}  // namespace

std::vector<MovableLayer> movable_layers(const Workbench& bench, const quant::Settings& settings) {
  const Graph& graph = bench.network();
  const quant::ValueSets& exponents = bench.plan().exponents;
  const quant::Widths widths(graph, exponents, settings, bench.plan().wide);
  std::vector<MovableLayer> layers;
  std::vector<bool> seen(graph.value_count(), false);
  // A layer with weights speaks for its group, else the first that rounds.
  for (const bool weighted : {true, false}) {
    for (NodeId id : graph.topological_order()) {
      const Node& n = graph.node(id);
      const ValueId v = quant::first_rounded_output(graph, n);
      if (quant::is_weighted(graph, n) != weighted || v == kNone ||
          ops::follows(n, ops::QuantRule::FloatOutput))
        continue;
      const ValueId group = exponents.find(v);
      const auto slot = static_cast<std::size_t>(group);
      if (seen[slot] || widths.of(v) != 8) continue;
      if (settings.layer_bits.contains(n.name)) {
        seen[slot] = true;
        continue;
      }
      if (!weighted && !bench.plan().rounded[static_cast<std::size_t>(v)]) continue;
      quant::Settings wide = settings;
      wide.layer_bits[n.name] = 16;
      if (quant::Widths(graph, exponents, wide, bench.plan().wide).of(v) != 16) continue;
      seen[slot] = true;
      layers.push_back({n.name, group, {}});
    }
  }
  for (MovableLayer& layer : layers)
    for (NodeId id : graph.topological_order()) {
      const Node& n = graph.node(id);
      if (quant::has_w8a16(graph, n) && exponents.find(n.outputs[0]) == layer.group &&
          !settings.layer_weight_bits.contains(n.name))
        layer.narrow_weights.push_back(n.name);
    }
  std::map<std::string_view, std::size_t> place;
  for (NodeId id : graph.topological_order()) place.emplace(graph.node(id).name, place.size());
  std::sort(layers.begin(), layers.end(), [&](const MovableLayer& a, const MovableLayer& b) {
    return place.at(a.name) < place.at(b.name);
  });
  return layers;
}

std::vector<SharedTensor> shared_tensors(const Workbench& bench,
                                         std::span<const MovableLayer> layers) {
  const Graph& graph = bench.network();
  const quant::ValueSets& exponents = bench.plan().exponents;
  std::map<ValueId, std::size_t> layer_of;
  for (std::size_t i = 0; i < layers.size(); ++i) layer_of.emplace(layers[i].group, i);

  std::vector<SharedTensor> tensors;
  const auto consider = [&](ValueId v) {
    if (v == kNone || !bench.plan().rounded[static_cast<std::size_t>(v)]) return;
    SharedTensor tensor{v, {}};
    const auto add = [&](ValueId member) {
      const auto it = layer_of.find(exponents.find(member));
      if (it == layer_of.end()) return false;
      tensor.layers.push_back(it->second);
      return true;
    };
    // An input of the network is as wide as its readers want it.
    if (!add(v) && !graph.is_input(v)) return;
    std::vector<NodeId> readers;
    collect_readers(graph, v, readers);
    for (NodeId reader : readers) {
      const Node& n = graph.node(reader);
      if (n.outputs.empty() || n.outputs[0] == kNone) return;
      // What gives out floats reads either width.
      if (ops::follows(n, ops::QuantRule::FloatOutput) ||
          !quant::is_quantizable(graph, n.outputs[0]))
        continue;
      // A reader that never has 16 bits keeps its copy at 8.
      if (!add(n.outputs[0])) return;
    }
    std::sort(tensor.layers.begin(), tensor.layers.end());
    tensor.layers.erase(std::unique(tensor.layers.begin(), tensor.layers.end()),
                        tensor.layers.end());
    if (tensor.layers.size() > 1) tensors.push_back(std::move(tensor));
  };
  for (ValueId v : graph.inputs()) consider(v);
  for (NodeId id : graph.topological_order())
    for (ValueId v : graph.node(id).outputs) consider(v);
  return tensors;
}

NoiseSources::NoiseSources(std::span<const double> alone, std::vector<NoiseSource> tensors,
                           std::span<const double> weights)
    : sources_(std::move(tensors)), weights_(weights.begin(), weights.end()) {
  weights_.resize(alone.size(), 0.0);
  std::vector<double> own(alone.begin(), alone.end());
  for (std::size_t i = 0; i < own.size(); ++i) own[i] -= weights_[i];
  for (const NoiseSource& tensor : sources_)
    for (std::size_t layer : tensor.layers) own[layer] -= tensor.noise;
  for (std::size_t i = 0; i < own.size(); ++i) sources_.push_back({std::max(own[i], 0.0), {i}});
}

double NoiseSources::total() const {
  double sum = 0;
  for (const NoiseSource& s : sources_) sum += s.noise;
  for (double noise : weights_) sum += noise;
  return sum;
}

double NoiseSources::left(std::span<const LayerWidth> now) const {
  double sum = 0;
  for (const NoiseSource& s : sources_)
    if (std::any_of(s.layers.begin(), s.layers.end(),
                    [&](std::size_t l) { return now[l] == LayerWidth::Narrow; }))
      sum += s.noise;
  for (std::size_t l = 0; l < weights_.size(); ++l)
    if (now[l] != LayerWidth::Wide) sum += weights_[l];
  return sum;
}

double NoiseSources::gain(std::size_t layer, LayerWidth to, std::span<const LayerWidth> now,
                          std::size_t room) const {
  double sum = to == LayerWidth::Wide ? weights_[layer] : 0;
  if (now[layer] != LayerWidth::Narrow) return sum;
  for (const NoiseSource& s : sources_) {
    if (std::find(s.layers.begin(), s.layers.end(), layer) == s.layers.end()) continue;
    const auto missing = static_cast<std::size_t>(
        std::count_if(s.layers.begin(), s.layers.end(),
                      [&](std::size_t l) { return now[l] == LayerWidth::Narrow; }));
    if (missing <= room) sum += s.noise / static_cast<double>(missing);
  }
  return sum;
}

}  // namespace espquant::strategy
