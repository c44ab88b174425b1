#include "strategy/evaluate.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>

#include "base/parallel.h"

namespace espquant::strategy {
namespace {

std::int64_t arg_max(const Tensor& scores) {
  const auto data = scores.data<float>();
  return std::max_element(data.begin(), data.end()) - data.begin();
}

// One row of at least two scores per sample.
bool is_class_scores(const Shape& shape) {
  std::int64_t largest = 1;
  for (std::int64_t extent : shape) largest = std::max(largest, extent);
  return largest >= 2 && element_count(shape) == largest;
}

struct Worker {
  Worker(const sim::Program& program, const ops::Executor* reference) : frame(program) {
    if (reference != nullptr) workspace = std::make_unique<ops::Executor::Workspace>(*reference);
  }
  sim::Program::Frame frame;
  std::unique_ptr<ops::Executor::Workspace> workspace;
};

struct Outcome {
  Noise noise;
  std::int64_t predicted = -1, expected = -1;
};

}  // namespace

Evaluation evaluate(const sim::Program& program, const Graph& network,
                    const ops::Executor* reference, const calib::SampleSource& source,
                    std::span<const std::int64_t> labels, const calib::Progress& progress) {
  const SimulatedNetwork simulated(program, network);
  std::vector<std::unique_ptr<Worker>> workers(static_cast<std::size_t>(thread_count()));
  std::vector<Outcome> outcomes(static_cast<std::size_t>(source.count));
  std::atomic<std::int64_t> done = 0;
  std::mutex progress_mutex;
  parallel_for(source.count, [&](std::int64_t i) {
    auto& worker = workers.at(static_cast<std::size_t>(worker_index()));
    if (!worker) worker = std::make_unique<Worker>(program, reference);
    Outcome& outcome = outcomes[static_cast<std::size_t>(i)];
    const std::vector<Tensor> inputs = source.sample(i);
    const std::vector<Tensor> actual = simulated.run(inputs, worker->frame);
    outcome.predicted = arg_max(actual.front());
    if (reference != nullptr) {
      const std::vector<Tensor> expected = reference->run(inputs, *worker->workspace);
      for (std::size_t o = 0; o < actual.size(); ++o)
        outcome.noise.add(actual[o].data<float>(), expected[o].data<float>());
      outcome.expected = arg_max(expected.front());
    }
    const std::int64_t finished = ++done;
    if (progress) {
      std::lock_guard lock(progress_mutex);
      progress(finished, source.count);
    }
  });

  Evaluation result;
  result.samples = source.count;
  Noise noise;
  std::int64_t right = 0, reference_right = 0, agreed = 0;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    noise.add(outcomes[i].noise);
    agreed += outcomes[i].predicted == outcomes[i].expected ? 1 : 0;
    if (labels.empty()) continue;
    right += outcomes[i].predicted == labels[i] ? 1 : 0;
    reference_right += outcomes[i].expected == labels[i] ? 1 : 0;
  }
  const auto share = [&](std::int64_t n) {
    return static_cast<double>(n) / static_cast<double>(std::max<std::int64_t>(source.count, 1));
  };
  const bool scores = is_class_scores(*network.value(network.outputs().front()).shape);
  if (reference != nullptr) {
    result.noise = noise;
    if (scores) result.agreement = share(agreed);
    if (scores && !labels.empty()) result.reference_accuracy = share(reference_right);
  }
  if (scores && !labels.empty()) result.accuracy = share(right);
  return result;
}

}  // namespace espquant::strategy
