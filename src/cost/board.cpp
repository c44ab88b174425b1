#include "cost/board.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace espquant::cost {
namespace {

using std::string_view_literals::operator""sv;

constexpr double kKiB = 1024;

/// The highest clock that ESP-IDF offers.
constexpr std::array kClocks = {
    std::pair{"esp32"sv, 240.0},   std::pair{"esp32s2"sv, 240.0}, std::pair{"esp32c2"sv, 120.0},
    std::pair{"esp32c3"sv, 160.0}, std::pair{"esp32c5"sv, 240.0}, std::pair{"esp32c6"sv, 160.0},
};

double clock_of(const Target& target) {
  for (const auto& [name, clock] : kClocks)
    if (name == target.name) return clock;
  return 160;
}

/// 64 KiB data cache, octal PSRAM and quad flash at 80 MHz.
Board s3_memories() {
  Board b;
  b.clock_mhz = 240;
  b.cache_bytes = 64 * kKiB;
  b.line_bytes = 64;
  b.tile_bytes = 16 * kKiB;
  return b;
}

/// Fitted to 17 networks and 6 kernels.
Board s3_without_tiles() {
  Board b = s3_memories();
  b.cycles = {.instructions = 1.38,
              .calls = 44,
              .summed_elements = 5,
              .activation_lines = 194,
              .filter_lines = 194,
              .flash_lines = 500};
  b.second_core_saves = 0.34;
  return b;
}

/// Fitted to 16 networks (bench/latency_fit). Parameters in flash: as before tiles.
Board s3_with_tiles() {
  Board b = s3_memories();
  b.cycles = {.instructions = 1.337,
              .calls = 40.21,
              .summed_elements = 3.902,
              .activation_lines = 205.1,
              .filter_lines = 211.5,
              .flash_lines = 500};
  b.second_core_saves = 0.12;
  return b;
}

/// 64 KiB and 256 KiB of cache.
Board p4_memories() {
  Board b;
  b.cache_bytes = 64 * kKiB;
  b.line_bytes = 64;
  b.second_cache_bytes = 256 * kKiB;
  b.second_line_bytes = 128;
  b.tile_bytes = 32 * kKiB;
  return b;
}

/// PSRAM at 200 MHz. Fitted to 28 networks. What a line from PSRAM costs is hardly visible in them.
Board p4_without_tiles(double clock_mhz) {
  Board b = p4_memories();
  b.clock_mhz = clock_mhz;
  b.cycles = {.instructions = 1.49,
              .summed_elements = 1,
              .nodes = 3000,
              .activation_lines = 10,
              .filter_lines = 10,
              .second_lines = 40};
  b.second_core_saves = 0.31;
  return b;
}

/// PSRAM at 250 MHz. Fitted to 21 networks (bench/latency_fit). Two cores: nothing is published,
/// and the S31's second core gains nothing.
Board p4_with_tiles() {
  Board b = p4_memories();
  b.clock_mhz = 400;
  b.cycles = {.instructions = 0.9354,
              .calls = 50.38,
              .summed_elements = 1.935,
              .activation_lines = 97.52,
              .filter_lines = 56.38,
              .second_lines = 140};
  return b;
}

/// PSRAM at 250 MHz. Fitted to 18 networks (bench/latency_fit).
Board s31_with_tiles() {
  Board b = p4_memories();
  b.clock_mhz = 320;
  b.tile_bytes = 16 * kKiB;
  b.cycles = {.instructions = 1.094,
              .calls = 47.45,
              .summed_elements = 3.423,
              .activation_lines = 186.3,
              .filter_lines = 142.3,
              .second_lines = 213.4};
  return b;
}

/// From the portable column of ESP-DL's kernel table, measured on an S3.
Board portable_board(const Target& target) {
  Board b;
  b.clock_mhz = clock_of(target);
  b.cycles = {
      .instructions = 1.4, .calls = 60, .summed_elements = 5, .macs = 12, .depthwise_macs = 16};
  return b;
}

Board usual_board(const Target& target) {
  const bool tiles = target.release.has(Feature::TiledPointwise);
  switch (target.family) {
    case Family::S3:
      return tiles ? s3_with_tiles() : s3_without_tiles();
    case Family::P4:
      if (target.name == "esp32s31") return tiles ? s31_with_tiles() : p4_without_tiles(320);
      return tiles ? p4_with_tiles() : p4_without_tiles(360);
    case Family::C:
      break;
  }
  return portable_board(target);
}

void need(bool holds, std::string_view what) {
  if (!holds) throw Error(ErrorCode::Malformed, fmt::format("a board's {}", what));
}

}  // namespace

void check_board(const Board& board) {
  need(std::isfinite(board.clock_mhz) && board.clock_mhz > 0, "clock_mhz must be above 0");
  for (const double size : {board.cache_bytes, board.line_bytes, board.second_cache_bytes,
                            board.second_line_bytes, board.tile_bytes})
    need(std::isfinite(size) && size >= 0, "sizes must be 0 or more");
  need(board.second_core_saves >= 0 && board.second_core_saves < 1,
       "second_core_saves must be from 0 to below 1");
  need(board.within >= 0 && board.within < 1, "within must be from 0 to below 1");
  double most = 0;
  for (const auto& kind : kWorkKinds) {
    const double price = board.cycles.*kind.amount;
    need(std::isfinite(price) && price >= 0, fmt::format("cycles.{} must be 0 or more", kind.key));
    most = std::max(most, price);
  }
  need(most > 0, "cycles are all 0");
}

Board board_of(const Target& target) {
  Board board = usual_board(target);
  board.name = target.name;
  return board;
}

}  // namespace espquant::cost
