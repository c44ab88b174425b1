#pragma once

#include <string>
#include <string_view>

#include "cost/board.h"

namespace espquant::cost {

/// A board with the chip and the release of ESP-DL that its prices hold for, as a file says it.
struct BoardFile {
  Board board;
  std::string target;
  std::string espdl;
};

/// TOML. Keys that are left out are those of the chip's usual board. Throws Error(Malformed) with
/// the place on what is no TOML, has unknown keys or values that make no board (check_board), and
/// Error(Usage) on an unknown chip or release.
BoardFile parse_board(std::string_view toml, const std::string& file_name);

/// Such that parse_board() reads the same board, to six digits.
std::string board_text(const BoardFile& file);

}  // namespace espquant::cost
