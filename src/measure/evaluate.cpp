#include "measure/evaluate.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <mutex>

#include "base/parallel.h"
#include "base/per_worker.h"
#include "measure/output_comparison.h"
#include "measure/simulate.h"

namespace espquant::measure {
namespace {

// One row of at least two scores per sample.
bool is_class_scores(const Shape& shape) {
  std::int64_t largest = 1;
  for (std::int64_t extent : shape) largest = std::max(largest, extent);
  return largest >= 2 && element_count(shape) == largest;
}

struct EvaluateWorker {
  EvaluateWorker(std::span<const sim::Program* const> programs, const ops::Executor* reference,
                 const std::vector<OutputErrors>& no_errors)
      : errors(programs.size(), no_errors) {
    for (const sim::Program* program : programs) frames.emplace_back(*program);
    if (reference != nullptr) workspace = std::make_unique<ops::Executor::Workspace>(*reference);
  }
  std::deque<sim::Program::Frame> frames;
  std::unique_ptr<ops::Executor::Workspace> workspace;
  /// By program.
  std::vector<std::vector<OutputErrors>> errors;
};

struct Outcome {
  OutputNoise noise;
  ClassAnswer answer;
};

/// What all programs, and the float network, make of one sample.
struct SampleOutcomes {
  std::vector<Outcome> programs;
  ClassAnswer expected;
};

/// Of every sample, and the errors of all of them by program.
struct Outcomes {
  std::vector<SampleOutcomes> samples;
  std::vector<std::vector<OutputErrors>> errors;
};

Evaluation summary_of(std::size_t program, const Outcomes& outcomes,
                      std::span<const std::int64_t> labels, bool referenced, bool scores) {
  const std::vector<SampleOutcomes>& samples = outcomes.samples;
  OutputNoise noise;
  std::vector<SampleAnswer> answers;
  std::int64_t right = 0, reference_right = 0, lost = 0, agreed = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Outcome& outcome = samples[i].programs[program];
    const ClassAnswer& expected = samples[i].expected;
    noise.add(outcome.noise);
    answers.push_back(
        {outcome.answer, expected, outcome.noise.ratio(), labels.empty() ? -1 : labels[i]});
    agreed += outcome.answer.best == expected.best ? 1 : 0;
    if (labels.empty()) continue;
    const bool is_right = outcome.answer.best == labels[i];
    const bool reference_is_right = expected.best == labels[i];
    right += is_right ? 1 : 0;
    reference_right += reference_is_right ? 1 : 0;
    lost += reference_is_right && !is_right ? 1 : 0;
  }
  const auto share = [&](std::int64_t n) {
    return static_cast<double>(n) / static_cast<double>(std::max<std::size_t>(samples.size(), 1));
  };
  Evaluation result;
  result.samples = static_cast<std::int64_t>(samples.size());
  if (referenced) {
    result.noise = noise;
    if (scores) result.agreement = share(agreed);
    if (scores && !labels.empty()) {
      result.reference_accuracy = share(reference_right);
      result.lost = share(lost);
    }
  }
  if (scores && !labels.empty()) result.accuracy = share(right);
  result.answers = std::move(answers);
  if (referenced) result.errors = outcomes.errors[program];
  return result;
}

bool scores_of(const Graph& network) {
  return is_class_scores(*network.value(network.outputs().front()).shape);
}

/// Of all programs or, where there is a choice, of the one that it takes for a sample; its errors
/// then count for the first.
Outcomes outcomes_of(std::span<const sim::Program* const> programs, const Choice& choice,
                     const Graph& network, const ops::Executor* reference,
                     const calib::SampleSource& source, const calib::Progress& progress) {
  std::vector<SimulatedNetwork> simulated;
  const OutputComparison comparison(network);
  const bool scores = scores_of(network);
  const std::vector<OutputErrors> no_errors = comparison.no_errors();
  for (const sim::Program* program : programs) simulated.emplace_back(*program, network);
  PerWorker<EvaluateWorker> workers(programs, reference, no_errors);
  Outcomes outcomes;
  outcomes.samples.resize(static_cast<std::size_t>(source.count));
  std::atomic<std::int64_t> done = 0;
  std::mutex progress_mutex;
  parallel_for(source.count, [&](std::int64_t i) {
    EvaluateWorker& worker = workers.mine();
    SampleOutcomes& mine = outcomes.samples[static_cast<std::size_t>(i)];
    const std::vector<Tensor> inputs = source.sample(i);
    std::vector<Tensor> expected;
    if (reference != nullptr) {
      expected = as_the_chip_gives(reference->run(inputs, *worker.workspace));
      if (scores) mine.expected = answer_of(expected.front());
    }
    const std::size_t first = choice ? choice(inputs) : 0;
    const std::size_t last = choice ? first + 1 : programs.size();
    for (std::size_t p = first; p < last; ++p) {
      Outcome& outcome = mine.programs.emplace_back();
      const std::vector<Tensor> actual = simulated[p].run(inputs, worker.frames[p]);
      if (scores) outcome.answer = answer_of(actual.front());
      if (reference == nullptr) continue;
      outcome.noise = comparison.of(actual, expected);
      comparison.add_errors(actual, expected, worker.errors[p - first]);
    }
    const std::int64_t finished = ++done;
    if (progress) {
      std::lock_guard lock(progress_mutex);
      progress(finished, source.count);
    }
  });
  outcomes.errors.assign(programs.size(), no_errors);
  workers.for_each([&](const EvaluateWorker& worker) {
    for (std::size_t p = 0; p < programs.size(); ++p)
      for (std::size_t part = 0; part < no_errors.size(); ++part)
        outcomes.errors[p][part].histogram.add(worker.errors[p][part].histogram);
  });
  return outcomes;
}

}  // namespace

std::vector<Tensor> as_the_chip_gives(std::vector<Tensor> outputs) {
  for (Tensor& output : outputs)
    if (output.dtype() == DType::Bool) output = output.cast(DType::Float32);
  return outputs;
}

std::int64_t class_count(const Graph& network) {
  if (network.outputs().empty()) return 0;
  const auto& shape = network.value(network.outputs().front()).shape;
  return shape && is_class_scores(*shape) ? element_count(*shape) : 0;
}

std::vector<Evaluation> evaluate_all(std::span<const sim::Program* const> programs,
                                     const Graph& network, const ops::Executor* reference,
                                     const calib::SampleSource& source,
                                     std::span<const std::int64_t> labels,
                                     const calib::Progress& progress) {
  const Outcomes outcomes = outcomes_of(programs, {}, network, reference, source, progress);
  std::vector<Evaluation> results;
  for (std::size_t p = 0; p < programs.size(); ++p)
    results.push_back(summary_of(p, outcomes, labels, reference != nullptr, scores_of(network)));
  return results;
}

Evaluation evaluate_chosen(std::span<const sim::Program* const> programs, const Choice& choice,
                           const Graph& network, const ops::Executor* reference,
                           const calib::SampleSource& source, std::span<const std::int64_t> labels,
                           const calib::Progress& progress) {
  const Outcomes outcomes = outcomes_of(programs, choice, network, reference, source, progress);
  return summary_of(0, outcomes, labels, reference != nullptr, scores_of(network));
}

Evaluation evaluate(const sim::Program& program, const Graph& network,
                    const ops::Executor* reference, const calib::SampleSource& source,
                    std::span<const std::int64_t> labels, const calib::Progress& progress) {
  const sim::Program* one[] = {&program};
  return evaluate_all(one, network, reference, source, labels, progress).front();
}

}  // namespace espquant::measure
