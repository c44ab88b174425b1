#include "compress/sensitivity.h"

#include <algorithm>

#include "base/random.h"
#include "train/distill.h"
#include "train/network.h"

namespace espquant::compress {
namespace {

constexpr std::uint64_t kSensitivitySeed = 0x5EED;
// Random sums of the outputs for each sample.
constexpr std::int64_t kSensitivityRounds = 2;

std::size_t channels_of(const Graph& graph, NodeId layer) {
  const Shape& shape = *graph.value(graph.node(layer).outputs[0]).shape;
  return static_cast<std::size_t>(graph.node(layer).op == "Conv" ? shape[1] : shape.back());
}

/// Sums of squares over the positions of each channel.
class ChannelSquares {
 public:
  explicit ChannelSquares(std::size_t channels) : sums_(channels, 0.0) {}
  void add(const train::Layout& layout, std::span<const float> values) {
    const bool last = layout.channels_last || layout.shape.size() < 3;
    const std::size_t c = sums_.size(), positions = values.size() / c;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto x = static_cast<double>(values[i]);
      sums_[last ? i % c : i / positions % c] += x * x;
    }
  }
  const std::vector<double>& sums() const { return sums_; }

 private:
  std::vector<double> sums_;
};

std::vector<float> random_signs(Random& random, std::size_t count, bool centred) {
  std::vector<float> signs(count);
  float sum = 0;
  for (float& s : signs) sum += s = (random.next() & 1U) != 0 ? 1.F : -1.F;
  if (centred)
    for (float& s : signs) s -= sum / static_cast<float>(count);
  return signs;
}

}  // namespace

Sensitivities output_sensitivities(const Graph& graph, std::span<const NodeId> layers,
                                   const calib::SampleSource& source, std::int64_t samples) {
  Sensitivities found;
  const Graph scores = train::without_last_softmax(graph);
  train::Network::Options options;
  for (NodeId id : layers) options.probed.push_back(graph.node(id).outputs[0]);
  std::vector<std::vector<ChannelSquares>> squares;
  std::vector<double> signals;
  double signal = 0;
  std::int64_t count = 0;
  try {
    const train::Network network(scores, options);
    const std::int64_t unit = network.batch_unit();
    count = std::max(unit, std::min(samples, source.count) / unit * unit);
    for (std::int64_t lane = 0; lane < train::Network::kLanes; ++lane) {
      auto& mine = squares.emplace_back();
      for (NodeId id : layers) mine.emplace_back(channels_of(graph, id));
    }
    signals.assign(static_cast<std::size_t>(count), 0.0);
    for (std::int64_t round = 0; round < kSensitivityRounds; ++round)
      static_cast<void>(network.run(
          {}, count,
          [&](std::int64_t i) { return source.sample(i * source.count / count % source.count); },
          [&](std::int64_t i, std::span<const Tensor> outputs, std::span<Tensor> gradients) {
            Random random(kSensitivitySeed + static_cast<std::uint64_t>(round * count + i));
            double& mine = signals[static_cast<std::size_t>(i)];
            mine = 0;
            for (std::size_t o = 0; o < outputs.size(); ++o) {
              const auto x = outputs[o].data<float>();
              const bool centred = scores.outputs()[o] != graph.outputs()[o];
              const std::vector<float> signs = random_signs(random, x.size(), centred);
              std::copy(signs.begin(), signs.end(), gradients[o].mutable_data<float>().begin());
              double mean = 0;
              for (float v : x) mean += static_cast<double>(v);
              mean = centred ? mean / static_cast<double>(x.size()) : 0;
              for (float v : x)
                mine += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean);
            }
            return 0.0;
          },
          [&](std::int64_t lane, std::size_t probe, std::int64_t, const train::Layout& layout,
              std::span<const float> gradient) {
            squares[static_cast<std::size_t>(lane)][probe].add(layout, gradient);
          }));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Unsupported) throw;
    squares.clear();
  }
  for (double s : signals) signal += s;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    auto& mine = found[layers[l]];
    mine.assign(channels_of(graph, layers[l]), 0.0);
    if (squares.empty() || !(signal > 0)) continue;
    for (const auto& lane : squares)
      for (std::size_t c = 0; c < mine.size(); ++c) mine[c] += lane[l].sums()[c];
    for (double& m : mine) m /= static_cast<double>(kSensitivityRounds) * signal;
  }
  return found;
}

}  // namespace espquant::compress
