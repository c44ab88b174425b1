#pragma once

#include <array>
#include <set>
#include <string>
#include <string_view>

#include "espdl/index.h"
#include "target/target.h"

namespace espquant::cost {

struct Board;

/// What one run of a node does, in the units that a Board prices; or those prices.
struct NodeWork {
  /// Of a kernel's loops; the price holds the stalls.
  double instructions = 0;
  /// Calls of a kernel: one per output pixel, or several where the filter is cut into tiles.
  double calls = 0;
  /// Elements that the portable averaging and reducing loops add up.
  double summed_elements = 0;
  /// Of portable kernels (C family).
  double macs = 0, depthwise_macs = 0;
  /// Nodes that are set up.
  double nodes = 0;
  /// Lines that the first cache must fetch: of activations, of filters in RAM and of filters in
  /// flash; lines of filters that the second cache has not either.
  double activation_lines = 0, filter_lines = 0, flash_lines = 0, second_lines = 0;
};

/// One kind of work, and as which key a file says what it takes.
struct WorkKind {
  std::string_view key;
  double NodeWork::*amount;
  /// Waiting for memory, not computing.
  bool waits;
};

inline constexpr std::array kWorkKinds = {
    WorkKind{"instruction", &NodeWork::instructions, false},
    WorkKind{"call", &NodeWork::calls, false},
    WorkKind{"summed_element", &NodeWork::summed_elements, false},
    WorkKind{"mac", &NodeWork::macs, false},
    WorkKind{"depthwise_mac", &NodeWork::depthwise_macs, false},
    WorkKind{"node", &NodeWork::nodes, false},
    WorkKind{"activation_line", &NodeWork::activation_lines, true},
    WorkKind{"filter_line", &NodeWork::filter_lines, true},
    WorkKind{"flash_line", &NodeWork::flash_lines, true},
    WorkKind{"second_line", &NodeWork::second_lines, true},
};

struct WorkOptions {
  /// Filters are read from flash, where the board knows what that takes.
  bool parameters_in_flash = false;
  /// Whether an activation lies in internal RAM, which no cache stands before. Empty: none does.
  const std::set<std::string, std::less<>>* internal_tensors = nullptr;
};

/// Multiplications and additions that the node stands for, on every chip.
double macs_of(const espdl::Node& node, const espdl::ModelIndex& index);

NodeWork work_of(const espdl::Node& node, const espdl::ModelIndex& index, const Target& target,
                 const Board& board, const WorkOptions& options = {});

/// A convolution whose rows the runtime deals out to both cores (ESP-DL 6,
/// RUNTIME_MODE_MULTI_CORE).
bool is_split_over_cores(const espdl::Node& node, const espdl::ModelIndex& index);

}  // namespace espquant::cost
