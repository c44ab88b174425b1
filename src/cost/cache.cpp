#include "cost/cache.h"

#include <cmath>

namespace espquant::cost {

double cyclic_hit_rate(double working_set, double cache) {
  const double rounds = working_set / cache;
  if (!(rounds > 1)) return 1;
  // From below, the fixed-point iteration rises to the smaller solution; 1 is the other.
  constexpr int kIterations = 200;
  double hits = 0;
  for (int i = 0; i < kIterations; ++i) hits = std::exp(-rounds * (1 - hits));
  return hits;
}

}  // namespace espquant::cost
