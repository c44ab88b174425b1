#include "calib/step_errors.h"

#include <algorithm>
#include <array>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "calib/step_errors.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "base/error.h"

HWY_BEFORE_NAMESPACE();
namespace espquant::calib::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Lanes of float sums stay short, so that single precision is enough; blocks are added in double.
constexpr std::size_t kBlock = 1024;

Summary SummaryOf(const float* x, std::size_t n) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  auto lo = hn::Zero(d), hi = hn::Zero(d);
  auto poison =
      hn::Zero(d);  // x * 0 is NaN exactly for NaN and infinities, and NaN sticks to a sum
  Summary all;
  float min = 0, max = 0, rest = 0;
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, n);
    auto squares = hn::Zero(d);
    std::size_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      const auto v = hn::LoadU(d, x + i);
      lo = hn::Min(lo, v);
      hi = hn::Max(hi, v);
      poison = hn::Add(poison, hn::Mul(v, hn::Zero(d)));
      squares = hn::MulAdd(v, v, squares);
    }
    float sum = hn::GetLane(hn::SumOfLanes(d, squares));
    for (; i < end; ++i) {
      min = std::min(min, x[i]);
      max = std::max(max, x[i]);
      rest += x[i] * 0.0F;
      sum += x[i] * x[i];
    }
    all.sum_squares += static_cast<double>(sum);
  }
  all.extent = {std::min(min, hn::GetLane(hn::MinOfLanes(d, lo))),
                std::max(max, hn::GetLane(hn::MaxOfLanes(d, hi))),
                rest + hn::GetLane(hn::SumOfLanes(d, poison)) == 0.0F};
  return all;
}

template <bool kWeighted>
double SumOfSquaresAs(const float* x, std::size_t n, float weight) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  double total = 0;
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, n);
    auto sum = hn::Zero(d);
    std::size_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      auto v = hn::LoadU(d, x + i);
      if constexpr (kWeighted) v = hn::Mul(v, hn::Mul(v, hn::Set(d, weight)));
      sum = hn::MulAdd(v, v, sum);
    }
    float s = hn::GetLane(hn::SumOfLanes(d, sum));
    for (; i < end; ++i) {
      const float v = kWeighted ? x[i] * (x[i] * weight) : x[i];
      s += v * v;
    }
    total += static_cast<double>(s);
  }
  return total;
}

double SumOfSquares(const float* x, std::size_t n) { return SumOfSquaresAs<false>(x, n, 1.0F); }

double WeightedSumOfSquares(const float* x, std::size_t n, float weight) {
  return SumOfSquaresAs<true>(x, n, weight);
}

// Four steps at a time: one load of x serves them all.
template <int kSteps, bool kWeighted>
void StepErrors(const float* x, std::size_t n, const float* steps, float max_q, float weight,
                double* errors) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto hi = hn::Set(d, max_q), lo = hn::Set(d, -max_q - 1), scale = hn::Set(d, weight);
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, n);
    hn::Vec<decltype(d)> sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    const auto one = [&](hn::Vec<decltype(d)> v, int k, hn::Vec<decltype(d)>& sum) HWY_ATTR {
      const auto q = hn::Min(hn::Max(hn::Round(hn::Mul(v, hn::Set(d, 1.0F / steps[k]))), lo), hi);
      auto e = hn::NegMulAdd(q, hn::Set(d, steps[k]), v);
      if constexpr (kWeighted) e = hn::Mul(e, hn::Mul(v, scale));
      sum = hn::MulAdd(e, e, sum);
    };
    std::size_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      const auto v = hn::LoadU(d, x + i);
      one(v, 0, sum0);
      if constexpr (kSteps > 1) one(v, 1, sum1);
      if constexpr (kSteps > 2) one(v, 2, sum2);
      if constexpr (kSteps > 3) one(v, 3, sum3);
    }
    const hn::Vec<decltype(d)>* sums[] = {&sum0, &sum1, &sum2, &sum3};
    for (int k = 0; k < kSteps; ++k) {
      float s = hn::GetLane(hn::SumOfLanes(d, *sums[k]));
      for (std::size_t j = i; j < end; ++j) {
        const float q = std::min(std::max(std::nearbyint(x[j] / steps[k]), -max_q - 1), max_q);
        const float e = (x[j] - q * steps[k]) * (kWeighted ? x[j] * weight : 1.0F);
        s += e * e;
      }
      errors[k] += static_cast<double>(s);
    }
  }
}

template <bool kWeighted>
void AllStepErrors(const float* x, std::size_t n, const float* steps, std::size_t count,
                   float max_q, float weight, double* errors) {
  std::size_t k = 0;
  for (; k + 4 <= count; k += 4)
    StepErrors<4, kWeighted>(x, n, steps + k, max_q, weight, errors + k);
  steps += k;
  errors += k;
  if (count - k == 3) StepErrors<3, kWeighted>(x, n, steps, max_q, weight, errors);
  if (count - k == 2) StepErrors<2, kWeighted>(x, n, steps, max_q, weight, errors);
  if (count - k == 1) StepErrors<1, kWeighted>(x, n, steps, max_q, weight, errors);
}

void AddStepErrors(const float* x, std::size_t n, const float* steps, std::size_t count,
                   float max_q, double* errors) {
  AllStepErrors<false>(x, n, steps, count, max_q, 1.0F, errors);
}

void AddWeightedStepErrors(const float* x, std::size_t n, const float* steps, std::size_t count,
                           float max_q, float weight, double* errors) {
  AllStepErrors<true>(x, n, steps, count, max_q, weight, errors);
}

void RoundToStep(const float* x, std::size_t n, float step, float max_q, float* rounded) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto hi = hn::Set(d, max_q), lo = hn::Set(d, -max_q - 1);
  const auto unit = hn::Set(d, step), inverse = hn::Set(d, 1.0F / step);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto q = hn::Min(hn::Max(hn::Round(hn::Mul(hn::LoadU(d, x + i), inverse)), lo), hi);
    hn::StoreU(hn::Mul(q, unit), d, rounded + i);
  }
  for (; i < n; ++i)
    rounded[i] = step * std::min(std::max(std::nearbyint(x[i] * (1.0F / step)), -max_q - 1), max_q);
}

double SquaredDifference(const float* a, const float* b, std::size_t n) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  double total = 0;
  for (std::size_t begin = 0; begin < n; begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, n);
    auto sum = hn::Zero(d);
    std::size_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      const auto e = hn::Sub(hn::LoadU(d, a + i), hn::LoadU(d, b + i));
      sum = hn::MulAdd(e, e, sum);
    }
    float s = hn::GetLane(hn::SumOfLanes(d, sum));
    for (; i < end; ++i) s += (a[i] - b[i]) * (a[i] - b[i]);
    total += static_cast<double>(s);
  }
  return total;
}

void AddTo(const float* x, std::size_t n, float* sums) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes)
    hn::StoreU(hn::Add(hn::LoadU(d, sums + i), hn::LoadU(d, x + i)), d, sums + i);
  for (; i < n; ++i) sums[i] += x[i];
}

void AddMomentsTo(const float* x, std::size_t n, float* sums, float* squares) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto v = hn::LoadU(d, x + i);
    hn::StoreU(hn::Add(hn::LoadU(d, sums + i), v), d, sums + i);
    hn::StoreU(hn::MulAdd(v, v, hn::LoadU(d, squares + i)), d, squares + i);
  }
  for (; i < n; ++i) {
    sums[i] += x[i];
    squares[i] += x[i] * x[i];
  }
}

}  // namespace espquant::calib::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espquant::calib {

HWY_EXPORT(SummaryOf);
HWY_EXPORT(SumOfSquares);
HWY_EXPORT(WeightedSumOfSquares);
HWY_EXPORT(AddStepErrors);
HWY_EXPORT(AddWeightedStepErrors);
HWY_EXPORT(RoundToStep);
HWY_EXPORT(SquaredDifference);
HWY_EXPORT(AddTo);
HWY_EXPORT(AddMomentsTo);

Summary summary_of(std::span<const float> values) {
  return HWY_DYNAMIC_DISPATCH(SummaryOf)(values.data(), values.size());
}

Extent extent_of(std::span<const float> values) { return summary_of(values).extent; }

double sum_of_squares(std::span<const float> values) {
  return HWY_DYNAMIC_DISPATCH(SumOfSquares)(values.data(), values.size());
}

void add_step_errors(std::span<const float> values, std::span<const float> steps, int max_q,
                     std::span<double> errors) {
  ESPQUANT_ASSERT(steps.size() == errors.size(), "one error per step");
  HWY_DYNAMIC_DISPATCH(AddStepErrors)
  (values.data(), values.size(), steps.data(), steps.size(), static_cast<float>(max_q),
   errors.data());
}

void add_weighted_step_errors(std::span<const float> values, std::span<const float> steps,
                              int max_q, float unit, std::span<double> errors) {
  ESPQUANT_ASSERT(steps.size() == errors.size(), "one error per step");
  HWY_DYNAMIC_DISPATCH(AddWeightedStepErrors)
  (values.data(), values.size(), steps.data(), steps.size(), static_cast<float>(max_q), 1.0F / unit,
   errors.data());
}

double weighted_sum_of_squares(std::span<const float> values, float unit) {
  return HWY_DYNAMIC_DISPATCH(WeightedSumOfSquares)(values.data(), values.size(), 1.0F / unit);
}

void round_to_step(std::span<const float> values, float step, int max_q, std::span<float> rounded) {
  ESPQUANT_ASSERT(values.size() == rounded.size(), "results of another shape");
  HWY_DYNAMIC_DISPATCH(RoundToStep)
  (values.data(), values.size(), step, static_cast<float>(max_q), rounded.data());
}

double squared_difference(std::span<const float> a, std::span<const float> b) {
  ESPQUANT_ASSERT(a.size() == b.size(), "tensors of different shapes");
  return HWY_DYNAMIC_DISPATCH(SquaredDifference)(a.data(), b.data(), a.size());
}

void add_to(std::span<const float> values, std::span<float> sums) {
  ESPQUANT_ASSERT(values.size() == sums.size(), "sums of another shape");
  HWY_DYNAMIC_DISPATCH(AddTo)(values.data(), values.size(), sums.data());
}

void add_moments_to(std::span<const float> values, std::span<float> sums,
                    std::span<float> squares) {
  ESPQUANT_ASSERT(values.size() == sums.size() && values.size() == squares.size(),
                  "sums of another shape");
  HWY_DYNAMIC_DISPATCH(AddMomentsTo)(values.data(), values.size(), sums.data(), squares.data());
}

}  // namespace espquant::calib
#endif
