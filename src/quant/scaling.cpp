#include "quant/scaling.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

namespace espquant::quant {
namespace {

constexpr int kSweeps = 3;

float into_octave(float x) { return std::ldexp(x, -std::ilogb(x)); }

/// Relative error of a layer's weights as a function of the factor they are multiplied by,
/// remembered.
class WeightErrors {
 public:
  WeightErrors(const Graph& graph, const LayerInputs& inputs, const Widths& widths,
               const Settings& settings)
      : graph_(graph), inputs_(inputs), widths_(widths), settings_(settings) {}

  double relative(NodeId id, float factor) {
    // Powers of two do not matter: only the place within an octave does.
    const int key = static_cast<int>(std::lround(std::log2(into_octave(factor)) * 4096)) % 4096;
    const auto [it, fresh] = known_.try_emplace({id, key}, 0.0);
    if (!fresh) return it->second;
    auto rows = rows_.find(id);
    if (rows == rows_.end()) rows = rows_.emplace(id, weight_rows(graph_, id, inputs_)).first;
    const double signal = weight_signal(rows->second);
    const auto choice = best_weight_exponents(
        rows->second, into_octave(factor), max_q_of(widths_.of_weights(graph_, graph_.node(id))),
        settings_.per_channel_weights && graph_.node(id).op != "MatMul");
    return it->second = signal > 0 ? choice.error / signal : 0;
  }

 private:
  const Graph& graph_;
  const LayerInputs& inputs_;
  const Widths& widths_;
  const Settings& settings_;
  std::map<std::pair<NodeId, int>, double> known_;
  std::map<NodeId, WeightRows> rows_;
};

bool is_capped(const Graph& graph, ValueId v) {
  const NodeId producer = graph.value(v).producer;
  return producer != kNone && graph.node(producer).op == "Clip";
}

struct Layer {
  NodeId node;
  ValueId in_group, out_group;
};

}  // namespace

std::vector<float> choose_factors(const Graph& graph, const Plan& plan,
                                  const ActivationErrors& errors, const LayerInputs& inputs,
                                  const Widths& widths, const Settings& settings) {
  std::vector<float> factors(graph.value_count(), 1.0F);
  if (!settings.scale_layers) return factors;

  std::vector<Layer> layers;
  std::map<ValueId, std::vector<std::size_t>> layers_of;
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (!is_weighted(graph, n)) continue;
    const Layer layer{id, plan.scales.sets.find(n.inputs[0]), plan.scales.sets.find(n.outputs[0])};
    layers_of[layer.in_group].push_back(layers.size());
    if (layer.out_group != layer.in_group) layers_of[layer.out_group].push_back(layers.size());
    layers.push_back(layer);
  }
  // A scale group falls into exponent groups, each of which picks its own exponent.
  std::map<ValueId, std::vector<std::vector<ValueId>>> parts;
  for (const auto& members : plan.exponents.members())
    if (!members.empty()) parts[plan.scales.sets.find(members.front())].push_back(members);

  WeightErrors weights(graph, inputs, widths, settings);
  const auto factor_of = [&](ValueId group) -> float& {
    return factors[static_cast<std::size_t>(group)];
  };
  const auto cost = [&](ValueId group) {
    double sum = 0;
    for (const auto& members : parts[group]) {
      const auto best = errors.best_by_errors(errors.members(members), factor_of(group),
                                              widths.of(members.front()));
      if (best.found) sum += best.error;
    }
    for (std::size_t l : layers_of[group])
      sum += weights.relative(layers[l].node,
                              factor_of(layers[l].out_group) / factor_of(layers[l].in_group));
    return sum;
  };

  const auto capped_bits = [&](ValueId group) {
    int bits = 16;
    for (const auto& members : parts[group])
      for (ValueId v : members)
        if (plan.rounded[static_cast<std::size_t>(v)] && is_capped(graph, v))
          bits = std::min(bits, widths.of(v));
    return bits;
  };
  std::vector<ValueId> open;
  for (const auto& [group, unused] : layers_of) {
    const auto g = static_cast<std::size_t>(group);
    if (plan.scales.fixed[g]) continue;
    if (plan.cap[g] > 0)
      factor_of(group) =
          into_octave(static_cast<float>(max_q_of(capped_bits(group))) / plan.cap[g]);
    else
      open.push_back(group);
  }
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    bool changed = false;
    for (ValueId group : open) {
      float& factor = factor_of(group);
      const float before = factor;
      float best = before;
      double least = cost(group);
      for (int j = 0; j < kFactorsPerOctave; ++j) {
        factor = std::exp2(static_cast<float>(j) / static_cast<float>(kFactorsPerOctave));
        if (factor == before) continue;
        if (const double c = cost(group); c < least * 0.999) {
          least = c;
          best = factor;
        }
      }
      factor = best;
      changed = changed || best != before;
    }
    if (!changed) break;
  }
  return factors;
}

void unshare_constants(Graph& graph) {
  for (NodeId id : graph.topological_order()) {
    for (std::size_t i = 1; i < graph.node(id).inputs.size(); ++i) {
      const ValueId v = graph.node(id).inputs[i];
      if (v == kNone || !graph.value(v).is_constant() || graph.value(v).consumers.size() < 2)
        continue;
      if (graph.value(v).dtype != DType::Float32) continue;
      const Tensor shared = graph.value(v).constant;
      graph.set_input(id, i,
                      graph.add_constant(graph.unique_value_name(graph.value(v).name), shared));
    }
  }
}

namespace {

void multiply(Graph& graph, ValueId v, float factor) {
  if (v == kNone || factor == 1.0F) return;
  for (float& x : graph.value(v).constant.mutable_data<float>()) x *= factor;
}

}  // namespace

void apply_factors(Graph& graph, const ValueSets& groups, const std::vector<float>& factors) {
  const auto factor_of = [&](ValueId v) {
    return factors[static_cast<std::size_t>(groups.find(v))];
  };
  for (NodeId id : graph.topological_order()) {
    const Node n = graph.node(id);
    if (is_weighted(graph, n)) {
      const float out = factor_of(n.outputs[0]);
      multiply(graph, n.inputs[1], out / factor_of(n.inputs[0]));
      multiply(graph, n.input(2), out);
    } else if (n.op == "Clip") {
      multiply(graph, n.input(1), factor_of(n.outputs[0]));
      multiply(graph, n.input(2), factor_of(n.outputs[0]));
    }
  }
}

}  // namespace espquant::quant
