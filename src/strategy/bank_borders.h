#pragma once

#include <span>
#include <vector>

#include "ops/executor.h"
#include "quant/plan.h"

namespace espquant::strategy {

/// Where frames are divided among banks of exponents.
struct BankBorders {
  /// The largest statistic of each bank but the loudest, from the quietest on.
  std::vector<float> largest;
  /// With one bank, two, and so on: the mean over frames and tensors of the noise to signal that
  /// rounding to 8 bits makes in each tensor by itself.
  std::vector<double> noise;
};

/// Divides the samples, ordered by their statistic, where the summed error of all tensors that
/// `plan` rounds is least when each bank has its own exponents: exact, by dynamic programming over
/// classes of half an octave. `count` banks (1 to 16), or 0: as many as each lower the noise by a
/// tenth. `network` is what `executor` runs; `statistics` are by sample; `ranges` are of all
/// samples (calib::scan).
BankBorders place_bank_borders(const Graph& network, const ops::Executor& executor,
                               const quant::Plan& plan, const calib::Statistics& ranges,
                               const calib::SampleSource& source, std::span<const float> statistics,
                               int count);

}  // namespace espquant::strategy
