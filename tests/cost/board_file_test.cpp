#include "cost/board_file.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace espquant::cost {
namespace {

TEST(BoardFile, IsReadAsItWasWritten) {
  BoardFile file{board_of(find_target("esp32s3")), "esp32s3", "3.3.15"};
  file.board.name = "my \"own\"";
  file.board.within = 0.125;
  const auto back = parse_board(board_text(file), "board.toml");
  EXPECT_EQ(back.target, "esp32s3");
  EXPECT_EQ(back.espdl, "3.3.15");
  EXPECT_EQ(back.board.name, file.board.name);
  EXPECT_EQ(back.board.within, 0.125);
  EXPECT_EQ(board_text(back), board_text(file));
}

TEST(BoardFile, WhatIsLeftOutIsTheUsualBoards) {
  const auto file = parse_board("target = 'esp32p4'\nespdl = '3.3.9'\nclock_mhz = 400", "b.toml");
  const Board usual = board_of(find_target("esp32p4").under(find_release("3.3.9")));
  EXPECT_EQ(file.board.clock_mhz, 400);
  EXPECT_EQ(file.board.cycles.instructions, usual.cycles.instructions);
}

TEST(BoardFile, NonsenseIsRefused) {
  const std::string head = "target = 'esp32s3'\nespdl = '3.3.15'\n";
  for (const std::string& text :
       {std::string("target = "), std::string("espdl = '3.3.15'"),
        std::string("target = 'esp32s3'"), std::string("target = 'esp99'\nespdl = '3.3.15'"),
        head + "speed = 3", head + "clock_mhz = 0", head + "clock_mhz = 'fast'", head + "name = 3",
        head + "cycles = 3", head + "cycles.instruction = -1", head + "cycles.instruction = nan",
        head + "cycles.nothing = 1", head + "second_core_saves = 1", head + "line_bytes = inf"})
    EXPECT_THROW(parse_board(text, "board.toml"), Error) << text;
}

}  // namespace
}  // namespace espquant::cost
