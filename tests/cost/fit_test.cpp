#include "cost/fit.h"

#include <gtest/gtest.h>

#include "cost/board.h"

namespace espquant::cost {
namespace {

Board fit_board() {
  Board board;
  board.clock_mhz = 1;  // 1000 cycles to the millisecond
  board.cycles.instructions = 2;
  board.cycles.calls = 30;
  return board;
}

Measurement measurement(double instructions, double calls, double milliseconds) {
  return {{.instructions = instructions, .calls = calls}, milliseconds, milliseconds};
}

TEST(Fit, FindsThePricesThatMadeTheTimes) {
  const auto board = fitted(
      fit_board(), {measurement(1000, 10, 3.5), measurement(2000, 0, 6), measurement(0, 4, 0.2)});
  EXPECT_NEAR(board.cycles.instructions, 3, 1e-9);
  EXPECT_NEAR(board.cycles.calls, 50, 1e-9);
}

TEST(Fit, PricesAreNeverNegative) {
  const auto board = fitted(fit_board(), {measurement(1000, 10, 1), measurement(1000, 20, 0.5)});
  EXPECT_EQ(board.cycles.calls, 0);
  EXPECT_GT(board.cycles.instructions, 0);
}

TEST(Fit, WhatNothingShowsStays) {
  const auto board = fitted(fit_board(), {measurement(1000, 0, 3)});
  EXPECT_NEAR(board.cycles.instructions, 3, 1e-9);
  EXPECT_EQ(board.cycles.calls, 30);
}

TEST(Fit, StiffPricesMoveLess) {
  const std::vector<Measurement> times = {measurement(1000, 10, 3.5), measurement(2000, 0, 6)};
  const double loose = fitted(fit_board(), times, {1e-4}).cycles.instructions;
  const double stiff = fitted(fit_board(), times, {10}).cycles.instructions;
  EXPECT_NEAR(loose, 3, 0.01);
  EXPECT_GT(stiff, 2);
  EXPECT_LT(stiff, loose);
}

}  // namespace
}  // namespace espquant::cost
