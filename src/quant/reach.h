#pragma once

#include "calib/calibrate.h"
#include "quant/plan.h"
#include "quant/widths.h"

namespace espquant::quant {

/// Scales the inside of a network whose values are tiny or huge, by powers of two, so that they
/// come near 1; the function does not change. float32 loses sums of squares of such numbers, and
/// the chip's exponents end. `statistics` of the graph as it is. Returns the number of groups of
/// values that were scaled.
std::int64_t bring_into_reach(Graph& graph, const calib::Statistics& statistics);

/// Throws Error(Illegal), with the tensor, its node and what to do, where values are so large that
/// no exponent which ESP-DL takes covers them, or where an input or output of the network is so
/// small that the finest exponent leaves nothing of it.
void refuse_out_of_reach(const Graph& graph, const Plan& plan, const Widths& widths,
                         const calib::Statistics& statistics);

/// True for functions whose results have a size of their own, up to 1 or so: next to nothing is 0.
bool ends_at_one(const Node& n);

}  // namespace espquant::quant
