#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/fuzz/instruction_sets.h"
#include "tests/fuzz/kernel_problem.h"
#include "tests/support/errors.h"

/// A slice of what scripts/fuzz.sh differential does for as long as one likes.
namespace espquant::test {
namespace {

TEST(Kernels, FastEqualsPlainOnRandomProblems) {
  Random random(20);
  std::int64_t outputs = 0, saturated = 0, refused = 0;
  for (int i = 0; i < 1500; ++i) {
    KernelProblem problem = draw_problem(random);
    const Comparison comparison = compare_kernels(problem);
    ASSERT_EQ(comparison.difference, "") << line_of(problem);
    outputs += comparison.outputs;
    saturated += comparison.saturated;
    refused += comparison.refused ? 1 : 0;
  }
  EXPECT_GT(saturated, 1000);
  EXPECT_LT(saturated, outputs / 2);
  EXPECT_LT(refused, 100);
}

TEST(Kernels, EveryInstructionSetGivesTheSame) {
  for (const std::string& set : vector_sets()) {
    Random random(3);
    for (int i = 0; i < 200; ++i) {
      KernelProblem problem = draw_problem(random);
      if (problem.isa != "best") problem.isa = set;
      ASSERT_EQ(compare_kernels(problem).difference, "") << line_of(problem);
    }
  }
}

TEST(Kernels, SumsOf16BitsAreTheSameInOneRegisterOrTwo) {
  // Around the shifts and the weights from which on two 32-bit sums do (ConvPlan::is_short), with
  // few enough bits to meet ties.
  for (const char* op : {"conv", "depthwise"})
    for (const char* target : {"esp32s3", "esp32p4", "c"})
      for (const int shift : {0, 1, 8, 9, 10, 11, 16, 31, 39, 40, 41})
        for (const char* values :
             {"x_low=-300 x_high=300 w_low=-7 w_high=7 bias_low=-5000 bias_high=5000",
              "x_low=-32768 x_high=32767 x_ends=1 w_low=-4000 w_high=4000 bias_low=-900000000 "
              "bias_high=900000000",
              "x_low=-32768 x_high=32767 w_low=-32768 w_high=32767 w_ends=1"}) {
          KernelProblem problem = parse_problem(fmt::format(
              "{} target={} bits=16 in=6x5 kernel=3x3 pads=1x1x1x1 in_c=33 out_c=33 y_e={} {}", op,
              target, shift, values));
          EXPECT_EQ(compare_kernels(problem).difference, "") << line_of(problem);
        }
}

TEST(Kernels, ProblemsThatOnceDiffered) {
  for (const char* line : {
           // Rounding of a sum that is the largest an int32 holds.
           "depthwise target=c in=12x10 kernel=2x3 stride=2x2 pads=0x1x0x1 in_c=37 out_c=37 x_e=1 "
           "w_e=-4 y_e=-2 bias_low=-2147474362 bias_high=-2147474358 x_low=-36 x_high=-36 w_low=43 "
           "w_high=43 relu=1 seed=12533092",
       })
    EXPECT_EQ(compare_kernels(parse_problem(line)).difference, "") << line;
}

TEST(KernelProblem, ItsLineGivesItBack) {
  Random random(5);
  for (int i = 0; i < 200; ++i) {
    const std::string line = line_of(draw_problem(random));
    EXPECT_EQ(line_of(parse_problem(line)), line);
  }
}

TEST(KernelProblem, WhatIsNotOneIsRefused) {
  for (const char* line : {"conv depth=3", "conv in_c", "conv in=3xx", "conv seed=abc"})
    EXPECT_EQ(error_of([&] { (void)parse_problem(line); }).code(), ErrorCode::Usage) << line;
  for (const char* line : {"cnv", "conv isa=MMX", "conv x_low=-129"})
    EXPECT_EQ(error_of([&] { (void)compare_kernels(parse_problem(line)); }).code(),
              ErrorCode::Usage)
        << line;
}

}  // namespace
}  // namespace espquant::test
