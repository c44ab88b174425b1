#pragma once

#include "calib/calibrate.h"

namespace espquant::calib {

/// Fills ValueStatistics::output_errors: what quantizing a value does to the nodes that read it.
///
/// For each requested value x, each of its steps and each node f that reads it, the sum of
/// (f(Q(x)) - f(x))^2 over the sum of f(x)^2, computed by running f on both. So an error counts by
/// the weights that it meets, and errors that agree among neighbours, as those of clipping do, add
/// up where rounding errors cancel: exact where the error's first two moments per channel would not
/// be. What only moves data, and pools by maximum, is looked through; an activation behind f
/// belongs to f, so what it cuts off does not count. Where f reads several activations at once
/// (Add, Concat, ...), or nothing reads x, the error of x itself over its signal stands in.
///
/// The nodes are run once per step and sample, so only min(`samples`, source.count) evenly spaced
/// samples are taken; memory does not depend on their number, nor the result on the number of
/// threads. `requests` by ValueId, as for gather; `into` as gather returned it.
void measure_output_errors(const ops::Executor& executor, const SampleSource& source,
                           std::span<const Request> requests, std::int64_t samples,
                           Statistics& into);

}  // namespace espquant::calib
