#pragma once

#include <optional>
#include <span>
#include <vector>

#include "calib/calibrate.h"
#include "measure/answers.h"
#include "measure/output_noise.h"
#include "ops/executor.h"
#include "sim/program.h"

namespace espquant::measure {

/// The float network's outputs, truths as the numbers that the chip's are read as.
std::vector<Tensor> as_the_chip_gives(std::vector<Tensor> outputs);

/// How many classes the first output of `network` scores: it has one value per class for each
/// sample. 0 where it is nothing of that kind.
std::int64_t class_count(const Graph& network);

/// How a simulated network does on data, beside the float one. Fractions in [0, 1].
struct Evaluation {
  std::int64_t samples = 0;
  std::optional<OutputNoise> noise;
  /// Share of samples whose largest class score is at the label; where there are labels.
  std::optional<double> accuracy, reference_accuracy;
  /// Share of samples that the float network gets right and the simulated one does not.
  std::optional<double> lost;
  /// Share of samples in which both networks have their largest score at the same class.
  std::optional<double> agreement;
  /// By sample, in their order.
  std::vector<SampleAnswer> answers;
  /// What the simulated network puts out less what the float one does, by output and part; none
  /// without a float network.
  std::vector<OutputErrors> errors;
};

/// `network` gives names and shapes of inputs and outputs; `reference` (float, of that network) may
/// be null. Class scores are the first output, when it has one value per class for each sample.
/// `labels` may be empty.
Evaluation evaluate(const sim::Program& program, const Graph& network,
                    const ops::Executor* reference, const calib::SampleSource& source,
                    std::span<const std::int64_t> labels, const calib::Progress& progress = {});

/// Which of several programs computes a sample, by its inputs.
using Choice = std::function<std::size_t(std::span<const Tensor> inputs)>;

/// The same of several programs for one network of which `choice` takes one for each sample.
Evaluation evaluate_chosen(std::span<const sim::Program* const> programs, const Choice& choice,
                           const Graph& network, const ops::Executor* reference,
                           const calib::SampleSource& source, std::span<const std::int64_t> labels,
                           const calib::Progress& progress = {});

/// The same of several programs for one network, in their order: each sample is read, and run in
/// float, once.
std::vector<Evaluation> evaluate_all(std::span<const sim::Program* const> programs,
                                     const Graph& network, const ops::Executor* reference,
                                     const calib::SampleSource& source,
                                     std::span<const std::int64_t> labels,
                                     const calib::Progress& progress = {});

}  // namespace espquant::measure
