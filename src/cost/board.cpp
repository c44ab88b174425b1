#include "cost/board.h"

#include <array>
#include <string_view>
#include <utility>

namespace espquant::cost {
namespace {

using std::string_view_literals::operator""sv;

/// ESP-DL's published figures are for the S3 at 240 MHz and the P4 at 360 MHz; the others run at
/// the highest clock that ESP-IDF offers.
constexpr std::array kClocks = {
    std::pair{"esp32s3"sv, 240.0}, std::pair{"esp32p4"sv, 360.0}, std::pair{"esp32s31"sv, 320.0},
    std::pair{"esp32"sv, 240.0},   std::pair{"esp32s2"sv, 240.0}, std::pair{"esp32c2"sv, 120.0},
    std::pair{"esp32c3"sv, 160.0}, std::pair{"esp32c5"sv, 240.0}, std::pair{"esp32c6"sv, 160.0},
    std::pair{"c"sv, 160.0},
};

double clock_of(const Target& target) {
  for (const auto& [name, clock] : kClocks)
    if (name == target.name) return clock;
  return 160;
}

/// 64 KiB data cache, octal PSRAM and quad flash at 80 MHz. Fitted to 17 networks and 6 kernels.
Board s3_board() {
  Board b;
  b.cycles_per_instruction = 1.38;
  b.cycles_per_pixel = 44;
  b.cycles_per_summed_element = 5;
  b.cache_bytes = 64 * 1024;
  b.line_bytes = 64;
  b.cycles_per_line = 194;
  b.cycles_per_flash_line = 500;
  return b;
}

/// 64 KiB and 256 KiB of cache, PSRAM at 200 MHz. Fitted to 28 networks. What a line from PSRAM
/// costs is hardly visible in them.
Board p4_board() {
  Board b;
  b.cycles_per_instruction = 1.49;
  b.cycles_per_pixel = 0;
  b.cycles_per_summed_element = 1;
  b.cycles_per_node = 3000;
  b.cache_bytes = 64 * 1024;
  b.line_bytes = 64;
  b.cycles_per_line = 10;
  b.second_cache_bytes = 256 * 1024;
  b.second_line_bytes = 128;
  b.cycles_per_second_line = 40;
  return b;
}

/// From the portable column of ESP-DL's kernel table, measured on an S3.
Board portable_board() {
  Board b;
  b.cycles_per_instruction = 1.4;
  b.cycles_per_pixel = 60;
  b.cycles_per_summed_element = 5;
  b.cycles_per_mac = 12;
  b.cycles_per_depthwise_mac = 16;
  return b;
}

Board family_board(Family family) {
  switch (family) {
    case Family::S3:
      return s3_board();
    case Family::P4:
      return p4_board();
    case Family::C:
      break;
  }
  return portable_board();
}

}  // namespace

Board board_of(const Target& target) {
  Board board = family_board(target.family);
  board.clock_mhz = clock_of(target);
  return board;
}

}  // namespace espquant::cost
