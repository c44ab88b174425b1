#include "calib/channel_extents.h"

#include <algorithm>
#include <limits>

#include "base/parallel.h"
#include "base/per_worker.h"

namespace espquant::calib {
namespace {

/// Of one value, by channel.
struct Extremes {
  std::vector<float> min, max;

  void include(const Extremes& other) {
    if (min.empty()) *this = other;
    for (std::size_t c = 0; c < other.min.size(); ++c) {
      min[c] = std::min(min[c], other.min[c]);
      max[c] = std::max(max[c], other.max[c]);
    }
  }
};

void include(const ops::Executor::View& view, Extremes& extremes) {
  const std::int64_t channels = view.shape[1];
  const auto count = static_cast<std::int64_t>(view.data.size());
  if (channels == 0 || count == 0) return;
  if (extremes.min.empty()) {
    extremes.min.assign(static_cast<std::size_t>(channels), std::numeric_limits<float>::infinity());
    extremes.max.assign(static_cast<std::size_t>(channels),
                        -std::numeric_limits<float>::infinity());
  }
  float* min = extremes.min.data();
  float* max = extremes.max.data();
  const float* x = view.data.data();
  if (view.channels_last) {
    for (const float* end = x + count; x != end; x += channels)
      for (std::int64_t c = 0; c < channels; ++c) {
        min[c] = std::min(min[c], x[c]);
        max[c] = std::max(max[c], x[c]);
      }
    return;
  }
  const std::int64_t inner = count / (view.shape[0] * channels);
  for (std::int64_t i = 0; i < view.shape[0] * channels; ++i, x += inner) {
    const std::int64_t c = i % channels;
    for (std::int64_t k = 0; k < inner; ++k) {
      min[c] = std::min(min[c], x[k]);
      max[c] = std::max(max[c], x[k]);
    }
  }
}

}  // namespace

std::vector<std::vector<ChannelExtent>> channel_extents(const ops::Executor& executor,
                                                        const SampleSource& source) {
  struct Worker {
    explicit Worker(const ops::Executor& e) : workspace(e), extremes(e.graph().value_count()) {}
    ops::Executor::Workspace workspace;
    std::vector<Extremes> extremes;
  };
  PerWorker<Worker> workers(executor);
  parallel_for(source.count, [&](std::int64_t i) {
    Worker& worker = workers.mine();
    (void)executor.run(source.sample(i), worker.workspace, [&](const ops::Executor::View& view) {
      if (view.shape.size() >= 2)
        include(view, worker.extremes[static_cast<std::size_t>(view.value)]);
    });
  });
  // They do not depend on the order.
  std::vector<Extremes> total(executor.graph().value_count());
  workers.for_each([&](const Worker& worker) {
    for (std::size_t v = 0; v < total.size(); ++v) total[v].include(worker.extremes[v]);
  });
  std::vector<std::vector<ChannelExtent>> extents(total.size());
  for (std::size_t v = 0; v < total.size(); ++v)
    for (std::size_t c = 0; c < total[v].min.size(); ++c)
      extents[v].push_back({total[v].min[c], total[v].max[c]});
  return extents;
}

}  // namespace espquant::calib
