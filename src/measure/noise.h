#pragma once

#include <span>

namespace espquant::measure {

/// Sum of squared differences and of squares of the float signal.
struct Noise {
  double noise = 0, signal = 0;

  /// A difference that is NaN counts as infinite; infinite references do not count.
  void add(std::span<const float> actual, std::span<const float> reference);
  /// The same in float64, for numbers whose squares float32 does not hold.
  void add_exactly(std::span<const float> actual, std::span<const float> reference);
  void add(const Noise& other) {
    noise += other.noise;
    signal += other.signal;
  }
  /// Noise over signal; 0 when there is neither.
  double ratio() const { return signal > 0 ? noise / signal : noise > 0 ? 1.0 : 0.0; }
};

}  // namespace espquant::measure
