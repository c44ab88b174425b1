#pragma once

#include <vector>

#include "espdl/model.h"
#include "target/target.h"

namespace espquant::page {

/// The weights of one output channel, as real values.
struct WeightChannel {
  double min = 0, max = 0;
  /// Root of the mean square.
  double rms = 0;
  int exponent = 0;
};

/// By output channel of a Conv, Gemm or MatMul with constant weights; empty for other nodes, and
/// where the file's layout is not the target's.
std::vector<WeightChannel> weight_channels(const espdl::Node& node, const espdl::Constant* weights,
                                           const Target& target);

}  // namespace espquant::page
