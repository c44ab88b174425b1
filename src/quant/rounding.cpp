#include "quant/rounding.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/cancel.h"
#include "base/fixed_point.h"

namespace espquant::quant {
namespace {

// Share of the mean variance that is added to each: the covariance is a sample's.
constexpr double kDamping = 0.01;
// Of a filter's weights, in terms of their number.
constexpr std::size_t kMostMoves = 2;

/// C = L L^T in place, L below and on the diagonal. Pivots are kept at `least` or above.
void factorize(std::vector<double>& c, std::size_t n, double least) {
  std::vector<double> column(n);
  for (std::size_t k = 0; k < n; ++k) {
    throw_if_cancelled();
    const double pivot = std::sqrt(std::max(c[k * n + k], least));
    c[k * n + k] = pivot;
    for (std::size_t i = k + 1; i < n; ++i) column[i] = c[i * n + k] /= pivot;
    for (std::size_t i = k + 1; i < n; ++i) {
      const double scale = column[i];
      if (scale == 0) continue;
      double* row = c.data() + i * n;
      for (std::size_t j = k + 1; j <= i; ++j) row[j] -= scale * column[j];
    }
  }
}

/// What an error in one column asks of the columns that are rounded after it.
class Compensation {
 public:
  Compensation(const InputKnowledge& input, std::int64_t group)
      : size_(static_cast<std::size_t>(input.covariance->columns)),
        order_(size_),
        keep_zeros_(input.keep_zeros) {
    const auto moment = input.covariance->moment_of(group);
    const auto mean = input.covariance->mean_of(group);
    const auto covariance = [&](std::size_t i, std::size_t j) {
      const auto m = static_cast<double>(moment[i * size_ + j]);
      return input.bias_absorbs_mean ? m - mean[i] * mean[j] : m;
    };
    std::vector<double> variance(size_);
    for (std::size_t i = 0; i < size_; ++i) variance[i] = std::max(covariance(i, i), 0.0);
    const double average =
        std::accumulate(variance.begin(), variance.end(), 0.0) / static_cast<double>(size_);
    usable_ = average > 0;
    if (!usable_) return;
    // The last column is rounded first: that of the largest variance, which most can make up for.
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return variance[a] < variance[b]; });
    const double damping = kDamping * average + input.step * input.step / 12;
    std::vector<double> c(size_ * size_);
    for (std::size_t i = 0; i < size_; ++i)
      for (std::size_t j = 0; j <= i; ++j)
        c[i * size_ + j] = covariance(order_[i], order_[j]) + (i == j ? damping : 0.0);
    covariance_.resize(size_ * size_);
    for (std::size_t i = 0; i < size_; ++i)
      for (std::size_t j = 0; j <= i; ++j)
        covariance_[i * size_ + j] = covariance_[j * size_ + i] =
            static_cast<float>(c[i * size_ + j]);
    factorize(c, size_, damping * 1e-3);
    shares_.resize(size_ * size_);
    for (std::size_t i = 0; i < size_; ++i)
      for (std::size_t j = 0; j < i; ++j)
        shares_[i * size_ + j] = static_cast<float>(c[i * size_ + j] / c[j * size_ + j]);
  }

  bool usable() const { return usable_; }

  /// Rounds one filter to multiples of `step` in [-max_q - 1, max_q] * step.
  void round(std::span<const float> weights, float step, float max_q, Rounding rounding,
             std::span<float> into) const {
    std::vector<float> owed(size_, 0.0F);
    const float inverse = 1.0F / step;
    for (std::size_t k = size_; k-- > 0;) {
      const std::size_t column = order_[k];
      const float wanted = stays(weights[column]) ? 0.0F : weights[column] + owed[k];
      const auto nearest = static_cast<float>(round_to_int(wanted * inverse, rounding));
      into[column] = std::clamp(nearest, -max_q - 1, max_q) * step;
      const float error = weights[column] - into[column];
      const float* share = shares_.data() + k * size_;
      for (std::size_t j = 0; j < k; ++j) owed[j] += share[j] * error;
    }
    polish(weights, step, max_q, into);
  }

 private:
  bool stays(float weight) const { return keep_zeros_ && weight == 0; }

  /// Moves single weights by one step, always that which lowers the error at the output most, until
  /// none does.
  void polish(std::span<const float> weights, float step, float max_q,
              std::span<float> into) const {
    std::vector<float> error(size_), pull(size_, 0.0F);
    for (std::size_t k = 0; k < size_; ++k) error[k] = into[order_[k]] - weights[order_[k]];
    for (std::size_t k = 0; k < size_; ++k) {
      if (error[k] == 0) continue;
      const float* row = covariance_.data() + k * size_;
      for (std::size_t j = 0; j < size_; ++j) pull[j] += row[j] * error[k];
    }
    for (std::size_t moves = 0; moves < kMostMoves * size_; ++moves) {
      float most = 0;
      std::size_t best = size_;
      for (std::size_t k = 0; k < size_; ++k) {
        // Against the pull.
        const float gain = step * (2 * std::abs(pull[k]) - step * covariance_[k * size_ + k]);
        if (gain <= most || stays(weights[order_[k]])) continue;
        const float moved = into[order_[k]] + (pull[k] > 0 ? -step : step);
        if (moved > max_q * step || moved < (-max_q - 1) * step) continue;
        most = gain;
        best = k;
      }
      if (best == size_) break;
      const float change = pull[best] > 0 ? -step : step;
      into[order_[best]] += change;
      const float* row = covariance_.data() + best * size_;
      for (std::size_t j = 0; j < size_; ++j) pull[j] += row[j] * change;
    }
  }

  std::size_t size_;
  std::vector<std::size_t> order_;
  std::vector<float> shares_;
  /// Of the columns in their order.
  std::vector<float> covariance_;
  bool usable_ = false, keep_zeros_ = false;
};

void round_to_nearest(std::span<const float> weights, float step, float max_q, Rounding rounding,
                      std::span<float> into) {
  const float inverse = 1.0F / step;
  for (std::size_t k = 0; k < weights.size(); ++k)
    into[k] = std::clamp(static_cast<float>(round_to_int(weights[k] * inverse, rounding)),
                         -max_q - 1, max_q) *
              step;
}

}  // namespace

std::vector<float> rounded_weights(const WeightRows& rows, const TensorQuant& quant,
                                   const InputKnowledge& input, Rounding rounding) {
  std::vector<float> result(rows.values.size());
  const auto max_q = static_cast<float>(quant.max_q());
  const bool informed = input.covariance != nullptr && input.covariance->columns == rows.columns;
  for (std::int64_t first = 0; first < rows.rows; first += rows.rows_per_group) {
    std::optional<Compensation> compensation;
    if (informed) compensation.emplace(input, first / rows.rows_per_group);
    for (std::int64_t r = first; r < std::min(first + rows.rows_per_group, rows.rows); ++r) {
      throw_if_cancelled();
      const float step =
          std::ldexp(1.0F, quant.exponents[quant.per_channel() ? static_cast<std::size_t>(r) : 0]);
      const std::span<float> into(result.data() + r * rows.columns,
                                  static_cast<std::size_t>(rows.columns));
      if (compensation && compensation->usable())
        compensation->round(rows.row(r), step, max_q, rounding, into);
      else
        round_to_nearest(rows.row(r), step, max_q, rounding, into);
    }
  }
  return result;
}

}  // namespace espquant::quant
