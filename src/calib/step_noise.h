#pragma once

#include <map>

namespace espquant::calib {

/// Noise at the network's outputs, over their signal, that rounding one or several values makes
/// there, by the step (least significant bit) to which they are rounded.
class StepNoise {
 public:
  void set(double step, double noise) { noise_[step] = noise; }
  bool empty() const { return noise_.empty(); }

  /// Between two steps as straight as logarithms are; beyond the coarsest as the square of the
  /// step. Infinite below the finest: what would be clipped there was not worth trying.
  double at(double step) const;
  double finest() const { return noise_.begin()->first; }
  double coarsest() const { return noise_.rbegin()->first; }

 private:
  std::map<double, double> noise_;
};

}  // namespace espquant::calib
