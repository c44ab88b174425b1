#include "strategy/channel_means.h"

#include "ops/op.h"
#include "quant/quantize.h"

namespace espquant::strategy {
namespace {

/// Calls visit(channel, first, end) for runs of elements; channels-last, where there is one of
/// each, visit(0, first, end) for all channels at once.
template <typename F>
void each_row(const Channels& channels, std::size_t size, F&& visit) {
  const std::size_t row = channels.inner == 1 ? channels.count : channels.inner;
  for (std::size_t first = 0, channel = 0; first < size; first += row) {
    visit(channel, first, std::min(first + row, size));
    if (channels.inner > 1) channel = channel + 1 == channels.count ? 0 : channel + 1;
  }
}

}  // namespace

Channels Channels::of(const ops::Executor::View& view) {
  if (view.shape.size() < 2) return {};
  const auto count = static_cast<std::size_t>(view.shape[1]);
  const std::size_t outer = view.channels_last ? view.data.size() : count;
  return {count, view.channels_last ? 1 : view.data.size() / std::max<std::size_t>(outer, 1)};
}

ChannelMeans mean_difference(const Channels& channels, std::span<const float> a,
                             std::span<const float> b) {
  ChannelMeans sums(channels.count, 0.0F);
  each_row(channels, a.size(), [&](std::size_t channel, std::size_t first, std::size_t end) {
    if (channels.inner == 1) {
      for (std::size_t k = first; k < end; ++k) sums[k - first] += a[k] - b[k];
    } else {
      float sum = 0;
      for (std::size_t k = first; k < end; ++k) sum += a[k] - b[k];
      sums[channel] += sum;
    }
  });
  const auto each = static_cast<float>(
      std::max<std::size_t>(a.size() / std::max<std::size_t>(channels.count, 1), 1));
  for (float& sum : sums) sum /= each;
  return sums;
}

void subtract_means(const Channels& channels, const ChannelMeans& means, std::span<float> values) {
  each_row(channels, values.size(), [&](std::size_t channel, std::size_t first, std::size_t end) {
    if (channels.inner == 1)
      for (std::size_t k = first; k < end; ++k) values[k] -= means[k - first];
    else
      for (std::size_t k = first; k < end; ++k) values[k] -= means[channel];
  });
}

std::vector<bool> means_made_up_for(const Graph& graph) {
  const auto is_linear = [](const Node& n) {
    return ops::follows(n, ops::QuantRule::PassThrough) || n.op == "AveragePool" ||
           n.op == "GlobalAveragePool" || n.op == "ReduceMean" || n.op == "Add" || n.op == "Sub" ||
           n.op == "Concat";
  };
  std::vector<bool> found(graph.value_count(), false);
  const auto settle = [&](ValueId v) {
    if (v == kNone || graph.is_output(v)) return;
    const auto& readers = graph.value(v).consumers;
    found[static_cast<std::size_t>(v)] =
        std::all_of(readers.begin(), readers.end(), [&](NodeId id) {
          const Node& n = graph.node(id);
          return (quant::is_weighted(graph, n) && quant::has_correctable_bias(graph, n)) ||
                 (is_linear(n) && n.outputs[0] != kNone &&
                  found[static_cast<std::size_t>(n.outputs[0])]);
        });
  };
  const std::vector<NodeId> order = graph.topological_order();
  for (auto id = order.rbegin(); id != order.rend(); ++id)
    for (ValueId v : graph.node(*id).outputs) settle(v);
  for (ValueId v : graph.inputs()) settle(v);
  return found;
}

}  // namespace espquant::strategy
