#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace espquant::measure {

/// The two classes that a network scores highest for one sample, the first of equals; -1 where it
/// scores none.
struct ClassAnswer {
  std::int64_t best = -1, second = -1;
  float best_score = 0, second_score = 0;

  /// By how much the answer is ahead: near 0, a little noise changes it.
  double margin() const {
    return static_cast<double>(best_score) - static_cast<double>(second_score);
  }
};

/// Of class scores, Float32.
ClassAnswer answer_of(const Tensor& scores);
/// The place of the largest element, the first of equals. `scores`: Float32.
inline std::int64_t best_class(const Tensor& scores) { return answer_of(scores).best; }

/// What became of one sample.
struct SampleAnswer {
  /// Of the simulated network, and of the float one, where there is one and they score classes.
  ClassAnswer chip, reference;
  /// Noise to signal at the worst output, of this sample alone; 0 without a float network.
  double noise = 0;
  /// -1 where it is not known.
  std::int64_t label = -1;
};

/// How often which difference occurs: bins of equal width around 0, whose range doubles when a
/// value lies beyond it, so that nothing need be known before. Counts do not depend on the order of
/// values.
class ErrorHistogram {
 public:
  static constexpr std::size_t kBins = 128;

  void add(double error);
  void add(const ErrorHistogram& other);

  /// Bins reach from -range() to range().
  double range() const;
  const std::array<std::int64_t, kBins>& bins() const { return bins_; }
  std::int64_t count() const { return count_; }
  /// NaN and infinities, which are in no bin.
  std::int64_t not_finite() const { return not_finite_; }
  /// The largest magnitude.
  double largest() const { return largest_; }

 private:
  void widen(int exponent);

  /// The range is 2^exponent_.
  int exponent_ = kLeastExponent;
  std::array<std::int64_t, kBins> bins_{};
  std::int64_t count_ = 0, not_finite_ = 0;
  double largest_ = 0;

  static constexpr int kLeastExponent = -64;
};

/// The errors of one output, or of one part of it (see OutputNoise::Part).
struct OutputErrors {
  std::string output, part;
  ErrorHistogram histogram;
};

}  // namespace espquant::measure
