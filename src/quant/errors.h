#pragma once

#include <span>

#include "calib/calibrate.h"
#include "quant/plan.h"

namespace espquant::quant {

/// Quantization error of the activations as the calibration measured it, looked up for tensors that
/// are scaled by a factor afterwards.
class ActivationErrors {
 public:
  ActivationErrors(const Plan& plan, const calib::Statistics& statistics)
      : plan_(plan), statistics_(statistics) {}

  /// Squared error over squared signal of value `v` times `factor` at `exponent`. Coarser than what
  /// was measured: uniform rounding noise. Finer: infinite, for it would clip more than is worth
  /// trying.
  double relative(ValueId v, float factor, int exponent) const;

  /// Sum of relative() over the rounded values among `members`.
  double relative(std::span<const ValueId> members, float factor, int exponent) const;

  const calib::ValueStatistics& statistics_of(ValueId v) const { return statistics_.of(v); }

  struct Choice {
    int exponent = 0;
    double error = 0;
    bool found = false;
  };
  /// The exponent at which that sum is least; not found where no member is rounded or carries a
  /// signal.
  Choice best(std::span<const ValueId> members, float factor) const;

 private:
  const Plan& plan_;
  const calib::Statistics& statistics_;
};

}  // namespace espquant::quant
