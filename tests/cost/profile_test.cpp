#include "cost/profile.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/cost/small_model.h"

namespace espquant::cost {
namespace {

espdl::Model profiled_model() {
  return test::SmallModel()
      .input("x", {1, 32, 32, 16})
      .constant("w", DType::Int8, {1, 1, 16, 32})
      .node("Conv", {"x", "w"}, "/a/Conv", {1, 32, 32, 32})
      .node("Reshape", {"/a/Conv"}, "flat", {1, 1024, 32})
      .node("Add", {"flat", "flat"}, "sum", {1, 1024, 32})
      .output("sum")
      .model();
}

TEST(Profile, IsReadFromALog) {
  const auto profile = parse_profile(
      "I (1234) main: hello /a/Conv\n"
      "\x1b[0;32mI (1300) dl::Model:\x1b[0m\r\n"
      "|   name    | type | latency(us) |\n"
      "|  /a/Conv  | Conv |   1500.0    |\n"
      "|  flat     | Reshape | 3 |\n"
      "|  sum      | Add  |   497       |\n"
      "|  total    |      |   2000      |\n",
      profiled_model());
  ASSERT_EQ(profile.milliseconds.size(), 3U);
  EXPECT_DOUBLE_EQ(*profile.milliseconds[0], 1.5);
  EXPECT_DOUBLE_EQ(*profile.milliseconds[2], 0.497);
  EXPECT_DOUBLE_EQ(*profile.total_milliseconds, 2);
}

TEST(Profile, TakesOtherPrints) {
  // Blanks only, no heading, no row of a node that does nothing.
  EXPECT_DOUBLE_EQ(parse_profile("/a/Conv Conv 1500us\nsum Add 500 us\n", profiled_model()).sum(),
                   2);
  // Milliseconds.
  EXPECT_DOUBLE_EQ(
      parse_profile("name,type,time (ms)\n/a/Conv,Conv,1.5\nsum,Add,0.5\n", profiled_model()).sum(),
      2);
  // Twice in one log.
  EXPECT_DOUBLE_EQ(parse_profile("/a/Conv Conv 1000\nsum Add 500\ntotal 1500\n"
                                 "/a/Conv Conv 2000\nsum Add 500\ntotal 2500\n",
                                 profiled_model())
                       .sum(),
                   2);
}

TEST(Profile, OfAnotherModelIsRefused) {
  const auto model = profiled_model();
  for (const char* log : {"", "nothing here\n", "/a/Conv Conv 1500\n",
                          "/a/Conv Conv 0\nsum Add 0\n", "name type latency(us)\nother Conv 100\n",
                          "name type latency(us)\n/a/Conv Conv 1500\nother Conv 100\nsum Add 500\n",
                          "/a/Conv Conv 1500\nsum Add 500\ntotal 9000\n"}) {
    try {
      parse_profile(log, model);
      FAIL() << log;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::BadData);
    }
  }
}

TEST(Profile, ABoardIsFittedToIt) {
  const auto model = profiled_model();
  const Target& target = find_target("esp32s3");
  const Board usual = board_of(target);
  const auto estimate = estimate_latency(model, target);
  Profile profile;
  for (const auto& node : estimate.nodes)
    profile.milliseconds.emplace_back(1.5 * node.milliseconds);
  const auto fit = fit_to_profile(model, target, usual, profile);
  EXPECT_NEAR(fit.total_before, 1 / 1.5 - 1, 1e-6);
  LatencyOptions options;
  options.board = fit.board;
  EXPECT_NEAR(estimate_latency(model, target, options).milliseconds, profile.sum(),
              1e-6 * profile.sum());
  EXPECT_LT(fit.nodes_after, 0.05);
  EXPECT_GE(fit.board.within, 0.1);
}

}  // namespace
}  // namespace espquant::cost
