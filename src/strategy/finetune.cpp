#include "strategy/finetune.h"

#include <fmt/format.h>

#include <algorithm>

#include "lower/lower.h"
#include "schedule/in_place_writes.h"
#include "train/adam.h"
#include "train/distill.h"

namespace espquant::strategy {
namespace {

// A smaller gain may be chance.
constexpr double kFinetuneWorthwhile = 0.98;

/// Whether the chip has no tensor of its own for it: the Relu behind it is a part of its layer.
bool is_inside_layer(const Graph& graph, const Value& value) {
  return value.consumers.size() == 1 && graph.node(value.consumers.front()).op == "Relu";
}

train::Student student_of(const Candidate& candidate, Rounding rounding) {
  const Graph& graph = candidate.graph;
  train::Student student{graph};
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const auto v = static_cast<ValueId>(i);
    const Value& value = graph.value(v);
    if (!value.quant || value.dtype != DType::Float32 || value.is_constant()) continue;
    if (is_inside_layer(graph, value) && !graph.is_output(v)) continue;
    if (!value.quant->per_channel())
      student.activations.emplace(
          v, train::Grid::of(value.quant->bits, value.quant->exponent(), rounding));
  }
  for (NodeId n : graph.topological_order()) {
    const Node& node = graph.node(n);
    const ValueId w = node.input(1);
    if (w != kNone && graph.value(w).is_constant() && graph.value(w).quant)
      student.weights.emplace(w, train::TensorGrids::of(*graph.value(w).quant, rounding));
  }
  return student;
}

/// All samples but those to judge on.
calib::SampleSource training_source(const Workbench& bench) {
  const std::vector<std::int64_t> judged = bench.judged_samples();
  std::vector<std::int64_t> rest;
  for (std::int64_t i = 0; i < bench.source().count; ++i)
    if (!std::binary_search(judged.begin(), judged.end(), i)) rest.push_back(i);
  const auto count = static_cast<std::int64_t>(rest.size());
  return {count, [&source = bench.source(), rest = std::move(rest)](std::int64_t i) {
            return source.sample(rest[static_cast<std::size_t>(i)]);
          }};
}

train::DistillSettings training_settings(const recipe::Recipe::Finetune& how,
                                         const StageProgress& progress) {
  train::DistillSettings settings;
  settings.steps = how.steps;
  settings.batch = how.batch;
  settings.rate = how.rate;
  settings.seed = static_cast<std::uint64_t>(how.seed);
  settings.augmentation = {how.flip, static_cast<int>(how.shift), how.brightness, how.noise,
                           how.mix};
  settings.progress = [&progress](std::int64_t done, std::int64_t total, double) {
    if (progress) progress("finetune", done, total);
    return true;
  };
  return settings;
}

}  // namespace

Finetuned finetune(Workbench& bench, const quant::Settings& settings, Candidate start,
                   const recipe::Recipe::Finetune& how, const StageProgress& progress) {
  bench.hold_out();
  Finetuned result;
  result.before = result.after = start.noise.ratio();
  result.candidate = std::move(start);
  if (bench.judged_samples().empty()) {
    result.reason = fmt::format(
        "{} samples are too few to train on some and judge by others: finetuning needs {}",
        bench.source().count, 2 * kLeastJudgedSamples);
    return result;
  }
  Candidate trained = result.candidate;
  try {
    trained.graph = train::distill(bench.network(), student_of(trained, settings.target->rounding),
                                   training_source(bench), training_settings(how, progress))
                        .graph;
    trained.lowered =
        lower::lower(trained.graph, *settings.target, {.table_error = settings.table_error});
  } catch (const Error& error) {
    // An operator that training cannot pass, or a bias that its field does not hold.
    if (error.code() != ErrorCode::Unsupported && error.code() != ErrorCode::Illegal) throw;
    result.reason = fmt::format("finetuning is left out: {}", error.message());
    return result;
  }
  schedule::protect_from_in_place_writes(trained.lowered.model, *settings.target, bench.latency());
  trained.noise = output_noise(sim::Program(trained.lowered.model, *settings.target), trained.graph,
                               bench.run());
  result.after = trained.noise.ratio();
  if (!trained.noise.is_below(kFinetuneWorthwhile, result.candidate.noise)) {
    result.reason = fmt::format(
        "finetuning is undone: {:.3f} % of noise on held-out samples, {:.3f} % without it",
        100 * result.after, 100 * result.before);
    return result;
  }
  result.kept = true;
  result.candidate = std::move(trained);
  return result;
}

}  // namespace espquant::strategy
