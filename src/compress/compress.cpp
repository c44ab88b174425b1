#include "compress/compress.h"

#include <algorithm>

#include "compress/refit.h"

namespace espquant::compress {
namespace {

constexpr std::int64_t kSensitivitySamples = 64;

std::vector<NodeId> readers_of(const Channels& channels) {
  std::vector<NodeId> readers;
  for (const auto& group : channels.groups())
    readers.insert(readers.end(), group.readers.begin(), group.readers.end());
  std::sort(readers.begin(), readers.end());
  readers.erase(std::unique(readers.begin(), readers.end()), readers.end());
  return readers;
}

std::vector<RemovedChannels> removals(const Graph& graph, const Channels& channels,
                                      std::span<const RemovalCurve> curves,
                                      const ChannelChoice& choice, const PriceOf& price_of) {
  std::vector<RemovedChannels> removed;
  for (std::size_t g = 0; g < choice.gone.size(); ++g) {
    if (choice.gone[g] == 0) continue;
    const Channels::Group& group = channels.groups()[g];
    RemovedChannels& one = removed.emplace_back();
    for (NodeId id : group.writers) one.layers.push_back(graph.node(id).name);
    one.before = static_cast<std::int64_t>(group.classes.size());
    one.after = one.before - static_cast<std::int64_t>(choice.gone[g]);
    one.loss = curves[g].loss[choice.gone[g]];
    std::vector<std::size_t> without = choice.gone;
    without[g] = 0;
    const Price more =
        price_of(without_channels(graph, channels, kept_classes(channels, curves, without)));
    one.saved = {more.milliseconds - choice.price.milliseconds,
                 more.file_bytes - choice.price.file_bytes,
                 more.ram_bytes - choice.price.ram_bytes};
  }
  return removed;
}

}  // namespace

Compressed compress(const Graph& original, const calib::SampleSource& source,
                    const PriceOf& price_of, const CompressOptions& options,
                    std::span<const RankedBlock> blocks) {
  Compressed result;
  std::vector<Block> gone;
  for (const RankedBlock& one : blocks) {
    gone.push_back(one.block);
    result.blocks.push_back({one.layers, one.saved, one.loss});
  }
  Graph graph = without_blocks(original, gone);
  if (options.refit && !blocks.empty())
    refit(
        graph, original, [](ValueId) { return std::vector<std::size_t>(); }, source,
        options.samples, options.progress);
  const Channels channels(graph);
  const std::vector<NodeId> readers = readers_of(channels);
  const auto covariances =
      calib::gather_covariance(ops::Executor(graph), source, readers, options.samples);
  const Sensitivities sensitivities =
      output_sensitivities(graph, readers, source, kSensitivitySamples);
  const std::vector<RemovalCurve> curves =
      removal_curves(graph, channels, covariances, sensitivities, options.importance);
  const ChannelChoice choice = choose_channels(graph, channels, curves, price_of, options.choice);
  const std::vector<bool> kept = kept_classes(channels, curves, choice.gone);
  result.graph = without_channels(graph, channels, kept);
  result.before = price_of(original);
  result.after = choice.price;
  result.loss = choice.loss;
  result.met = choice.met;
  result.removed = removals(graph, channels, curves, choice, price_of);
  if (options.refit && !(result.removed.empty() && result.blocks.empty()))
    refit(
        result.graph, original,
        [&](ValueId v) {
          std::vector<std::size_t> left;
          const auto classes = channels.classes_of(v);
          for (std::size_t i = 0; i < classes.size(); ++i)
            if (kept[static_cast<std::size_t>(classes[i])]) left.push_back(i);
          return left;
        },
        source, options.samples, options.progress);
  return result;
}

}  // namespace espquant::compress
