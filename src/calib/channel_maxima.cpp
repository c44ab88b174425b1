#include "calib/channel_maxima.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/parallel.h"

namespace espquant::calib {
namespace {

using Maxima = std::vector<std::vector<float>>;

void include(const ops::Executor::View& view, std::vector<float>& maxima) {
  const std::int64_t channels = view.shape[1];
  const std::int64_t batch = view.shape[0];
  const auto count = static_cast<std::int64_t>(view.data.size());
  if (channels == 0 || batch == 0 || count == 0) return;
  maxima.resize(static_cast<std::size_t>(channels), 0.0F);
  if (view.channels_last) {
    for (std::int64_t i = 0; i < count; i += channels)
      for (std::int64_t c = 0; c < channels; ++c)
        maxima[static_cast<std::size_t>(c)] =
            std::max(maxima[static_cast<std::size_t>(c)],
                     std::abs(view.data[static_cast<std::size_t>(i + c)]));
    return;
  }
  const std::int64_t inner = count / (batch * channels);
  for (std::int64_t i = 0; i < count; ++i) {
    float& largest = maxima[static_cast<std::size_t>(i / inner % channels)];
    largest = std::max(largest, std::abs(view.data[static_cast<std::size_t>(i)]));
  }
}

}  // namespace

std::vector<std::vector<float>> channel_maxima(const ops::Executor& executor,
                                               const SampleSource& source) {
  struct Worker {
    explicit Worker(const ops::Executor& e) : workspace(e), maxima(e.graph().value_count()) {}
    ops::Executor::Workspace workspace;
    Maxima maxima;
  };
  std::vector<std::unique_ptr<Worker>> workers(static_cast<std::size_t>(thread_count()));
  parallel_for(source.count, [&](std::int64_t i) {
    auto& worker = workers.at(static_cast<std::size_t>(worker_index()));
    if (!worker) worker = std::make_unique<Worker>(executor);
    (void)executor.run(source.sample(i), worker->workspace, [&](const ops::Executor::View& view) {
      if (view.shape.size() >= 2)
        include(view, worker->maxima[static_cast<std::size_t>(view.value)]);
    });
  });
  // A maximum does not depend on the order.
  Maxima total(executor.graph().value_count());
  for (const auto& worker : workers) {
    if (!worker) continue;
    for (std::size_t v = 0; v < total.size(); ++v) {
      const auto& mine = worker->maxima[v];
      total[v].resize(std::max(total[v].size(), mine.size()), 0.0F);
      for (std::size_t c = 0; c < mine.size(); ++c) total[v][c] = std::max(total[v][c], mine[c]);
    }
  }
  return total;
}

}  // namespace espquant::calib
