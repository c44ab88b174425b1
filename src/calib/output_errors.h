#pragma once

#include "calib/calibrate.h"

namespace espquant::calib {

/// Enough that more seldom change which step is best.
inline constexpr std::int64_t kOutputErrorSamples = 16;

/// Fills ValueStatistics::output_errors: what quantizing a value does to the nodes that read it.
///
/// For each requested value x, each of its steps and each node f that reads it, the sum of
/// (f(Q(x)) - f(x))^2 over the sum of f(x)^2, computed by running f on both. So an error counts by
/// the weights that it meets, and errors that agree among neighbours, as those of clipping do, add
/// up where rounding errors cancel; the error's moments per channel would not show that. The aim is
/// that of AdaRound (Nagel et al. 2020, arXiv:2004.10568), for activations. What only moves data,
/// and pools by maximum, is looked through; an activation behind f belongs to f, so what it cuts
/// off does not count. Where f reads several activations at once (Add, Concat, ...), or nothing
/// reads x, the error of x itself over its signal stands in.
///
/// The nodes are run once per step and sample, so only min(`samples`, source.count) evenly spaced
/// samples are taken, of which a few numbers per step are kept. The result does not depend on the
/// number of threads. `requests` by ValueId and `into` as of the last gather. Throws Error(BadData)
/// where there are no samples.
void measure_output_errors(const ops::Executor& executor, const SampleSource& source,
                           std::span<const Request> requests, std::int64_t samples,
                           Statistics& into);

}  // namespace espquant::calib
