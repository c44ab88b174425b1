#include "quant/plan.h"

#include <algorithm>
#include <cmath>

#include "ops/op.h"

namespace espquant::quant {
namespace {

// Octaves tried around the step that just covers the range seen so far: clipping to a sixteenth at
// most, and room for later samples that are twice as large.
constexpr int kOctavesBelow = 4, kOctavesAbove = 1;
// Ranges are the same up to rounding.
constexpr float kSameRange = 1.001F;

bool aligns_operands(const Node& n) { return ops::follows(n, ops::QuantRule::AlignInputs); }

std::vector<bool> rounded_values(const Graph& graph) {
  std::vector<bool> rounded(graph.value_count(), false);
  for (ValueId v : graph.inputs()) rounded[static_cast<std::size_t>(v)] = is_quantizable(graph, v);
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (ops::follows(n, ops::QuantRule::PassThrough)) continue;
    if (following_activation(graph, id) != kNone) continue;
    for (ValueId v : n.outputs)
      if (v != kNone) rounded[static_cast<std::size_t>(v)] = is_quantizable(graph, v);
  }
  return rounded;
}

// The cap of a scale group: the bound of its Clips, when all agree.
std::vector<float> caps_of(const Graph& graph, const ScaleGroups& groups) {
  std::vector<float> cap(graph.value_count(), 0.0F);
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (n.op != "Clip") continue;
    const auto bounds = clip_bounds(graph, n);
    if (!bounds || bounds->min != 0 || !std::isfinite(bounds->max) || bounds->max <= 0) continue;
    float& slot = cap[static_cast<std::size_t>(groups.sets.find(n.outputs[0]))];
    slot = slot == 0 || slot == bounds->max ? bounds->max : -1;
  }
  std::replace(cap.begin(), cap.end(), -1.0F, 0.0F);
  return cap;
}

std::vector<float> steps_around(float abs_max, bool free, float cap) {
  constexpr int kMaxQ = max_q_of(8);
  std::vector<float> steps;
  if (free && cap > 0) {
    // Sums of capped values reach further than the cap.
    const float beyond = std::max(abs_max / (cap * kSameRange), 1.0F);
    for (int j = -static_cast<int>(std::ceil(std::log2(beyond))); j <= kOctavesBelow; ++j)
      steps.push_back(cap / static_cast<float>(kMaxQ) * std::ldexp(1.0F, -j));
    return steps;
  }
  const int top = covering_exponent(abs_max, kMaxQ) + kOctavesAbove;
  const int per_octave = free ? kFactorsPerOctave : 1;
  for (int i = 0; i <= (kOctavesBelow + kOctavesAbove) * per_octave; ++i)
    steps.push_back(std::exp2(static_cast<float>(top) -
                              static_cast<float>(i) / static_cast<float>(per_octave)));
  return steps;
}

// `results`, what they only show, and all that share their exponents.
std::vector<bool> shown_by(const Graph& graph, const ValueSets& exponents,
                           std::vector<bool> results) {
  const std::vector<NodeId> order = graph.topological_order();
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const Node& n = graph.node(*id);
    const bool shows = ops::follows(n, ops::QuantRule::FloatOutput) ||
                       ops::follows(n, ops::QuantRule::PassThrough);
    if (shows && n.inputs[0] != kNone &&
        std::any_of(n.outputs.begin(), n.outputs.end(),
                    [&](ValueId v) { return v != kNone && results[static_cast<std::size_t>(v)]; }))
      results[static_cast<std::size_t>(n.inputs[0])] = true;
  }
  for (const auto& members : exponents.members())
    if (std::any_of(members.begin(), members.end(),
                    [&](ValueId v) { return results[static_cast<std::size_t>(v)]; }))
      for (ValueId v : members) results[static_cast<std::size_t>(v)] = true;
  return results;
}

std::vector<bool> results_of(const Graph& graph, const ValueSets& exponents) {
  std::vector<bool> outputs(graph.value_count(), false);
  for (ValueId v : graph.outputs()) outputs[static_cast<std::size_t>(v)] = true;
  return shown_by(graph, exponents, std::move(outputs));
}

std::vector<bool> scores_of(const Graph& graph, const ValueSets& exponents) {
  std::vector<bool> scores(graph.value_count(), false);
  for (ValueId v : graph.outputs()) {
    const Value& value = graph.value(v);
    const bool of_softmax = value.producer != kNone &&
                            ops::follows(graph.node(value.producer), ops::QuantRule::FloatOutput);
    const bool vector =
        value.shape && std::ranges::count_if(*value.shape, [](auto n) { return n != 1; }) <= 1;
    scores[static_cast<std::size_t>(v)] = of_softmax || vector;
  }
  return shown_by(graph, exponents, std::move(scores));
}

// The tensors that a layer gives out: those of the activation behind it, where there is one.
std::span<const ValueId> outputs_of_layer(const Graph& graph, NodeId id) {
  const NodeId activation = following_activation(graph, id);
  return graph.node(activation == kNone ? id : activation).outputs;
}

}  // namespace

void choose_methods(const Graph& graph, const Settings& settings, Plan& plan) {
  check_percentile(settings.percentile);
  plan.methods.assign(graph.value_count(), settings.method);
  plan.percentiles.assign(graph.value_count(), settings.percentile);
  if (settings.method == Method::Auto)
    for (std::size_t v = 0; v < plan.scores.size(); ++v)
      if (plan.scores[v]) plan.methods[v] = Method::Sqnr;
  // Entropy weighs how often values occur; in a picture the rare bright ones count no less, and no
  // layer behind can bring back what is cut off here.
  for (ValueId v : graph.inputs())
    if (plan.methods[static_cast<std::size_t>(v)] == Method::Entropy)
      plan.methods[static_cast<std::size_t>(v)] = Method::MinMax;
  if (settings.stated_ranges)
    for (std::size_t v = 0; v < graph.value_count(); ++v)
      if (graph.value(static_cast<ValueId>(v)).stated_range) plan.methods[v] = Method::MinMax;
  for (NodeId id : graph.topological_order()) {
    const std::string& name = graph.node(id).name;
    const auto method = settings.layer_methods.find(name);
    const auto percentile = settings.layer_percentiles.find(name);
    for (ValueId v : outputs_of_layer(graph, id)) {
      if (v == kNone) continue;
      if (method != settings.layer_methods.end())
        plan.methods[static_cast<std::size_t>(v)] = method->second;
      if (percentile == settings.layer_percentiles.end()) continue;
      check_percentile(percentile->second);
      plan.percentiles[static_cast<std::size_t>(v)] = percentile->second;
    }
  }
}

bool Plan::uses(Method method) const {
  for (std::size_t v = 0; v < methods.size(); ++v)
    if (rounded[v] && methods[v] == method) return true;
  return false;
}

// Those of `plan` that are not rounded when they are written.
std::vector<bool> rounded_by_readers(const Graph& graph, const Plan& plan) {
  std::vector<bool> found(graph.value_count(), false);
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (!aligns_operands(n) || !is_quantizable(graph, n.outputs[0])) continue;
    for (ValueId v : n.inputs)
      if (is_quantizable(graph, v) && !plan.rounded[static_cast<std::size_t>(v)] &&
          plan.exponents.find(v) != plan.exponents.find(n.outputs[0]))
        found[static_cast<std::size_t>(v)] = true;
  }
  return found;
}

Plan make_plan(const Graph& graph, const Settings& settings, const calib::Statistics& ranges) {
  Plan plan{exponent_groups(graph),
            scale_groups(graph),
            {},
            rounded_values(graph),
            {},
            {},
            {},
            {},
            {},
            {},
            {}};
  plan.results = results_of(graph, plan.exponents);
  plan.scores = scores_of(graph, plan.exponents);
  choose_methods(graph, settings, plan);
  plan.rounded_by_reader = rounded_by_readers(graph, plan);
  plan.cap = caps_of(graph, plan.scales);
  plan.requests.resize(graph.value_count());
  // At 16 bits the range decides.
  const bool only_wide = settings.bits == 16 && settings.layer_bits.empty();
  for (std::size_t v = 0; v < graph.value_count(); ++v) {
    if (!plan.rounded[v] && !plan.rounded_by_reader[v]) continue;
    add_needs(plan.methods[v], plan.requests[v]);
    if (only_wide) continue;
    const auto id = static_cast<ValueId>(v);
    const auto group = static_cast<std::size_t>(plan.scales.sets.find(id));
    const bool free = settings.scale_layers && !plan.scales.fixed[group];
    plan.requests[v].max_q = max_q_of(8);
    plan.requests[v].steps =
        steps_around(ranges.of(id).extent.abs_max(), free, free ? plan.cap[group] : 0.0F);
  }
  if (settings.bias_correction) {
    for (NodeId id : graph.topological_order()) {
      const Node& n = graph.node(id);
      if (is_weighted(graph, n)) plan.requests[static_cast<std::size_t>(n.inputs[0])].mean = true;
    }
  }
  return plan;
}

bool widen_plan(Plan& plan, const Settings& settings, const calib::Statistics& gathered) {
  bool again = false;
  for (std::size_t v = 0; v < plan.requests.size(); ++v) {
    const auto& found = gathered.values[v];
    auto& steps = plan.requests[v].steps;
    if (steps.empty() || found.errors.empty()) continue;
    const auto group = static_cast<std::size_t>(plan.scales.sets.find(static_cast<ValueId>(v)));
    const bool free = settings.scale_layers && !plan.scales.fixed[group];
    const auto best =
        std::min_element(found.errors.begin(), found.errors.end()) - found.errors.begin();
    const float covered = steps.front() * static_cast<float>(max_q_of(8));
    const bool beyond = best == 0 && found.extent.abs_max() > covered * kSameRange;
    if (!beyond) continue;
    steps = steps_around(found.extent.abs_max(), free, free ? plan.cap[group] : 0.0F);
    again = true;
  }
  return again;
}

}  // namespace espquant::quant
