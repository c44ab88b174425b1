#include "search/jury.h"

#include <algorithm>

#include "base/parallel.h"
#include "base/per_worker.h"
#include "measure/evaluate.h"
#include "measure/output_comparison.h"
#include "measure/simulate.h"
#include "ops/executor.h"

namespace espquant::search {
namespace {

constexpr std::int64_t kInputMemory = std::int64_t{256} << 20;
constexpr std::size_t kParts = 8;
/// Fewer samples in a part say nothing of it.
constexpr std::size_t kLeastInPart = 4;

std::int64_t input_bytes(const Graph& network) {
  std::int64_t bytes = 0;
  for (ValueId v : network.inputs())
    bytes += element_count(*network.value(v).shape) * static_cast<std::int64_t>(sizeof(float));
  return bytes;
}

}  // namespace

Jury::Jury(const Graph& network, calib::SampleSource source, std::vector<std::int64_t> labels,
           std::vector<std::int64_t> samples)
    : network_(network),
      source_(std::move(source)),
      samples_(std::move(samples)),
      outputs_(samples_.size()),
      scores_(measure::class_count(network) > 0) {
  if (!labels.empty())
    for (std::int64_t s : samples_) labels_.push_back(labels[static_cast<std::size_t>(s)]);
  const bool keep = input_bytes(network) * size() <= kInputMemory;
  if (keep) inputs_.resize(samples_.size());
  const ops::Executor executor(network, {.observe_all = false});
  PerWorker<ops::Executor::Workspace> workspaces(executor);
  parallel_for(size(), [&](std::int64_t i) {
    const auto s = static_cast<std::size_t>(i);
    std::vector<Tensor> inputs = source_.sample(samples_[s]);
    outputs_[s] = measure::as_the_chip_gives(executor.run(inputs, workspaces.mine()));
    if (keep) inputs_[s] = std::move(inputs);
  });
}

std::vector<Tensor> Jury::inputs_of(std::size_t i) const {
  return inputs_.empty() ? source_.sample(samples_[i]) : inputs_[i];
}

Verdict Jury::of(const sim::Program& program) const {
  const measure::SimulatedNetwork simulated(program, network_);
  const measure::OutputComparison comparison(network_);
  PerWorker<sim::Program::Frame> frames(program);
  std::vector<measure::OutputNoise> noises(samples_.size());
  std::vector<std::int64_t> classes(samples_.size(), -1);
  parallel_for(size(), [&](std::int64_t i) {
    sim::Program::Frame& frame = frames.mine();
    const auto s = static_cast<std::size_t>(i);
    const std::vector<Tensor> outputs = simulated.run(inputs_of(s), frame);
    noises[s] = comparison.of(outputs, outputs_[s]);
    if (scores_) classes[s] = measure::best_class(outputs.front());
  });

  Verdict verdict;
  measure::OutputNoise sum = comparison.nothing();
  const bool in_parts = samples_.size() >= kParts * kLeastInPart;
  std::vector<measure::OutputNoise> parts(in_parts ? kParts : 0, comparison.nothing());
  for (std::size_t s = 0; s < noises.size(); ++s) {
    sum.add(noises[s]);
    if (in_parts) parts[s % kParts].add(noises[s]);
  }
  verdict.noise = sum.ratio();
  for (const measure::OutputNoise& part : parts) verdict.part_noises.push_back(part.ratio());
  if (!scores_) return verdict;
  const auto share = [&](const auto& holds) {
    std::int64_t count = 0;
    for (std::size_t s = 0; s < classes.size(); ++s)
      count += holds(s, measure::best_class(outputs_[s].front())) ? 1 : 0;
    return static_cast<double>(count) /
           static_cast<double>(std::max<std::size_t>(1, classes.size()));
  };
  verdict.agreement =
      share([&](std::size_t s, std::int64_t expected) { return classes[s] == expected; });
  verdict.accuracy_drop = 1 - *verdict.agreement;
  if (labels_.empty()) return verdict;
  verdict.accuracy = share([&](std::size_t s, std::int64_t) { return classes[s] == labels_[s]; });
  verdict.reference_accuracy =
      share([&](std::size_t s, std::int64_t expected) { return expected == labels_[s]; });
  const double lost = share([&](std::size_t s, std::int64_t expected) {
    return expected == labels_[s] && classes[s] != labels_[s];
  });
  verdict.accuracy_drop = std::max(*verdict.reference_accuracy - *verdict.accuracy, lost / 2);
  return verdict;
}

Panel panel_of(const std::vector<std::int64_t>& samples, std::int64_t most, std::int64_t least) {
  Panel panel;
  if (static_cast<std::int64_t>(samples.size()) < 2 * least) {
    panel.deciding = samples;
    return panel;
  }
  for (std::size_t i = 0; i < samples.size(); ++i)
    (i % 2 == 0 ? panel.deciding : panel.confirming).push_back(samples[i]);
  const auto count = static_cast<std::int64_t>(panel.deciding.size());
  if (most > 0 && count > most) {
    std::vector<std::int64_t> fewer;
    for (std::int64_t i = 0; i < most; ++i)
      fewer.push_back(panel.deciding[static_cast<std::size_t>(i * count / most)]);
    panel.deciding = std::move(fewer);
  }
  return panel;
}

}  // namespace espquant::search
