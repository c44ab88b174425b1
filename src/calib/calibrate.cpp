#include "calib/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

#include "base/parallel.h"
#include "base/per_worker.h"
#include "calib/recurrent_follower.h"

namespace espquant::calib {
namespace {

// Samples are dealt to a fixed number of lanes, each summed in order by one task, and lanes are
// added in order: the result is the same for any number of threads.
constexpr std::int64_t kLanes = 8;

void observe(const ops::Executor::View& view, const Request& request, ValueStatistics& into) {
  const auto [extent, sum_squares] = summary_of(view.data);
  into.extent.include(extent);
  into.sum_squares += sum_squares;
  into.count += static_cast<std::int64_t>(view.data.size());
  if (!request.steps.empty()) {
    into.errors.resize(request.steps.size());
    add_step_errors(view.data, request.steps, request.max_q, into.errors);
  }
  if (request.weighted_errors && !request.steps.empty()) {
    const float unit = static_cast<float>(request.max_q) * request.steps.front();
    into.weighted_errors.resize(request.steps.size());
    into.weighted_sum_squares += weighted_sum_of_squares(view.data, unit);
    add_weighted_step_errors(view.data, request.steps, request.max_q, unit, into.weighted_errors);
  }
  if (request.histogram) into.histogram.add(view.data, extent);
  if (request.mean) {
    into.mean.resize(view.data.size());
    into.channels_last = view.channels_last;
    into.mean_square.resize(view.data.size());
    add_moments_to(view.data, into.mean, into.mean_square);
  }
}

void add_errors(const std::vector<double>& lane, std::vector<double>& total) {
  total.resize(std::max(lane.size(), total.size()));
  for (std::size_t i = 0; i < lane.size(); ++i) total[i] += lane[i];
}

void merge(const ValueStatistics& lane, ValueStatistics& total) {
  total.extent.include(lane.extent);
  total.sum_squares += lane.sum_squares;
  total.count += lane.count;
  add_errors(lane.errors, total.errors);
  add_errors(lane.weighted_errors, total.weighted_errors);
  total.weighted_sum_squares += lane.weighted_sum_squares;
  total.histogram.add(lane.histogram);
  if (!lane.mean.empty()) {
    total.mean.resize(lane.mean.size());
    total.channels_last = lane.channels_last;
    add_to(lane.mean, total.mean);
    total.mean_square.resize(lane.mean_square.size());
    add_to(lane.mean_square, total.mean_square);
  }
}

bool is_finite(const Statistics& statistics, ValueId v) {
  const auto place = static_cast<std::size_t>(v);
  return place >= statistics.values.size() || statistics.values[place].extent.finite;
}

/// "'x' from -2 to 3", of what a node computes from.
std::string extents_of_inputs(const Graph& graph, const Node& node, const Statistics& statistics) {
  std::string text;
  for (const ValueId v : node.inputs) {
    if (v == kNone || graph.value(v).is_constant()) continue;
    const auto place = static_cast<std::size_t>(v);
    if (place >= statistics.values.size() || statistics.values[place].count == 0) continue;
    const auto& extent = statistics.values[place].extent;
    text += fmt::format("{}'{}' from {:.4g} to {:.4g}", text.empty() ? " from " : ", ",
                        graph.value(v).name, extent.min, extent.max);
  }
  return text;
}

/// The first node that makes such values out of finite ones.
void refuse_infinite(const Graph& graph, const Statistics& statistics) {
  for (const ValueId v : graph.inputs())
    if (!is_finite(statistics, v))
      throw Error(ErrorCode::BadData, "holds NaN or an infinity in the calibration data")
          .tensor(graph.value(v).name)
          .remedy("Remove the samples that hold such values");
  for (const NodeId id : graph.topological_order()) {
    const Node& node = graph.node(id);
    for (const ValueId v : node.outputs)
      if (v != kNone && !is_finite(statistics, v))
        throw Error(ErrorCode::BadData, fmt::format("{} makes NaN or an infinity{}", node.op,
                                                    extents_of_inputs(graph, node, statistics)))
            .node(node.name)
            .tensor(graph.value(v).name)
            .remedy("Check the model's weights and the preprocessing of the data");
  }
}

Statistics run(const ops::Executor& executor, const SampleSource& source, std::int64_t count,
               std::span<const Request> requests, const Watch& watch, bool inside_layers) {
  const Graph& graph = executor.graph();
  const std::int64_t lanes = std::min(kLanes, count);
  std::vector<std::vector<ValueStatistics>> sums(
      static_cast<std::size_t>(std::max<std::int64_t>(lanes, 0)));
  PerWorker<ops::Executor::Workspace> workspaces(executor);
  std::atomic<std::int64_t> done = 0;
  std::mutex progress_mutex;
  const Request nothing;
  Statistics total;
  total.samples = count;
  total.values.resize(graph.value_count());
  std::atomic<std::int64_t> next = 0;
  std::vector<bool> complete(sums.size(), false);
  std::size_t merged = 0;
  std::mutex merge_mutex;
  parallel_for(lanes, [&](std::int64_t) {
    // Taken in order, so that few of them wait for an earlier one to be added.
    const std::int64_t lane = next++;
    auto& mine = sums[static_cast<std::size_t>(lane)];
    mine.resize(graph.value_count());
    std::optional<RecurrentFollower> follower;
    if (inside_layers) follower.emplace(graph);
    for (std::int64_t i = lane; i < count; i += lanes) {
      const std::vector<Tensor> inputs = source.sample(i);
      if (follower) follower->begin_sample();
      std::vector<Tensor> outputs =
          executor.run(inputs, workspaces.mine(), [&](const ops::Executor::View& view) {
            const auto v = static_cast<std::size_t>(view.value);
            observe(view, v < requests.size() ? requests[v] : nothing, mine[v]);
            if (follower) follower->see(view);
            if (watch.value) watch.value(i, view);
          });
      if (watch.outputs) watch.outputs(i, std::move(outputs));
      const std::int64_t finished = ++done;
      if (watch.progress) {
        std::lock_guard lock(progress_mutex);
        watch.progress(finished, count);
      }
    }
    std::lock_guard lock(merge_mutex);
    complete[static_cast<std::size_t>(lane)] = true;
    if (follower)
      for (const auto& [id, reach] : follower->reach()) total.recurrent[id].include(reach);
    for (; merged < sums.size() && complete[merged]; ++merged) {
      auto& first = sums[merged];
      for (std::size_t v = 0; v < first.size(); ++v) merge(first[v], total.values[v]);
      std::vector<ValueStatistics>().swap(first);
    }
  });
  for (std::size_t v = 0; v < total.values.size(); ++v) {
    if (v < requests.size()) {
      total.values[v].steps = requests[v].steps;
      total.values[v].max_q = requests[v].max_q;
    }
    for (float& m : total.values[v].mean) m /= static_cast<float>(count);
    for (float& m : total.values[v].mean_square) m /= static_cast<float>(count);
  }
  refuse_infinite(graph, total);
  return total;
}

}  // namespace

Statistics scan(const ops::Executor& executor, const SampleSource& source, std::int64_t limit) {
  return run(executor, source, std::min(limit, source.count), {}, {}, false);
}

Statistics gather(const ops::Executor& executor, const SampleSource& source,
                  std::span<const Request> requests, const Watch& watch) {
  if (source.count <= 0)
    throw Error(ErrorCode::BadData, "no calibration samples")
        .remedy("Give at least a few dozen typical inputs");
  return run(executor, source, source.count, requests, watch, true);
}

}  // namespace espquant::calib
