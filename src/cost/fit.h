#pragma once

#include <vector>

#include "cost/board.h"

namespace espquant::cost {

/// Work that was done, and how long that took.
struct Measurement {
  NodeWork work;
  double milliseconds = 0;
  /// The difference that counts as one: with the time itself, relative errors are made small.
  double scale_milliseconds = 0;
};

struct FitOptions {
  /// How much a price is worth staying where it is: (price / before - 1)^2 times this is added to
  /// the sum of squares. Prices of 0 stay 0 then.
  double stiffness = 0;
};

/// The prices per kind of work, none of them negative, with the least sum of ((estimated -
/// measured) / scale)^2; kinds of work that nothing shows keep their price. The optimum is found
/// among all sets of prices that are 0, each by the normal equations. Deterministic.
Board fitted(const Board& before, const std::vector<Measurement>& measurements,
             const FitOptions& options = {});

/// What `work` takes on a board.
double milliseconds_of(const NodeWork& work, const Board& board);

NodeWork operator+(const NodeWork& a, const NodeWork& b);

}  // namespace espquant::cost
