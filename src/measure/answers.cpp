#include "measure/answers.h"

#include <algorithm>
#include <cmath>

namespace espquant::measure {

ClassAnswer answer_of(const Tensor& scores) {
  const auto data = scores.data<float>();
  ClassAnswer answer;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto place = static_cast<std::int64_t>(i);
    if (answer.best < 0 || data[i] > answer.best_score) {
      answer.second = answer.best;
      answer.second_score = answer.best_score;
      answer.best = place;
      answer.best_score = data[i];
    } else if (answer.second < 0 || data[i] > answer.second_score) {
      answer.second = place;
      answer.second_score = data[i];
    }
  }
  return answer;
}

void ErrorHistogram::add(double error) {
  if (!std::isfinite(error)) {
    ++not_finite_;
    return;
  }
  ++count_;
  largest_ = std::max(largest_, std::abs(error));
  int exponent = kLeastExponent;
  // |error| < 2^exponent.
  if (error != 0) std::frexp(error, &exponent);
  if (exponent > exponent_) widen(exponent);
  constexpr auto kHalf = static_cast<double>(kBins / 2);
  const double place = std::floor(std::ldexp(error, -exponent_) * kHalf) + kHalf;
  ++bins_[static_cast<std::size_t>(place)];
}

void ErrorHistogram::add(const ErrorHistogram& other) {
  ErrorHistogram wider = other;
  const int exponent = std::max(exponent_, other.exponent_);
  wider.widen(exponent);
  widen(exponent);
  for (std::size_t b = 0; b < kBins; ++b) bins_[b] += wider.bins_[b];
  count_ += other.count_;
  not_finite_ += other.not_finite_;
  largest_ = std::max(largest_, other.largest_);
}

double ErrorHistogram::range() const { return std::ldexp(1.0, exponent_); }

/// Two bins become one, on either side of 0: borders of the wider bins are borders of the old ones.
void ErrorHistogram::widen(int exponent) {
  for (; exponent_ < exponent; ++exponent_) {
    std::array<std::int64_t, kBins> merged{};
    for (std::size_t b = 0; b < kBins; ++b) merged[kBins / 4 + b / 2] += bins_[b];
    bins_ = merged;
  }
}

}  // namespace espquant::measure
