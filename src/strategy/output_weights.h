#pragma once

#include <span>
#include <vector>

#include "measure/output_noise.h"

namespace espquant::strategy {

/// One number for the noise of several outputs, or parts of an output, that adds up over causes and
/// samples and stands for what the worst of them loses: each counts by its noise to signal, times
/// the square of what all causes together make there. That is how the sum of cubes of the outputs'
/// noises changes, which is nearly that of the worst.
class OutputWeights {
 public:
  /// The float signal of `signals` tells parts apart, as OutputNoise::groups() does. All outputs
  /// count alike. `signals` is of so many samples.
  OutputWeights(const measure::OutputNoise& signals, std::size_t samples);

  /// Noise to signal of each group of parts, of one sample or the mean over several.
  std::vector<double> ratios(const measure::OutputNoise& noise, std::size_t samples = 1) const;
  /// Weighs by what all causes make in each group.
  void weigh(std::span<const double> total);
  /// The weighted mean.
  double of(std::span<const double> ratios) const;

 private:
  /// Indices of parts; groups without a signal are left out unless there are no others.
  std::vector<std::vector<std::size_t>> groups_;
  /// Per sample.
  std::vector<double> signals_;
  std::vector<double> weights_;
};

}  // namespace espquant::strategy
