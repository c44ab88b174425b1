#pragma once

#include <array>
#include <string>

#include "cost/node_work.h"
#include "target/target.h"

namespace espquant::cost {

/// What one chip and its memories take for the steps of ESP-DL's kernels. The figures are fitted to
/// times that Espressif publishes (docs/memory-and-speed.md), or to a profile of a user's own
/// board, not taken from data sheets.
struct Board {
  std::string name;
  double clock_mhz = 0;

  /// The cache nearest to the core: size and line.
  double cache_bytes = 0;
  double line_bytes = 0;
  /// A second cache behind the first (P4), 0 where there is none.
  double second_cache_bytes = 0;
  double second_line_bytes = 0;
  /// A part of a filter that the tiled loops keep in the cache (ESP-DL 3.3.15, 4.1).
  double tile_bytes = 0;

  /// Cycles of a core for each kind of work.
  NodeWork cycles;

  /// Of the time of a convolution that is split over two cores, what the second core saves.
  double second_core_saves = 0;

  /// Of constants that were fitted to a profile: how far other estimates may be off, as a fraction.
  double within = 0;
};

/// Throws Error(Malformed) where a price is no finite number of 0 or more, where sizes or the clock
/// are not above 0, or where no kind of work costs anything.
void check_board(const Board& board);

/// The board that Espressif measures with, under the release of `target`: S3 at 240 MHz, S31 at
/// 320, P4 at 360 and, since its boards and options changed with ESP-DL 3.3.14, 400. Other chips:
/// the highest clock that ESP-IDF offers.
Board board_of(const Target& target);

}  // namespace espquant::cost
