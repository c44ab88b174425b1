#include "strategy/shrink.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/parallel.h"
#include "measure/output_comparison.h"
#include "train/distill.h"

namespace espquant::strategy {
namespace {

/// One in so many samples judges.
constexpr std::int64_t kJudgedShare = 5, kMostShrinkJudges = 256;
/// Multiply-accumulates that training may take unless it is told how long.
constexpr double kTrainingWork = 3e12;
constexpr std::int64_t kFewestSteps = 200, kMostSteps = 6000;

struct Parted {
  calib::SampleSource training;
  std::vector<std::vector<Tensor>> judged;
};

Parted part(const calib::SampleSource& source) {
  const std::int64_t judges =
      std::clamp<std::int64_t>(source.count / kJudgedShare, 1, kMostShrinkJudges);
  std::vector<std::int64_t> judged, training;
  for (std::int64_t i = 0; i < source.count; ++i)
    ((i + 1) * judges / source.count > i * judges / source.count ? judged : training).push_back(i);
  const auto count = static_cast<std::int64_t>(training.size());
  return {
      {count, [&source, training](
                  std::int64_t i) { return source.sample(training[static_cast<std::size_t>(i)]); }},
      inputs_of(source, judged)};
}

std::vector<std::vector<Tensor>> outputs_of(const Graph& graph,
                                            const std::vector<std::vector<Tensor>>& inputs) {
  const ops::Executor executor(graph, {.observe_all = false});
  std::vector<std::vector<Tensor>> outputs(inputs.size());
  std::vector<std::optional<ops::Executor::Workspace>> workspaces(
      static_cast<std::size_t>(thread_count()));
  parallel_for(static_cast<std::int64_t>(inputs.size()), [&](std::int64_t i) {
    auto& workspace = workspaces.at(static_cast<std::size_t>(worker_index()));
    if (!workspace) workspace.emplace(executor);
    const auto s = static_cast<std::size_t>(i);
    outputs[s] = executor.run(inputs[s], *workspace);
  });
  return outputs;
}

measure::OutputNoise noise_of(const Graph& network, const Graph& smaller, const Parted& samples) {
  const measure::OutputComparison comparison(network);
  const auto expected = outputs_of(network, samples.judged);
  const auto actual = outputs_of(smaller, samples.judged);
  measure::OutputNoise noise = comparison.nothing();
  for (std::size_t i = 0; i < expected.size(); ++i) comparison.add(actual[i], expected[i], noise);
  return noise;
}

std::int64_t macs_of(const Graph& graph) {
  std::int64_t macs = 0;
  for (NodeId id : graph.topological_order()) macs += ops::macs_of(graph, graph.node(id));
  return macs;
}

std::int64_t steps_for(const Graph& network, const Graph& smaller, std::int64_t batch) {
  const auto each =
      static_cast<double>(batch) * static_cast<double>(macs_of(network) + 3 * macs_of(smaller));
  return std::clamp(static_cast<std::int64_t>(kTrainingWork / std::max(each, 1.0)), kFewestSteps,
                    kMostSteps);
}

void train_smaller(Shrunk& result, const Graph& network, const Parted& samples,
                   const ShrinkSettings& settings, const StageProgress& progress) {
  const recipe::Recipe::Finetune& how = settings.training;
  train::DistillSettings training;
  training.steps = settings.steps.value_or(steps_for(network, result.network, how.batch));
  training.batch = how.batch;
  training.rate = how.rate;
  training.seed = static_cast<std::uint64_t>(how.seed);
  training.features = 0;
  training.augmentation = {how.flip, static_cast<int>(how.shift), how.brightness, how.noise,
                           how.mix};
  training.progress = [&](std::int64_t done, std::int64_t total, double) {
    if (progress) progress("train", done, total);
    return true;
  };
  Graph trained;
  try {
    const train::Distilled distilled =
        train::distill(network, {result.network}, samples.training, training);
    trained = distilled.graph;
    result.steps = distilled.steps;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Unsupported) throw;
    result.reason = fmt::format("training is left out: {}", error.message());
    return;
  }
  result.trained = noise_of(network, trained, samples);
  if (!result.trained.is_below(1, result.refitted)) {
    result.reason =
        fmt::format("training is undone: {:.2f} % of noise on held-out samples, {:.2f} % before",
                    100 * result.trained.ratio(), 100 * result.refitted.ratio());
    return;
  }
  result.training_kept = true;
  result.network = std::move(trained);
}

}  // namespace

Shrunk shrink(const Graph& network, const calib::SampleSource& source,
              const compress::PriceOf& price_of, const ShrinkSettings& settings,
              const StageProgress& progress) {
  if (source.count < kLeastShrinkSamples)
    throw Error(ErrorCode::BadData,
                fmt::format("{} samples are too few to make a network smaller by: at least {}",
                            source.count, kLeastShrinkSamples))
        .remedy("Give more with --calib; they need no labels");
  const Parted samples = part(source);
  compress::CompressOptions options = settings.compress;
  options.progress = [&](std::int64_t done, std::int64_t total) {
    if (progress) progress("refit", done, total);
  };
  if (progress) progress("choose", 0, 0);
  Shrunk result;
  result.judged = static_cast<std::int64_t>(samples.judged.size());
  result.compressed = compress::compress(network, samples.training, price_of, options);
  result.network = result.compressed.graph;
  result.refitted = result.trained = noise_of(network, result.network, samples);
  if (result.compressed.removed.empty() || settings.steps == 0) return result;
  train_smaller(result, network, samples, settings, progress);
  return result;
}

}  // namespace espquant::strategy
