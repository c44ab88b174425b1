#include "quant/equalization.h"

#include <algorithm>
#include <cmath>

namespace espquant::quant {
namespace {

constexpr float kLeastFactor = 0.1F, kMostFactor = 10.0F;
// Data not seen in calibration may reach a little further than what was.
constexpr float kHeadroom = 1.1F;

void raise(std::vector<float>& ranges, std::span<const float> more, float multiplier = 1.0F) {
  for (std::size_t c = 0; c < ranges.size() && c < more.size(); ++c)
    ranges[c] = std::max(ranges[c], std::abs(more[c]) * multiplier);
}

std::vector<float> group_maxima(const ChannelGroup& group, const ChannelMaxima& maxima) {
  std::vector<float> found(static_cast<std::size_t>(group.channels), 0.0F);
  for (ValueId v : group.values)
    if (static_cast<std::size_t>(v) < maxima.size())
      raise(found, maxima[static_cast<std::size_t>(v)]);
  return found;
}

std::vector<float> factors_of(const Graph& graph, const ChannelGroup& group,
                              const EqualizationSettings& settings, const ChannelMaxima& maxima) {
  const auto channels = static_cast<std::size_t>(group.channels);
  std::vector<float> before(channels, 0.0F), after(channels, 0.0F), factors(channels, 1.0F);
  for (NodeId id : group.writers) {
    const Node& n = graph.node(id);
    raise(before, output_channel_maxima(graph, n));
    if (settings.include_bias && n.input(2) != kNone)
      raise(before, graph.value(n.inputs[2]).constant.data<float>(), settings.bias_multiplier);
  }
  for (NodeId id : group.readers) raise(after, input_channel_maxima(graph, graph.node(id)));
  const std::vector<float> reached = group_maxima(group, maxima);
  if (settings.include_activation) raise(before, reached, settings.activation_multiplier);
  for (std::size_t c = 0; c < channels; ++c) {
    if (before[c] + after[c] < settings.value_threshold || before[c] <= 0 || after[c] <= 0)
      continue;
    factors[c] = std::clamp(std::sqrt(after[c] / before[c]), kLeastFactor, kMostFactor);
    if (group.cap <= 0) continue;
    const float room = group.cap / kHeadroom;
    factors[c] = reached[c] >= room ? 1.0F
                 : reached[c] > 0   ? std::min(factors[c], room / reached[c])
                                    : factors[c];
  }
  return factors;
}

}  // namespace

int turn_caps_into_relus(Graph& graph) {
  int turned = 0;
  for (NodeId id : graph.topological_order()) {
    Node& n = graph.node(id);
    if (n.op != "Clip") continue;
    const auto bounds = clip_bounds(graph, n);
    if (!bounds || bounds->min != 0 || !std::isfinite(bounds->max)) continue;
    while (n.inputs.size() > 1) {
      if (n.inputs.back() != kNone) graph.set_input(id, n.inputs.size() - 1, kNone);
      n.inputs.pop_back();
    }
    n.op = "Relu";
    ++turned;
  }
  return turned;
}

int equalize(Graph& graph, const EqualizationSettings& settings, ChannelMaxima& maxima) {
  const std::vector<ChannelGroup> groups = channel_groups(graph, settings.through_adds);
  for (int i = 0; i < settings.iterations; ++i) {
    for (const ChannelGroup& group : groups) {
      const std::vector<float> factors = factors_of(graph, group, settings, maxima);
      for (NodeId id : group.writers) scale_output_channels(graph, graph.node(id), factors);
      for (NodeId id : group.readers) unscale_input_channels(graph, graph.node(id), factors);
      for (ValueId v : group.values) {
        if (static_cast<std::size_t>(v) >= maxima.size()) continue;
        auto& mine = maxima[static_cast<std::size_t>(v)];
        for (std::size_t c = 0; c < mine.size(); ++c) mine[c] *= factors[c];
      }
    }
  }
  return static_cast<int>(groups.size());
}

}  // namespace espquant::quant
