#pragma once

#include <span>
#include <vector>

#include "calib/calibrate.h"
#include "quant/plan.h"
#include "quant/shares.h"

namespace espquant::quant {

/// Quantization error of the activations as the calibration measured it, looked up for tensors that
/// are scaled by a factor afterwards.
class ActivationErrors {
 public:
  ActivationErrors(const Graph& graph, const Plan& plan, const calib::Statistics& statistics);

  /// A value among those that share an exponent.
  struct Member {
    ValueId value = kNone;
    /// See Shares.
    double share = 1;
  };
  std::vector<Member> members(std::span<const ValueId> values) const;
  Member operand(ValueId v, NodeId reader) const { return {v, shares_.of_operand(v, reader)}; }

  /// Squared error over squared signal of value `v` times `factor` at `exponent`, in integers of
  /// `bits`. Coarser than what was measured: uniform rounding noise. Finer: infinite, for it would
  /// clip more than is worth trying. At 16 bits clipping by more than a step never pays: infinite
  /// there. Rounding never makes more of it than setting to zero: 1 at most.
  double relative(ValueId v, float factor, int exponent, int bits) const;

  /// Sum over the rounded values among `members` of relative() times the share.
  double relative(std::span<const Member> members, float factor, int exponent, int bits) const;

  struct Choice {
    int exponent = 0;
    double error = 0;
    bool found = false;
    /// A member's method named a threshold.
    bool by_threshold = false;
  };
  /// The exponent at which the loss is least; where a member's method is a threshold, the largest
  /// that a member asks for. Not found where no member is rounded or carries a signal.
  Choice best(std::span<const Member> members, float factor, int bits) const;
  /// The same by relative() alone, whatever was measured at the network's outputs.
  Choice best_by_errors(std::span<const Member> members, float factor, int bits) const;

  /// What a larger or smaller exponent costs values that share one: noise at the network's outputs
  /// where that was measured and their methods ask for it, else relative(). Only ratios count.
  double loss(std::span<const Member> members, float factor, int exponent, int bits) const;

  /// From the least to the largest that was seen.
  calib::Extent extent(ValueId v) const;

  /// Mean square of what was calibrated; 0 where that was not looked at.
  double mean_square(ValueId v) const;

  /// The least exponent at which nothing of the rounded members is clipped (at 16 bits by more than
  /// a step).
  int covering(std::span<const Member> members, float factor, int bits) const;

 private:
  bool counts(ValueId v) const;
  // Of values that share an exponent; none where it was not measured, or another method asked for.
  const calib::StepNoise* step_noise(std::span<const Member> members, int bits) const;
  // Exponents worth trying for one value, descending.
  std::vector<int> candidates(ValueId v, float factor, int bits) const;

  const Plan& plan_;
  const calib::Statistics& statistics_;
  Shares shares_;
  /// By ValueId and step, as the value's method counts errors.
  std::vector<std::vector<double>> relative_;
};

}  // namespace espquant::quant
