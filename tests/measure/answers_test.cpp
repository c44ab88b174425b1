#include "measure/answers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace espquant::measure {
namespace {

Tensor scores(std::initializer_list<float> values) {
  return Tensor::of<float>({static_cast<std::int64_t>(values.size())},
                           std::span<const float>(values.begin(), values.size()));
}

TEST(ClassAnswer, IsTheFirstOfTheLargestAndTheNextBehindIt) {
  const ClassAnswer answer = answer_of(scores({1, 4, -2, 4, 3}));
  EXPECT_EQ(answer.best, 1);
  EXPECT_EQ(answer.second, 3);
  EXPECT_EQ(answer.margin(), 0);
  const ClassAnswer falling = answer_of(scores({5, 2, 3}));
  EXPECT_EQ(falling.best, 0);
  EXPECT_EQ(falling.second, 2);
  EXPECT_EQ(falling.margin(), 2);
}

TEST(ErrorHistogram, CountsByBinsThatBordersOfWiderOnesKeep) {
  ErrorHistogram errors;
  errors.add(0.01);
  errors.add(-0.01);
  EXPECT_EQ(errors.range(), 0.015625);
  errors.add(3);
  EXPECT_EQ(errors.range(), 4);
  const auto& bins = errors.bins();
  const std::size_t zero = ErrorHistogram::kBins / 2;
  EXPECT_EQ(bins[zero], 1);
  EXPECT_EQ(bins[zero - 1], 1);
  EXPECT_EQ(bins[zero + zero * 3 / 4], 1);
  EXPECT_EQ(errors.count(), 3);
  EXPECT_EQ(errors.largest(), 3);
}

TEST(ErrorHistogram, IsTheSameInAnyOrderAndInParts) {
  std::vector<double> values;
  for (int i = 0; i < 500; ++i) values.push_back(std::sin(i) * std::pow(10.0, i % 7 - 4));
  values.push_back(0);
  ErrorHistogram forwards, backwards, front, back;
  for (std::size_t i = 0; i < values.size(); ++i) {
    forwards.add(values[i]);
    backwards.add(values[values.size() - 1 - i]);
    (i < 100 ? front : back).add(values[i]);
  }
  front.add(back);
  for (const ErrorHistogram* other : {&backwards, &front}) {
    EXPECT_EQ(other->bins(), forwards.bins());
    EXPECT_EQ(other->range(), forwards.range());
    EXPECT_EQ(other->largest(), forwards.largest());
  }
  EXPECT_EQ(std::accumulate(forwards.bins().begin(), forwards.bins().end(), std::int64_t{0}),
            static_cast<std::int64_t>(values.size()));
}

TEST(ErrorHistogram, CountsApartWhatIsNoNumber) {
  ErrorHistogram errors;
  errors.add(std::numeric_limits<double>::quiet_NaN());
  errors.add(std::numeric_limits<double>::infinity());
  errors.add(0);
  EXPECT_EQ(errors.not_finite(), 2);
  EXPECT_EQ(errors.count(), 1);
  EXPECT_EQ(errors.bins()[ErrorHistogram::kBins / 2], 1);
  EXPECT_EQ(errors.largest(), 0);
}

}  // namespace
}  // namespace espquant::measure
