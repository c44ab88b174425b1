#pragma once

#include "strategy/workbench.h"

namespace espquant::strategy {

/// Whether `chosen` makes less than `share` of the noise that `given` makes, beside the float
/// network of `bench`, on calibration samples that had no part in either: of several ways compared
/// on the same samples, the least noisy owes a part of its lead to them. Where there are too few of
/// such samples, those judge that candidates were judged on.
bool is_confirmed(const Workbench& bench, const Candidate& chosen, const Candidate& given,
                  double share);

}  // namespace espquant::strategy
