#include "calib/channel_extents.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "base/parallel.h"

namespace espquant::calib {
namespace {

using Extents = std::vector<ChannelExtent>;

void include(ChannelExtent& extent, const ChannelExtent& other) {
  extent.min = std::min(extent.min, other.min);
  extent.max = std::max(extent.max, other.max);
}

void include(const ops::Executor::View& view, Extents& extents) {
  const std::int64_t channels = view.shape[1];
  const auto count = static_cast<std::int64_t>(view.data.size());
  if (channels == 0 || count == 0) return;
  if (extents.empty())
    extents.assign(static_cast<std::size_t>(channels), {std::numeric_limits<float>::infinity(),
                                                        -std::numeric_limits<float>::infinity()});
  const float* x = view.data.data();
  if (view.channels_last) {
    for (const float* end = x + count; x != end; x += channels)
      for (std::int64_t c = 0; c < channels; ++c)
        include(extents[static_cast<std::size_t>(c)], {x[c], x[c]});
    return;
  }
  const std::int64_t inner = count / (view.shape[0] * channels);
  for (std::int64_t i = 0; i < view.shape[0] * channels; ++i) {
    ChannelExtent& extent = extents[static_cast<std::size_t>(i % channels)];
    for (const float* end = x + inner; x != end; ++x) include(extent, {*x, *x});
  }
}

}  // namespace

std::vector<std::vector<ChannelExtent>> channel_extents(const ops::Executor& executor,
                                                        const SampleSource& source) {
  struct Worker {
    explicit Worker(const ops::Executor& e) : workspace(e), extents(e.graph().value_count()) {}
    ops::Executor::Workspace workspace;
    std::vector<Extents> extents;
  };
  std::vector<std::unique_ptr<Worker>> workers(static_cast<std::size_t>(thread_count()));
  parallel_for(source.count, [&](std::int64_t i) {
    auto& worker = workers.at(static_cast<std::size_t>(worker_index()));
    if (!worker) worker = std::make_unique<Worker>(executor);
    (void)executor.run(source.sample(i), worker->workspace, [&](const ops::Executor::View& view) {
      if (view.shape.size() >= 2)
        include(view, worker->extents[static_cast<std::size_t>(view.value)]);
    });
  });
  // Extremes do not depend on the order.
  std::vector<Extents> total(executor.graph().value_count());
  for (const auto& worker : workers) {
    if (!worker) continue;
    for (std::size_t v = 0; v < total.size(); ++v) {
      const Extents& mine = worker->extents[v];
      if (total[v].empty()) total[v] = mine;
      for (std::size_t c = 0; c < mine.size(); ++c) include(total[v][c], mine[c]);
    }
  }
  return total;
}

}  // namespace espquant::calib
