#include "schedule/row_rule.h"

#include <gtest/gtest.h>

#include "tests/cost/small_model.h"

namespace espquant::schedule {
namespace {

using test::SmallModel;
using Numbers = std::vector<std::int64_t>;

std::optional<RowRule> rule_of(const SmallModel& small) {
  const espdl::ModelIndex index(small.model());
  return row_rule(small.model().nodes.back(), index);
}

const Shape kSmall{1, 16, 8, 16}, kHalf{1, 8, 4, 16};

SmallModel convolution(Numbers pads = {1, 1, 1, 1}) {
  return SmallModel()
      .input("x", kSmall)
      .constant("w", DType::Int8, {3, 3, 16, 16})
      .node("Conv", {"x", "w"}, "y", kHalf)
      .attribute("strides", Numbers{2, 2})
      .attribute("pads", std::move(pads));
}

TEST(RowRule, AWindowReachesIntoItsNeighbours) {
  const auto rule = rule_of(convolution());
  ASSERT_TRUE(rule);
  const NeededRows first = rows_needed(*rule, {0, 3}, 16);
  EXPECT_EQ(first.rows, (Rows{0, 6}));
  EXPECT_EQ(first.pad_before, 1);
  EXPECT_EQ(first.pad_after, 0);
  const NeededRows last = rows_needed(*rule, {3, 8}, 16);
  EXPECT_EQ(last.rows, (Rows{5, 16}));
  EXPECT_EQ(last.pad_before, 0);
  EXPECT_EQ(last.pad_after, 0);
}

TEST(RowRule, WhatTheShapesDoNotBearOutIsNone) {
  EXPECT_FALSE(rule_of(convolution({3, 1, 3, 1})));
  EXPECT_FALSE(rule_of(SmallModel().input("x", {2, 4, 4, 8}).node("Relu", {"x"}, "y", {2, 4, 4, 8})))
      << "two images";
  EXPECT_FALSE(rule_of(SmallModel().input("x", {4, 8}).node("Relu", {"x"}, "y", {4, 8})));
  EXPECT_FALSE(rule_of(SmallModel()
                           .input("x", kSmall)
                           .node("GlobalAveragePool", {"x"}, "y", {1, 1, 1, 16})));
}

TEST(RowRule, OperandsAreTakenByRowsOrWhole) {
  using Operand = RowRule::Operand;
  const auto rule = rule_of(SmallModel()
                                .input("x", kSmall)
                                .input("gain", {1, 1, 1, 16})
                                .node("Mul", {"x", "gain"}, "y", kSmall));
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->operands, (std::vector{Operand::Rows, Operand::Whole}));
  EXPECT_FALSE(rule_of(SmallModel()
                           .input("x", kSmall)
                           .constant("by_row", DType::Int8, {1, 16, 1, 1})
                           .node("Mul", {"x", "by_row"}, "y", kSmall)));
}

TEST(RowRule, JoiningAndCuttingAlongRowsIsNone) {
  const auto concat = [](std::int64_t axis) {
    return rule_of(SmallModel()
                       .input("a", kSmall)
                       .input("b", kSmall)
                       .node("Concat", {"a", "b"}, "y", {1, 16, 8, 32})
                       .attribute("axis", axis));
  };
  EXPECT_TRUE(concat(3));
  EXPECT_TRUE(concat(-1));
  EXPECT_FALSE(concat(1));
  EXPECT_FALSE(concat(-3));
}

TEST(RowRule, APoolThatWouldBeginBehindItsBandIsNotSafe) {
  // Kernel 5, padding 2: two windows begin in the padding.
  const auto rule = rule_of(SmallModel()
                                .input("x", kSmall)
                                .node("MaxPool", {"x"}, "y", kSmall)
                                .attribute("kernel_shape", Numbers{5, 5})
                                .attribute("strides", Numbers{1, 1})
                                .attribute("pads", Numbers{2, 2, 2, 2}));
  ASSERT_TRUE(rule);
  EXPECT_FALSE(stays_inside(*rule, rows_needed(*rule, {0, 1}, 16), 1));
  EXPECT_TRUE(stays_inside(*rule, rows_needed(*rule, {0, 4}, 16), 4));
  EXPECT_TRUE(stays_inside(*rule, rows_needed(*rule, {8, 9}, 16), 1));
}

TEST(RowRule, SmallTensorsAreRequantizedInAnotherWay) {
  SmallModel small;
  small.input("x", kSmall).node("RequantizeLinear", {"x"}, "y", kSmall);
  const espdl::ModelIndex index(small.model());
  const auto& node = small.model().nodes.back();
  EXPECT_FALSE(same_on_fewer(node, index, 48, find_target("esp32s3")));
  EXPECT_TRUE(same_on_fewer(node, index, 128, find_target("esp32s3")));
}

}  // namespace
}  // namespace espquant::schedule
