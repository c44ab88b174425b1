#pragma once

#include "cost/board.h"
#include "espdl/index.h"

namespace espquant::cost {

/// What one run of a node does, in the units that a Board prices.
struct NodeWork {
  double instructions = 0;
  double pixels = 0;
  double summed_elements = 0;
  double macs = 0, depthwise_macs = 0;
  /// Lines that the first cache must fetch; of filters, those that the second has not either.
  double activation_lines = 0, filter_lines = 0, second_filter_lines = 0;
};

NodeWork work_of(const espdl::Node& node, const espdl::ModelIndex& index, const Target& target,
                 const Board& board);

}  // namespace espquant::cost
