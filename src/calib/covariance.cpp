#include "calib/covariance.h"

#include <algorithm>
#include <dnnl.hpp>

#include "base/parallel.h"
#include "base/per_worker.h"
#include "calib/patches.h"

namespace espquant::calib {
namespace {

// Samples run side by side; their patches are added in order afterwards.
constexpr std::int64_t kSamplesAtOnce = 8;
// Positions gathered of a layer, in all: enough that a covariance of K columns is well determined.
constexpr std::int64_t kCovariancePositionsPerColumn = 8, kLeastCovariancePositions = 4096;

/// Sums of one layer under way.
class Layer {
 public:
  Layer(const Graph& graph, NodeId node, std::int64_t samples)
      : patches_(graph, graph.node(node)), input_(graph.node(node).inputs[0]) {
    const Node& n = graph.node(node);
    groups_ = n.op == "Conv" ? n.attributes.get_int("group", 1) : 1;
    columns_ = patches_.width() / groups_;
    const std::int64_t wanted =
        std::max(kLeastCovariancePositions, kCovariancePositionsPerColumn * columns_);
    chosen_ = choose_positions(patches_.positions(), samples, wanted);
    if (fits()) {
      sums_.assign(static_cast<std::size_t>(groups_ * columns_ * columns_), 0.0F);
      totals_.assign(static_cast<std::size_t>(patches_.width()), 0.0);
    }
  }

  ValueId input() const { return input_; }
  bool fits() const { return columns_ > 0 && columns_ <= kMostColumns && chosen_.per_sample > 0; }

  void take(const ops::Executor::View& view, std::int64_t sample, std::vector<float>& into) const {
    into.resize(static_cast<std::size_t>(chosen_.per_sample * patches_.width()));
    for (std::int64_t i = 0; i < chosen_.per_sample; ++i)
      patches_.copy(view.data.data(), view.channels_last, chosen_.position(i, sample),
                    into.data() + i * patches_.width());
  }

  void add(const std::vector<float>& patches) {
    if (patches.empty()) return;
    positions_ += chosen_.per_sample;
    const std::int64_t width = patches_.width();
    for (std::int64_t i = 0; i < chosen_.per_sample; ++i)
      for (std::int64_t k = 0; k < width; ++k)
        totals_[static_cast<std::size_t>(k)] +=
            static_cast<double>(patches[static_cast<std::size_t>(i * width + k)]);
    if (groups_ == 1)
      add_products(patches.data(), width, sums_.data());
    else if (groups_ == patches_.channels())
      add_depthwise(patches.data());
    else
      add_groups(patches.data());
  }

  Covariance finish() const {
    const std::int64_t taps = patches_.taps(), channels = patches_.channels();
    const std::int64_t per_group = channels / groups_;
    Covariance c{groups_, columns_, positions_, {}, {}};
    c.mean.resize(totals_.size());
    c.second_moment.resize(sums_.size());
    const auto count = static_cast<double>(std::max<std::int64_t>(positions_, 1));
    // From (tap, channel) to (channel, tap).
    const auto gathered = [&](std::int64_t column) {
      return column % taps * per_group + column / taps;
    };
    for (std::int64_t g = 0; g < groups_; ++g) {
      for (std::int64_t i = 0; i < columns_; ++i) {
        const std::int64_t tap = i % taps, channel = g * per_group + i / taps;
        c.mean[static_cast<std::size_t>(g * columns_ + i)] =
            totals_[static_cast<std::size_t>(tap * channels + channel)] / count;
        for (std::int64_t j = 0; j < columns_; ++j)
          c.second_moment[static_cast<std::size_t>((g * columns_ + i) * columns_ + j)] =
              sums_[static_cast<std::size_t>((g * columns_ + gathered(i)) * columns_ +
                                             gathered(j))] /
              static_cast<float>(count);
      }
    }
    return c;
  }

 private:
  void add_products(const float* patches, std::int64_t width, float* sums) const {
    dnnl::sgemm('T', 'N', columns_, columns_, chosen_.per_sample, 1.0F, patches, width, patches,
                width, 1.0F, sums, columns_);
  }

  void add_groups(const float* patches) {
    const std::int64_t per_group = patches_.channels() / groups_;
    std::vector<float> mine(static_cast<std::size_t>(chosen_.per_sample * columns_));
    for (std::int64_t g = 0; g < groups_; ++g) {
      for (std::int64_t i = 0; i < chosen_.per_sample; ++i)
        for (std::int64_t t = 0; t < patches_.taps(); ++t)
          std::copy_n(patches + i * patches_.width() + t * patches_.channels() + g * per_group,
                      per_group, mine.data() + i * columns_ + t * per_group);
      add_products(mine.data(), columns_, sums_.data() + g * columns_ * columns_);
    }
  }

  void add_depthwise(const float* patches) {
    const std::int64_t channels = groups_, taps = columns_;
    std::vector<float> products(static_cast<std::size_t>(channels));
    for (std::int64_t a = 0; a < taps; ++a) {
      for (std::int64_t b = 0; b <= a; ++b) {
        std::fill(products.begin(), products.end(), 0.0F);
        for (std::int64_t i = 0; i < chosen_.per_sample; ++i) {
          const float* x = patches + i * patches_.width() + a * channels;
          const float* y = patches + i * patches_.width() + b * channels;
          for (std::int64_t c = 0; c < channels; ++c)
            products[static_cast<std::size_t>(c)] += x[c] * y[c];
        }
        for (std::int64_t c = 0; c < channels; ++c) {
          sums_[static_cast<std::size_t>((c * taps + a) * taps + b)] +=
              products[static_cast<std::size_t>(c)];
          if (a != b)
            sums_[static_cast<std::size_t>((c * taps + b) * taps + a)] +=
                products[static_cast<std::size_t>(c)];
        }
      }
    }
  }

  Patches patches_;
  ValueId input_;
  PositionChoice chosen_;
  std::int64_t groups_ = 1, columns_ = 0, positions_ = 0;
  std::vector<float> sums_;
  std::vector<double> totals_;
};

}  // namespace

std::map<NodeId, Covariance> gather_covariance(const ops::Executor& executor,
                                               const SampleSource& source,
                                               std::span<const NodeId> nodes,
                                               std::int64_t samples) {
  const std::int64_t count = std::min(samples, source.count);
  std::vector<Layer> layers;
  std::vector<NodeId> ids;
  for (NodeId id : nodes) {
    Layer layer(executor.graph(), id, std::max<std::int64_t>(count, 1));
    if (!layer.fits()) continue;
    layers.push_back(std::move(layer));
    ids.push_back(id);
  }
  std::vector<std::vector<std::size_t>> readers(executor.graph().value_count());
  for (std::size_t l = 0; l < layers.size(); ++l)
    readers[static_cast<std::size_t>(layers[l].input())].push_back(l);

  PerWorker<ops::Executor::Workspace> workspaces(executor);
  std::vector<std::vector<std::vector<float>>> taken(
      static_cast<std::size_t>(kSamplesAtOnce), std::vector<std::vector<float>>(layers.size()));
  for (std::int64_t begin = 0; begin < count; begin += kSamplesAtOnce) {
    const std::int64_t block = std::min(kSamplesAtOnce, count - begin);
    parallel_for(block, [&](std::int64_t b) {
      ops::Executor::Workspace& workspace = workspaces.mine();
      const std::int64_t i = begin + b;
      const std::vector<Tensor> inputs = source.sample(i * source.count / count);
      (void)executor.run(inputs, workspace, [&](const ops::Executor::View& view) {
        for (std::size_t l : readers[static_cast<std::size_t>(view.value)])
          layers[l].take(view, i, taken[static_cast<std::size_t>(b)][l]);
      });
    });
    parallel_for(static_cast<std::int64_t>(layers.size()), [&](std::int64_t l) {
      for (std::int64_t b = 0; b < block; ++b)
        layers[static_cast<std::size_t>(l)].add(
            taken[static_cast<std::size_t>(b)][static_cast<std::size_t>(l)]);
    });
  }
  std::map<NodeId, Covariance> found;
  for (std::size_t l = 0; l < layers.size(); ++l) found.emplace(ids[l], layers[l].finish());
  return found;
}

}  // namespace espquant::calib
