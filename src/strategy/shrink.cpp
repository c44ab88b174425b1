#include "strategy/shrink.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "measure/output_comparison.h"
#include "train/distill.h"

namespace espquant::strategy {
namespace {

/// One in so many samples judges.
constexpr std::int64_t kJudgedShare = 5, kMostShrinkJudges = 256;
/// Work that training may take unless it is told how long: multiply-accumulates, and for each
/// element of an activation so many. A few minutes on two cores.
constexpr double kTrainingWork = 1.2e13, kWorkOfElement = 60;
/// Few samples are learned by heart: how often each may be seen.
constexpr std::int64_t kMostPasses = 300;
// Blocks are ranked by few samples, and not more of them left out than this.
constexpr std::int64_t kBlockSamples = 32;
constexpr std::size_t kMostBlocks = 6;
// Candidates that are trained for a part of the steps before one is trained for all.
constexpr std::size_t kMostTrained = 3;
constexpr std::int64_t kTrialShare = 12, kFewestTrialSteps = 50;
// Times the noise of the best that a candidate may have to be trained at all.
constexpr double kHopeless = 3;
constexpr std::int64_t kFewestSteps = 50, kMostSteps = 4000;

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

measure::OutputNoise noise_of(const Graph& network, const Graph& smaller, const Parted& samples) {
  const auto outputs_of = [&](const Graph& graph) {
    return ops::run_all(ops::Executor(graph, {.observe_all = false}), samples.judged);
  };
  return measure::OutputComparison(network).of_all(outputs_of(smaller), outputs_of(network));
}

double work_of(const Graph& graph) {
  double work = 0;
  for (NodeId id : graph.topological_order()) {
    work += static_cast<double>(ops::macs_of(graph, graph.node(id)));
    for (ValueId v : graph.node(id).outputs)
      if (v != kNone && graph.value(v).shape)
        work += kWorkOfElement * static_cast<double>(element_count(*graph.value(v).shape));
  }
  return work;
}

std::int64_t steps_for(const Graph& network, const Graph& smaller, std::int64_t batch,
                       std::int64_t samples) {
  const double each = static_cast<double>(batch) * (work_of(network) + 3 * work_of(smaller));
  const auto affordable = static_cast<std::int64_t>(kTrainingWork / std::max(each, 1.0));
  return std::clamp(affordable, kFewestSteps,
                    std::min(kMostSteps, std::max(kFewestSteps, kMostPasses * samples / batch)));
}

train::DistillSettings training_of(const ShrinkSettings& settings) {
  const recipe::Recipe::Finetune& how = settings.training;
  train::DistillSettings training;
  training.batch = how.batch;
  training.rate = how.rate;
  training.seed = static_cast<std::uint64_t>(how.seed);
  training.augmentation = {how.flip, static_cast<int>(how.shift), how.brightness, how.noise,
                           how.mix};
  return training;
}

using Clock = std::chrono::steady_clock;

/// As many of `steps` as there is time for, by what a few take.
std::int64_t steps_in_time(const Graph& network, const Graph& smaller, const Parted& samples,
                           train::DistillSettings training, std::int64_t steps,
                           Clock::time_point end) {
  constexpr std::int64_t kTimed = 6;
  if (Clock::now() >= end) return 0;
  training.steps = std::min(steps, kTimed);
  Clock::time_point begin;
  training.progress = [&](std::int64_t done, std::int64_t, double) {
    if (done == 1) begin = Clock::now();  // what is prepared once does not count
    return Clock::now() < end;
  };
  static_cast<void>(train::distill(network, {smaller}, samples.training, training));
  const std::chrono::duration<double> taken = Clock::now() - begin, left = end - Clock::now();
  const double each =
      taken.count() / static_cast<double>(std::max<std::int64_t>(training.steps - 1, 1));
  return std::clamp(static_cast<std::int64_t>(left.count() / std::max(each, 1e-6)), std::int64_t{0},
                    steps);
}

void train_smaller(Shrunk& result, const Graph& network, const Parted& samples,
                   const ShrinkSettings& settings, ShrinkProgress at,
                   std::optional<Clock::time_point> end, const StageProgress& progress) {
  train::DistillSettings training = training_of(settings);
  training.keep_zeros = settings.sparsity.has_value();
  Graph trained = result.network;
  const auto keep = [&] {
    if (settings.keep) trained = settings.keep(trained, result, at);
  };
  try {
    if (end) at.steps = steps_in_time(network, trained, samples, training, at.steps, *end);
    if (at.rounds == 0) keep();
    training.total = at.steps;
    const std::int64_t rounds = at.all_rounds();
    for (; at.rounds < rounds; ++at.rounds, keep()) {
      training.done = at.rounds * at.steps / rounds;
      training.steps = (at.rounds + 1) * at.steps / rounds - training.done;
      training.progress = [&](std::int64_t done, std::int64_t, double) {
        if (progress) progress("train", training.done + done, at.steps);
        return !end || Clock::now() < *end;
      };
      if (training.steps == 0) continue;
      train::Distilled made = train::distill(network, {trained}, samples.training, training);
      trained = std::move(made.graph);
      result.steps += made.steps;
    }
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

std::optional<Clock::time_point> end_of(const ShrinkSettings& settings) {
  if (!settings.seconds) return std::nullopt;
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(*settings.seconds));
}

struct Draft {
  compress::Compressed made;
  measure::OutputNoise noise;
};

std::int64_t channels_gone(const compress::Compressed& made) {
  std::int64_t gone = 0;
  for (const auto& one : made.removed) gone += one.before - one.after;
  return gone;
}

/// The network with none, one, two, ... blocks left out, and so many channels that the budget is
/// met.
std::vector<Draft> drafts_of(const Graph& network, const Parted& samples,
                             const compress::PriceOf& price_of, const ShrinkSettings& settings,
                             const StageProgress& progress) {
  compress::CompressOptions options = settings.compress;
  options.progress = [&](std::int64_t done, std::int64_t total) {
    if (progress) progress("refit", done, total);
  };
  std::vector<compress::RankedBlock> blocks;
  if (settings.blocks && options.choice.budget.excess(price_of(network)) > 0)
    blocks =
        compress::rank_blocks(network, samples.training, kBlockSamples, price_of,
                              options.choice.budget, [&](std::int64_t done, std::int64_t total) {
                                if (progress) progress("blocks", done, total);
                              });
  std::vector<Draft> drafts;
  for (std::size_t count = 0; count <= std::min(blocks.size(), kMostBlocks); ++count) {
    if (progress) progress("choose", static_cast<std::int64_t>(count), 0);
    Draft draft;
    draft.made = compress::compress(network, samples.training, price_of, options,
                                    std::span(blocks).first(count));
    draft.noise = noise_of(network, draft.made.graph, samples);
    drafts.push_back(std::move(draft));
    // More would only take away more than is needed.
    if (drafts.back().made.removed.empty() && drafts.back().made.met) break;
  }
  // Those that meet the budget, if any does, the least noise first.
  const bool any =
      std::any_of(drafts.begin(), drafts.end(), [](const Draft& d) { return d.made.met; });
  if (any) std::erase_if(drafts, [](const Draft& d) { return !d.made.met; });
  const compress::Budget& budget = options.choice.budget;
  std::stable_sort(drafts.begin(), drafts.end(), [&](const Draft& a, const Draft& b) {
    if (!any) return budget.excess(a.made.after) < budget.excess(b.made.after);
    return a.noise.ratio() < b.noise.ratio();
  });
  return drafts;
}

/// What is least noisy right after refitting need not be after training: a short one decides among
/// the best.
std::size_t best_of(const std::vector<Draft>& drafts, const Graph& network, const Parted& samples,
                    const ShrinkSettings& settings, std::int64_t steps, Shrunk& result,
                    const StageProgress& progress) {
  for (const Draft& draft : drafts)
    result.trials.push_back({static_cast<std::int64_t>(draft.made.blocks.size()),
                             channels_gone(draft.made), draft.noise.ratio(), std::nullopt, false});
  std::size_t best = 0;
  std::size_t tried = 0;
  while (tried < std::min(drafts.size(), kMostTrained) &&
         drafts[tried].noise.ratio() <= kHopeless * drafts[0].noise.ratio())
    ++tried;
  if (tried > 1 && drafts[0].made.met && steps >= kTrialShare * kFewestTrialSteps) {
    train::DistillSettings training = training_of(settings);
    training.steps = steps / kTrialShare;
    try {
      for (std::size_t d = 0; d < tried; ++d) {
        if (progress)
          progress("try", static_cast<std::int64_t>(d), static_cast<std::int64_t>(tried));
        const train::Distilled made =
            train::distill(network, {drafts[d].made.graph}, samples.training, training);
        result.trials[d].trained = noise_of(network, made.graph, samples).ratio();
        if (*result.trials[d].trained < *result.trials[best].trained) best = d;
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::Unsupported) throw;
    }
  }
  result.trials[best].chosen = true;
  return best;
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
  const std::optional<Clock::time_point> end = end_of(settings);
  const Parted samples = part(source);
  Shrunk result;
  result.judged = static_cast<std::int64_t>(samples.judged.size());
  std::vector<Draft> drafts = drafts_of(network, samples, price_of, settings, progress);
  const std::int64_t steps = settings.steps.value_or(steps_for(
      network, drafts.front().made.graph, settings.training.batch, samples.training.count));
  const std::size_t best = best_of(drafts, network, samples, settings, steps, result, progress);
  result.compressed = std::move(drafts[best].made);
  result.network = result.compressed.graph;
  result.refitted = result.trained = drafts[best].noise;
  if (settings.sparsity) {
    if (progress) progress("prune", 0, 0);
    result.sparse = compress::sparsify(result.network, samples.training, *settings.sparsity);
    result.network = result.sparse->graph;
    result.refitted = result.trained = noise_of(network, result.network, samples);
  }
  if ((result.compressed.is_as_it_was() && !result.sparse) || steps == 0) return result;
  train_smaller(result, network, samples, settings, {0, steps}, end, progress);
  return result;
}

Shrunk go_on_shrinking(const Graph& network, const calib::SampleSource& source, Shrunk begun,
                       const ShrinkProgress& done, const ShrinkSettings& settings,
                       const StageProgress& progress) {
  const Parted samples = part(source);
  begun.judged = static_cast<std::int64_t>(samples.judged.size());
  begun.refitted = begun.trained = noise_of(network, begun.network, samples);
  train_smaller(begun, network, samples, settings, done, end_of(settings), progress);
  return begun;
}

}  // namespace espquant::strategy
