#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "calib/histogram.h"
#include "calib/step_errors.h"
#include "calib/step_noise.h"
#include "graph/graph.h"
#include "ops/executor.h"
#include "ops/recurrent.h"

namespace espquant::calib {

/// Where samples come from: the network's inputs for sample i, in the order and shapes of the
/// graph. Thread-safe.
struct SampleSource {
  std::int64_t count = 0;
  std::function<std::vector<Tensor>(std::int64_t)> sample;
};

using Progress = std::function<void(std::int64_t done, std::int64_t total)>;

/// What else is told during a pass; each may be empty. Values, valid during the call only, and
/// outputs come from several threads at a time, progress from one.
struct Watch {
  Progress progress = {};
  std::function<void(std::int64_t sample, const ops::Executor::View&)> value = {};
  std::function<void(std::int64_t sample, std::vector<Tensor> outputs)> outputs = {};
};

/// What to gather of one activation.
struct Request {
  /// Least significant bits whose squared error is summed.
  std::vector<float> steps;
  int max_q = 127;
  /// Gather the mean over the samples of every element, and of its square.
  bool mean = false;
  /// Count magnitudes, for thresholds by percentile and entropy.
  bool histogram = false;
  /// Sum the errors weighted by x^2 too, for thresholds by SQNR.
  bool weighted_errors = false;
};

struct ValueStatistics {
  Extent extent;
  double sum_squares = 0;
  std::int64_t count = 0;
  /// As requested.
  std::vector<float> steps;
  int max_q = 127;
  /// Squared error summed over all samples, per step.
  std::vector<double> errors;
  /// The same with every error times x^2, and the sum of squares so weighted, both over the square
  /// of the largest magnitude that steps.front() covers; where asked for.
  std::vector<double> weighted_errors;
  double weighted_sum_squares = 0;
  Histogram histogram;
  /// In the memory order of the executor: see `channels_last`.
  std::vector<float> mean, mean_square;
  bool channels_last = false;
};

struct Statistics {
  std::int64_t samples = 0;
  /// By ValueId; values that no run computes have count 0.
  std::vector<ValueStatistics> values;
  /// What goes on inside recurrent layers, where all samples have been looked at.
  std::map<NodeId, ops::RecurrentReach> recurrent;
  /// By representative of the values that share an exponent, where that is in doubt and was
  /// measured: what it does to the network's outputs, in the steps of the float network.
  std::map<ValueId, StepNoise> step_noise;

  const ValueStatistics& of(ValueId v) const { return values.at(static_cast<std::size_t>(v)); }
};

/// Extents, sums of squares and counts of every float activation over the first `limit` samples.
/// Throws Error(BadData) naming the tensor where a value is not finite.
Statistics scan(const ops::Executor& executor, const SampleSource& source, std::int64_t limit);

/// One pass over all samples, gathering what `requests` (by ValueId) asks for, beside the extents.
/// Sums are made in an order that does not depend on the number of threads; memory does not depend
/// on the number of samples.
Statistics gather(const ops::Executor& executor, const SampleSource& source,
                  std::span<const Request> requests, const Watch& watch = {});

}  // namespace espquant::calib
