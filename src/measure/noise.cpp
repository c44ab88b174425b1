#include "measure/noise.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace espquant::measure {
namespace {

/// Of a sum of squares: float32 has lost nothing of it.
bool in_range(float sum) { return sum == 0 || (sum > 1e-30F && sum < 1e38F); }

}  // namespace

void Noise::add(std::span<const float> actual, std::span<const float> reference) {
  constexpr std::size_t kBlock = 1024;
  for (std::size_t begin = 0; begin < actual.size(); begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, actual.size());
    float n = 0, s = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const float d = actual[i] - reference[i];
      n += d * d;
      s += reference[i] * reference[i];
    }
    if (!in_range(n) || !in_range(s)) {
      add_exactly(actual.subspan(begin, end - begin), reference.subspan(begin, end - begin));
      continue;
    }
    noise += static_cast<double>(n);
    signal += static_cast<double>(s);
  }
}

void Noise::add_exactly(std::span<const float> actual, std::span<const float> reference) {
  double n = 0, s = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    // As scores that are masked: the largest integer stands for it.
    if (std::isinf(reference[i])) continue;
    const double d = static_cast<double>(actual[i]) - static_cast<double>(reference[i]);
    n += d * d;
    s += static_cast<double>(reference[i]) * static_cast<double>(reference[i]);
  }
  // So that NaN loses every comparison with a number.
  noise += std::isnan(n) ? std::numeric_limits<double>::infinity() : n;
  signal += s;
}

}  // namespace espquant::measure
