#pragma once

#include "target/target.h"

namespace espquant::cost {

/// What one chip and its usual memories take for the steps of ESP-DL's kernels. The figures are
/// fitted to times that Espressif publishes (docs/memory-and-speed.md, ESP-DL 7), not taken from
/// data sheets.
struct Board {
  double clock_mhz = 0;
  /// Per instruction of a kernel's loops, stalls included.
  double cycles_per_instruction = 0;
  /// To call a kernel for one output pixel.
  double cycles_per_pixel = 0;
  /// Per element that the portable averaging and reducing loops add up.
  double cycles_per_summed_element = 0;
  /// To set a node up.
  double cycles_per_node = 0;

  /// The cache nearest to the core: size, line, and what a line that is not in it costs.
  double cache_bytes = 0;
  double line_bytes = 0;
  double cycles_per_line = 0;
  /// The same, of parameters that stay in flash.
  double cycles_per_flash_line = 0;

  /// A second cache behind the first (P4), 0 where there is none: lines of filters that miss it too
  /// cost this in addition.
  double second_cache_bytes = 0;
  double second_line_bytes = 0;
  double cycles_per_second_line = 0;

  /// Portable kernels (C family): per multiplication and addition.
  double cycles_per_mac = 0;
  double cycles_per_depthwise_mac = 0;
};

Board board_of(const Target& target);

}  // namespace espquant::cost
