#pragma once

#include <string>
#include <vector>

#include "calib/calibrate.h"
#include "espdl/banks.h"
#include "graph/graph.h"
#include "target/target.h"

namespace espquant::strategy {

/// The integer tensors of `model` that a node writes and a pattern matches, in its order. Throws
/// Error(Usage) for a pattern that matches none.
std::vector<std::string> watched_tensors(const espdl::Model& model,
                                         const std::vector<std::string>& patterns);

/// For each of `tensors` and each bank: the share of clipped elements above which a frame is
/// unlike those of calibration. `network` gives names and shapes of inputs and outputs. Twice the
/// largest that a sample has, and a thousandth.
std::vector<espdl::Watched> clipping_limits(const espdl::Model& model, const Graph& network,
                                            const Target& target, const espdl::Banks& banks,
                                            const std::vector<std::string>& tensors,
                                            const calib::SampleSource& source);

}  // namespace espquant::strategy
