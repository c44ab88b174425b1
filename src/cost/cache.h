#pragma once

namespace espquant::cost {

/// Share of accesses that hit when `working_set` bytes are read over and over through a cache of
/// `cache` bytes that replaces lines at random: all of them while the set fits. Beyond, a line
/// survives a round of n (1 - h) replacements among m lines with probability exp(-n (1 - h) / m),
/// which is h itself.
double cyclic_hit_rate(double working_set, double cache);

}  // namespace espquant::cost
