#include "search/goal.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace espquant::search {
namespace {

TEST(Goals, AreReadInTheUnitsOfPeople) {
  EXPECT_EQ(parse_goal("accuracy-drop<=0.5"), (Goal{Metric::AccuracyDrop, 0.005}));
  EXPECT_EQ(parse_goal("noise<=1"), (Goal{Metric::Noise, 0.01}));
  EXPECT_EQ(parse_goal("ms<=20.5"), (Goal{Metric::Milliseconds, 20.5}));
  EXPECT_EQ(parse_goal("flash<=300K"), (Goal{Metric::Flash, 300 * 1024.0}));
  EXPECT_EQ(parse_goal("ram<=1.5M"), (Goal{Metric::Ram, 1.5 * 1024 * 1024}));
  EXPECT_EQ(parse_goal("ram<=4096"), (Goal{Metric::Ram, 4096}));
  for (const char* text : {"accuracy-drop<=0.5", "noise<=1", "ms<=20.5", "flash<=307200"})
    EXPECT_EQ(text_of(parse_goal(text)), text);
}

TEST(Goals, ThatAreNotUnderstoodAreRefused) {
  for (const char* text : {"ms", "ms>=3", "ms<=", "ms<=fast", "ms<=-1", "ms<=1K", "ms<=inf"})
    EXPECT_EQ(test::error_of([&] { parse_goal(text); }).code(), ErrorCode::Usage) << text;
  EXPECT_NE(test::error_of([] { parse_goal("nois<=1"); }).remedy().find("'noise'"),
            std::string::npos);
}

constexpr Merit kSmall{0.04, 10, 100, 50, 0.02};
constexpr Merit kQuiet{0.01, 20, 150, 60, 0.00};
constexpr Merit kBeaten{0.02, 21, 150, 60, 0.01};

TEST(Merits, OneDominatesAnotherWhereItIsNowhereWorse) {
  EXPECT_TRUE(dominates(kQuiet, kBeaten));
  EXPECT_FALSE(dominates(kBeaten, kQuiet));
  EXPECT_FALSE(dominates(kSmall, kQuiet));
  EXPECT_FALSE(dominates(kQuiet, kQuiet));
}

TEST(Merits, TheFrontIsWhatNothingDominatesAndOfEqualOnesTheFirst) {
  const std::vector<Merit> all{kBeaten, kSmall, kQuiet, kSmall};
  EXPECT_EQ(front_of(all), (std::vector<std::size_t>{1, 2}));
  EXPECT_TRUE(front_of({}).empty());
}

TEST(Merits, WhatIsRecommendedMeetsTheGoalsAtLeastCost) {
  const std::vector<Merit> all{kSmall, kBeaten, kQuiet};
  const std::vector<Goal> one_point{{Metric::AccuracyDrop, 0.01}};
  EXPECT_EQ(recommended_of(all, one_point, Metric::Milliseconds), 2u);
  EXPECT_EQ(recommended_of(all, {}, Metric::Milliseconds), 0u);
  EXPECT_EQ(recommended_of(all, {}, Metric::Noise), 2u);
  EXPECT_EQ(recommended_of({}, {}, Metric::Noise), std::nullopt);
}

TEST(Merits, WhereNoneMeetsTheGoalsTheNearestIsRecommended) {
  const std::vector<Merit> all{kSmall, kBeaten, kQuiet};
  const std::vector<Goal> out_of_reach{{Metric::Milliseconds, 5}, {Metric::Noise, 0.03}};
  EXPECT_EQ(recommended_of(all, out_of_reach, Metric::Noise), 0u);
  EXPECT_GT(violation_of(kSmall, out_of_reach), 0);
}

TEST(Merits, AnAccuracyThatIsNotKnownMeetsNoGoal) {
  const Merit unknown{0.01, 1, 1, 1, std::nullopt};
  const std::vector<Goal> goal{{Metric::AccuracyDrop, 0.5}};
  EXPECT_GT(violation_of(unknown, goal), violation_of(kSmall, goal));
}

}  // namespace
}  // namespace espquant::search
