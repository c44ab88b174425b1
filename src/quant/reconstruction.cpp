#include "quant/reconstruction.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <dnnl.hpp>

#include "base/parallel.h"
#include "calib/step_errors.h"

namespace espquant::quant {
namespace {

using Matrix = Eigen::MatrixXd;

// Ridges in terms of the mean variance of the inputs, the strongest first.
constexpr std::array kRidges = {10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001};
// A smaller part of the error is not worth a change.
constexpr double kWorthwhile = 0.998;

/// Moments of x, the inputs, and of d, what is missing at the output.
struct Moments {
  double count = 0;
  Matrix xx, xd;
  double dd = 0;

  double mean_variance() const { return xx.trace() / static_cast<double>(xx.rows()); }
};

/// Mean of each column of [positions][columns].
Eigen::VectorXd means_of(const float* values, std::int64_t positions, std::int64_t columns) {
  Eigen::VectorXd sums = Eigen::VectorXd::Zero(columns);
  for (std::int64_t i = 0; i < positions; ++i)
    for (std::int64_t k = 0; k < columns; ++k)
      sums[k] += static_cast<double>(values[i * columns + k]);
  return sums / static_cast<double>(std::max<std::int64_t>(positions, 1));
}

void subtract(float* values, std::int64_t positions, const Eigen::VectorXd& means) {
  const Eigen::VectorXf each = means.cast<float>();
  const std::int64_t columns = each.size();
  for (std::int64_t i = 0; i < positions; ++i)
    for (std::int64_t k = 0; k < columns; ++k) values[i * columns + k] -= each[k];
}

/// Around means of their own. `x` and `d` are [positions][columns] and [positions][rows].
Moments moments_of(const float* x, const float* d, std::int64_t positions, std::int64_t columns,
                   std::int64_t rows) {
  using Floats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Floats xx(columns, columns), xd(columns, rows);
  dnnl::sgemm('T', 'N', columns, columns, positions, 1.0F, x, columns, x, columns, 0.0F, xx.data(),
              columns);
  dnnl::sgemm('T', 'N', columns, rows, positions, 1.0F, x, columns, d, rows, 0.0F, xd.data(), rows);
  const auto n = static_cast<double>(positions);
  const Eigen::VectorXd mean_x = means_of(x, positions, columns);
  const Eigen::VectorXd mean_d = means_of(d, positions, rows);
  Moments m;
  m.count = n;
  m.xx = xx.cast<double>() / n - mean_x * mean_x.transpose();
  m.xd = xd.cast<double>() / n - mean_x * mean_d.transpose();
  m.dd = calib::sum_of_squares({d, static_cast<std::size_t>(positions * rows)}) / n -
         mean_d.squaredNorm();
  return m;
}

/// The change of the weights, [columns][rows], that makes up for most of d.
std::optional<Matrix> change_of(const Moments& m, double ridge) {
  Matrix held = m.xx;
  held.diagonal().array() += ridge * m.mean_variance();
  const Eigen::LLT<Eigen::Ref<Matrix>> factors(held);
  if (factors.info() != Eigen::Success) return std::nullopt;
  return Matrix(factors.solve(m.xd));
}

/// Mean square of what is missing with that change.
double error_of(const Moments& m, const Matrix& change) {
  return m.dd + (change.array() * (m.xx * change - 2 * m.xd).array()).sum();
}

/// The ridge that generalizes best; nothing where none is better than no change.
std::optional<double> best_ridge(const std::array<Moments, 2>& halves) {
  double least = kWorthwhile * (halves[0].dd + halves[1].dd);
  std::optional<double> best;
  for (double ridge : kRidges) {
    std::array<double, 2> errors{};
    std::array<bool, 2> solved{};
    parallel_for(2, [&](std::int64_t i) {
      const auto mine = static_cast<std::size_t>(i);
      const auto change = change_of(halves[mine], ridge);
      solved[mine] = change.has_value();
      if (change) errors[mine] = error_of(halves[1 - mine], *change);
    });
    const double error = errors[0] + errors[1];
    // Weaker ones only follow the noise more closely.
    if (!solved[0] || !solved[1] || !(error < least)) break;
    least = error;
    best = ridge;
  }
  return best;
}

/// Both halves together; their means may differ a little.
Moments together(const std::array<Moments, 2>& halves) {
  const double n = halves[0].count + halves[1].count;
  const double a = halves[0].count / n, b = halves[1].count / n;
  return {n, a * halves[0].xx + b * halves[1].xx, a * halves[0].xd + b * halves[1].xd,
          a * halves[0].dd + b * halves[1].dd};
}

/// The change of the weights of one group; nothing where they had better stay.
std::optional<Matrix> worthwhile_change(const std::array<Moments, 2>& halves) {
  if (!(halves[0].mean_variance() > 0) || !(halves[1].mean_variance() > 0)) return std::nullopt;
  const std::optional<double> ridge = best_ridge(halves);
  if (!ridge) return std::nullopt;
  return change_of(together(halves), *ridge);
}

/// Adds the change to a group's filters and notes how its inputs vary.
void settle(const std::array<Moments, 2>& halves, const double* mean, std::int64_t group,
            Reconstruction& into) {
  WeightRows& rows = into.rows;
  const std::int64_t columns = rows.columns, each = rows.rows_per_group;
  const Eigen::Map<const Eigen::VectorXd> means(mean, columns);
  Eigen::Map<Eigen::VectorXd>(into.inputs.mean.data() + group * columns, columns) = means;
  Eigen::Map<Eigen::MatrixXf>(into.inputs.second_moment.data() + group * columns * columns, columns,
                              columns) =
      (together(halves).xx + means * means.transpose()).cast<float>();
  if (const auto change = worthwhile_change(halves))
    // Column by column in Eigen's order: filter by filter.
    Eigen::Map<Eigen::MatrixXf>(rows.values.data() + group * each * columns, columns, each) +=
        change->cast<float>();
}

/// One group, whose columns stand side by side. `x` and `d`, the outputs, are around their means.
void fit_dense(float* x, float* d, const LayerEvidence& evidence, const double* mean,
               std::int64_t group, Reconstruction& into) {
  const std::int64_t columns = into.rows.columns, each = into.rows.rows_per_group;
  const float* weights = into.rows.values.data() + group * each * columns;
  std::array<Moments, 2> halves;
  parallel_for(2, [&](std::int64_t h) {
    const std::int64_t first = h == 0 ? 0 : evidence.first_half;
    const std::int64_t count = h == 0 ? evidence.first_half : evidence.positions - first;
    // What is missing at the output.
    dnnl::sgemm('N', 'T', count, each, columns, -1.0F, x + first * columns, columns, weights,
                columns, 1.0F, d + first * each, each);
    halves[static_cast<std::size_t>(h)] =
        moments_of(x + first * columns, d + first * each, count, columns, each);
  });
  settle(halves, mean, group, into);
}

/// Sums of one half over all channels of a depthwise layer at once.
struct DepthwiseSums {
  DepthwiseSums(std::int64_t taps, std::int64_t channels)
      : xx(static_cast<std::size_t>(taps * taps * channels), 0.0F),
        xd(static_cast<std::size_t>(taps * channels), 0.0F),
        x(xd),
        dd(static_cast<std::size_t>(channels), 0.0F),
        d(dd) {}
  /// [taps][taps][channels], [taps][channels], [channels]
  std::vector<float> xx, xd, x, dd, d;
};

DepthwiseSums depthwise_sums(const LayerEvidence& evidence, std::int64_t first, std::int64_t count,
                             const WeightRows& rows) {
  const std::int64_t taps = evidence.taps, channels = evidence.channels;
  DepthwiseSums sums(taps, channels);
  std::vector<float> missing(static_cast<std::size_t>(channels));
  // [taps][channels]
  std::vector<float> weights(static_cast<std::size_t>(taps * channels));
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t t = 0; t < taps; ++t)
      weights[static_cast<std::size_t>(t * channels + c)] =
          rows.values[static_cast<std::size_t>(c * taps + t)];
  const auto multiply_add = [channels](const float* a, const float* b, float* into) {
    for (std::int64_t c = 0; c < channels; ++c) into[c] += a[c] * b[c];
  };
  const auto add = [channels](const float* a, float* into) {
    for (std::int64_t c = 0; c < channels; ++c) into[c] += a[c];
  };
  for (std::int64_t i = first; i < first + count; ++i) {
    const float* x = evidence.inputs.data() + i * taps * channels;
    const float* y = evidence.outputs.data() + i * channels;
    std::copy_n(y, channels, missing.begin());
    for (std::int64_t t = 0; t < taps; ++t)
      for (std::int64_t c = 0; c < channels; ++c)
        missing[static_cast<std::size_t>(c)] -=
            weights[static_cast<std::size_t>(t * channels + c)] * x[t * channels + c];
    for (std::int64_t a = 0; a < taps; ++a) {
      for (std::int64_t b = 0; b <= a; ++b)
        multiply_add(x + a * channels, x + b * channels,
                     sums.xx.data() + (a * taps + b) * channels);
      multiply_add(x + a * channels, missing.data(), sums.xd.data() + a * channels);
      add(x + a * channels, sums.x.data() + a * channels);
    }
    multiply_add(missing.data(), missing.data(), sums.dd.data());
    add(missing.data(), sums.d.data());
  }
  return sums;
}

Moments moments_of_channel(const DepthwiseSums& sums, std::int64_t count, std::int64_t taps,
                           std::int64_t channels, std::int64_t c) {
  const auto n = static_cast<double>(count);
  const auto at = [&](const std::vector<float>& all, std::int64_t i) {
    return static_cast<double>(all[static_cast<std::size_t>(i * channels + c)]) / n;
  };
  Moments m;
  m.count = n;
  m.xx.resize(taps, taps);
  m.xd.resize(taps, 1);
  for (std::int64_t a = 0; a < taps; ++a) {
    for (std::int64_t b = 0; b <= a; ++b)
      m.xx(a, b) = m.xx(b, a) = at(sums.xx, a * taps + b) - at(sums.x, a) * at(sums.x, b);
    m.xd(a, 0) = at(sums.xd, a) - at(sums.x, a) * at(sums.d, 0);
  }
  m.dd = at(sums.dd, 0) - at(sums.d, 0) * at(sums.d, 0);
  return m;
}

/// `evidence` is around its means.
void fit_depthwise(const LayerEvidence& evidence, const Eigen::VectorXd& means,
                   Reconstruction& into) {
  const std::int64_t taps = evidence.taps, channels = evidence.channels;
  const std::array<std::int64_t, 2> counts{evidence.first_half,
                                           evidence.positions - evidence.first_half};
  std::array<std::optional<DepthwiseSums>, 2> sums;
  parallel_for(2, [&](std::int64_t h) {
    const auto half = static_cast<std::size_t>(h);
    sums[half] = depthwise_sums(evidence, h == 0 ? 0 : counts[0], counts[half], into.rows);
  });
  parallel_for(channels, [&](std::int64_t c) {
    std::vector<double> mean(static_cast<std::size_t>(taps));
    for (std::int64_t t = 0; t < taps; ++t)
      mean[static_cast<std::size_t>(t)] = means[t * channels + c];
    settle({moments_of_channel(*sums[0], counts[0], taps, channels, c),
            moments_of_channel(*sums[1], counts[1], taps, channels, c)},
           mean.data(), c, into);
  });
}

/// The columns of one of several groups.
void gather_group(const LayerEvidence& evidence, std::int64_t groups, std::int64_t group,
                  std::vector<float>& x, std::vector<float>& d) {
  const std::int64_t channels = evidence.channels / groups;
  const auto rows = static_cast<std::int64_t>(evidence.outputs.size()) / evidence.positions;
  const std::int64_t each = rows / groups;
  x.clear();
  d.clear();
  for (std::int64_t i = 0; i < evidence.positions; ++i) {
    for (std::int64_t t = 0; t < evidence.taps; ++t) {
      const auto from =
          evidence.inputs.begin() + (i * evidence.taps + t) * evidence.channels + group * channels;
      x.insert(x.end(), from, from + channels);
    }
    const auto from = evidence.outputs.begin() + i * rows + group * each;
    d.insert(d.end(), from, from + each);
  }
}

}  // namespace

std::vector<float> by_tap(const WeightRows& rows, std::int64_t taps) {
  const std::int64_t channels = rows.columns / taps;
  std::vector<float> values(rows.values.size());
  for (std::int64_t r = 0; r < rows.rows; ++r)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t t = 0; t < taps; ++t)
        values[static_cast<std::size_t>(r * rows.columns + t * channels + c)] =
            rows.values[static_cast<std::size_t>(r * rows.columns + c * taps + t)];
  return values;
}

std::vector<float> by_channel(const WeightRows& rows, std::span<const float> values,
                              std::int64_t taps) {
  const std::int64_t channels = rows.columns / taps;
  std::vector<float> back(values.size());
  for (std::int64_t r = 0; r < rows.rows; ++r)
    for (std::int64_t t = 0; t < taps; ++t)
      for (std::int64_t c = 0; c < channels; ++c)
        back[static_cast<std::size_t>(r * rows.columns + c * taps + t)] =
            values[static_cast<std::size_t>(r * rows.columns + t * channels + c)];
  return back;
}

Reconstruction reconstruct(const WeightRows& rows, LayerEvidence evidence) {
  const std::int64_t groups = rows.rows / rows.rows_per_group, columns = rows.columns;
  Reconstruction result{rows, {groups, columns, evidence.positions, {}, {}}};
  result.rows.values = by_tap(rows, evidence.taps);
  result.inputs.mean.resize(static_cast<std::size_t>(groups * columns));
  result.inputs.second_moment.resize(static_cast<std::size_t>(groups * columns * columns));
  const Eigen::VectorXd means =
      means_of(evidence.inputs.data(), evidence.positions, evidence.taps * evidence.channels);
  subtract(evidence.inputs.data(), evidence.positions, means);
  subtract(evidence.outputs.data(), evidence.positions,
           means_of(evidence.outputs.data(), evidence.positions, rows.rows));
  if (groups == 1) {
    fit_dense(evidence.inputs.data(), evidence.outputs.data(), evidence, means.data(), 0, result);
  } else if (groups == evidence.channels && rows.rows_per_group == 1) {
    fit_depthwise(evidence, means, result);
  } else {
    parallel_for(groups, [&](std::int64_t g) {
      std::vector<float> x, d;
      gather_group(evidence, groups, g, x, d);
      const std::int64_t channels = evidence.channels / groups;
      std::vector<double> mean;
      for (std::int64_t t = 0; t < evidence.taps; ++t)
        for (std::int64_t c = 0; c < channels; ++c)
          mean.push_back(means[t * evidence.channels + g * channels + c]);
      fit_dense(x.data(), d.data(), evidence, mean.data(), g, result);
    });
  }
  return result;
}

}  // namespace espquant::quant
