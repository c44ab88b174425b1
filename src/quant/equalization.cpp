#include "quant/equalization.h"

#include <algorithm>
#include <cmath>

namespace espquant::quant {
namespace {

constexpr float kLeastFactor = 0.1F, kMostFactor = 10.0F;
// The weights that read a channel shrink as it grows; further and they would be lost among others.
constexpr float kMostEvening = 8.0F;
// Data not seen in calibration may reach a little further than what was.
constexpr float kHeadroom = 1.1F;

void raise(std::vector<float>& ranges, std::span<const float> more, float multiplier = 1.0F) {
  for (std::size_t c = 0; c < ranges.size() && c < more.size(); ++c)
    ranges[c] = std::max(ranges[c], std::abs(more[c]) * multiplier);
}

/// Of what the chip stores: what an activation cuts off is never there.
std::vector<float> group_maxima(const Graph& graph, const ChannelGroup& group,
                                const ChannelExtents& extents) {
  std::vector<float> found(static_cast<std::size_t>(group.channels), 0.0F);
  for (ValueId v : group.values) {
    if (static_cast<std::size_t>(v) >= extents.size()) continue;
    const NodeId producer = graph.value(v).producer;
    if (producer != kNone && following_activation(graph, producer) != kNone) continue;
    const auto& mine = extents[static_cast<std::size_t>(v)];
    for (std::size_t c = 0; c < std::min(found.size(), mine.size()); ++c)
      found[c] = std::max(found[c], mine[c].abs_max());
  }
  return found;
}

std::vector<float> factors_of(const Graph& graph, const ChannelGroup& group,
                              const EqualizationSettings& settings, const ChannelExtents& extents) {
  const auto channels = static_cast<std::size_t>(group.channels);
  std::vector<float> before(channels, 0.0F), after(channels, 0.0F), factors(channels, 1.0F);
  for (NodeId id : group.writers) {
    const Node& n = graph.node(id);
    raise(before, output_channel_maxima(graph, n));
    if (settings.include_bias && n.input(2) != kNone)
      raise(before, graph.value(n.inputs[2]).constant.data<float>(), settings.bias_multiplier);
  }
  for (NodeId id : group.readers) raise(after, input_channel_maxima(graph, graph.node(id)));
  const std::vector<float> reached = group_maxima(graph, group, extents);
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

namespace {

void apply(Graph& graph, const ChannelGroup& group, std::span<const float> factors,
           ChannelExtents& extents) {
  for (NodeId id : group.writers) scale_output_channels(graph, graph.node(id), factors);
  for (NodeId id : group.readers) unscale_input_channels(graph, graph.node(id), factors);
  for (ValueId v : group.values) {
    if (static_cast<std::size_t>(v) >= extents.size()) continue;
    auto& mine = extents[static_cast<std::size_t>(v)];
    for (std::size_t c = 0; c < mine.size(); ++c)
      mine[c] = {mine[c].min * factors[c], mine[c].max * factors[c]};
  }
}

}  // namespace

int equalize(Graph& graph, const EqualizationSettings& settings, ChannelExtents& extents) {
  const std::vector<ChannelGroup> groups = channel_groups(graph, settings.through_adds);
  for (int i = 0; i < settings.iterations; ++i)
    for (const ChannelGroup& group : groups)
      apply(graph, group, factors_of(graph, group, settings, extents), extents);
  return static_cast<int>(groups.size());
}

int even_activations(Graph& graph, bool through_adds, ChannelExtents& extents) {
  const std::vector<ChannelGroup> groups = channel_groups(graph, through_adds);
  for (const ChannelGroup& group : groups) {
    const std::vector<float> reached = group_maxima(graph, group, extents);
    const float most = *std::max_element(reached.begin(), reached.end());
    const float room = group.cap > 0 ? std::min(most, group.cap / kHeadroom) : most;
    std::vector<float> factors(reached.size(), 1.0F);
    for (std::size_t c = 0; c < reached.size(); ++c)
      if (reached[c] > 0 && reached[c] < room)
        factors[c] = std::min(room / reached[c], kMostEvening);
    apply(graph, group, factors, extents);
  }
  return static_cast<int>(groups.size());
}

namespace {

// Adds to each output what a constant `shift` per input channel contributes.
void add_to_bias(Graph& graph, NodeId layer, std::span<const float> shift) {
  const Node n = graph.node(layer);
  const std::vector<double> sums = input_channel_response(graph, n, shift);
  if (n.input(2) == kNone) {
    const Tensor zeros(DType::Float32, {static_cast<std::int64_t>(sums.size())});
    graph.set_input(layer, 2, graph.add_constant(graph.unique_value_name(n.name + "_bias"), zeros));
  }
  auto bias = graph.value(graph.node(layer).inputs[2]).constant.mutable_data<float>();
  for (std::size_t c = 0; c < bias.size(); ++c) bias[c] += static_cast<float>(sums[c]);
}

bool reads_without_padding(const Graph& graph, const Node& n, ValueId v) {
  if (!is_weighted(graph, n) || n.inputs[0] != v) return false;
  if (n.op == "Gemm") return true;
  if (n.op != "Conv") return false;
  const auto pads = n.attributes.get_ints("pads");
  return std::all_of(pads.begin(), pads.end(), [](std::int64_t p) { return p == 0; });
}

}  // namespace

int absorb_high_biases(Graph& graph, const ChannelExtents& extents) {
  int absorbed = 0;
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (!is_weighted(graph, n) || (n.op != "Conv" && n.op != "Gemm") || n.input(2) == kNone)
      continue;
    const NodeId activation = following_activation(graph, id);
    if (activation == kNone || graph.node(activation).op != "Relu") continue;
    const ValueId after = graph.node(activation).outputs[0];
    const std::vector<NodeId> readers = graph.value(after).consumers;
    const bool movable = !graph.is_output(after) && !readers.empty() &&
                         std::all_of(readers.begin(), readers.end(), [&](NodeId reader) {
                           return reads_without_padding(graph, graph.node(reader), after);
                         });
    const auto before = static_cast<std::size_t>(n.outputs[0]);
    if (!movable || before >= extents.size() || extents[before].empty()) continue;
    std::vector<float> shift(extents[before].size(), 0.0F);
    auto bias = graph.value(n.inputs[2]).constant.mutable_data<float>();
    if (bias.size() != shift.size()) continue;
    int here = 0;
    for (std::size_t c = 0; c < shift.size(); ++c) {
      shift[c] = std::max(extents[before][c].min, 0.0F);
      bias[c] -= shift[c];
      here += shift[c] > 0 ? 1 : 0;
    }
    if (here == 0) continue;
    for (NodeId reader : readers) add_to_bias(graph, reader, shift);
    absorbed += here;
  }
  return absorbed;
}

}  // namespace espquant::quant
