#include "calib/output_samples.h"

#include <algorithm>

namespace espquant::calib {
namespace {

constexpr std::int64_t kOutputPositionsPerColumn = 4, kLeastOutputPositions = 2048;
// Filters of one channel have few weights.
constexpr std::int64_t kLeastDepthwisePositions = 1024;

}  // namespace

LayerOutputs room_for_outputs(const Graph& graph, std::span<const NodeId> layers,
                              std::int64_t samples) {
  LayerOutputs outputs;
  for (NodeId id : layers) {
    const Node& n = graph.node(id);
    if (n.op != "Conv" && n.op != "Gemm") continue;
    const Patches patches(graph, n);
    const std::int64_t groups = n.op == "Conv" ? n.attributes.get_int("group", 1) : 1;
    const std::int64_t columns = patches.width() / groups;
    if (columns == 0 || columns > kMostFollowedColumns) continue;
    OutputSamples mine;
    const std::int64_t least = groups > 1 && groups == patches.channels() ? kLeastDepthwisePositions
                                                                          : kLeastOutputPositions;
    mine.choice = choose_positions(patches.positions(), samples,
                                   std::max(least, kOutputPositionsPerColumn * columns));
    if (mine.choice.per_sample == 0) continue;
    const Shape& out = *graph.value(n.outputs[0]).shape;
    mine.channels = n.op == "Conv" ? out[1] : out.back();
    mine.values.resize(static_cast<std::size_t>(samples * mine.choice.per_sample * mine.channels));
    outputs.emplace(id, std::move(mine));
  }
  return outputs;
}

void keep_outputs(const Graph& graph, const ops::Executor::View& view, std::int64_t sample,
                  LayerOutputs& into) {
  const auto found = into.find(graph.value(view.value).producer);
  if (found == into.end()) return;
  OutputSamples& mine = found->second;
  const bool channels_first = view.shape.size() > 2 && !view.channels_last;
  const std::int64_t positions = static_cast<std::int64_t>(view.data.size()) / mine.channels;
  const std::int64_t step_position = channels_first ? 1 : mine.channels;
  const std::int64_t step_channel = channels_first ? positions : 1;
  float* out = mine.values.data() + sample * mine.choice.per_sample * mine.channels;
  for (std::int64_t i = 0; i < mine.choice.per_sample; ++i) {
    const float* at = view.data.data() + mine.choice.position(i, sample) * step_position;
    for (std::int64_t c = 0; c < mine.channels; ++c) *out++ = at[c * step_channel];
  }
}

}  // namespace espquant::calib
