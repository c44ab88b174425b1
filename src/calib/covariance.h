#pragma once

#include <map>
#include <vector>

#include "calib/calibrate.h"

namespace espquant::calib {

/// How the inputs that one filter multiplies vary together, over output positions and samples.
/// Columns are ordered as a filter's row-major weights: (Cin/group, kh, kw) for a Conv, K for Gemm
/// and MatMul.
struct Covariance {
  std::int64_t groups = 0, columns = 0;
  std::int64_t positions = 0;
  /// [groups][columns]
  std::vector<double> mean;
  /// [groups][columns][columns]: E[x x^T], not centered.
  std::vector<float> second_moment;

  std::span<const float> moment_of(std::int64_t group) const {
    return {second_moment.data() + group * columns * columns,
            static_cast<std::size_t>(columns * columns)};
  }
  std::span<const double> mean_of(std::int64_t group) const {
    return {mean.data() + group * columns, static_cast<std::size_t>(columns)};
  }
};

/// Of the given nodes (Conv, Gemm, MatMul with constant weights), from up to `samples` samples
/// spread evenly and so many positions in each that there are several times as many as columns.
/// Nodes with more than kMostColumns columns are left out. Deterministic for any number of threads.
std::map<NodeId, Covariance> gather_covariance(const ops::Executor& executor,
                                               const SampleSource& source,
                                               std::span<const NodeId> nodes, std::int64_t samples);

inline constexpr std::int64_t kMostColumns = 2048;

}  // namespace espquant::calib
