#include "strategy/output_weights.h"

#include <gtest/gtest.h>

namespace espquant::strategy {
namespace {

/// Two parts of the first output, whose signals are far apart, and a second output.
measure::OutputNoise noise_of(double boxes, double scores, double second, bool silent = false) {
  std::vector<measure::OutputNoise::Part> parts(3);
  parts[0] = {0, "a", "boxes", {boxes, 1e6}, 10, {}};
  parts[1] = {0, "a", "scores", {scores, 1}, 10, {}};
  parts[2] = {1, "b", "", {second, silent ? 0.0 : 2.0}, 10, {}};
  return measure::OutputNoise(std::move(parts));
}

TEST(OutputWeights, RatiosAreThoseOfGroupsOfParts) {
  const OutputWeights weights(noise_of(0, 0, 0), 1);
  // The smallest signal of an output comes first.
  EXPECT_EQ(weights.ratios(noise_of(1e4, 0.5, 1)), (std::vector<double>{0.5, 0.01, 0.5}));
  // Sums over samples, beside a signal that is a sum over others.
  const OutputWeights of_two(noise_of(0, 0, 0), 2);
  EXPECT_EQ(of_two.ratios(noise_of(2e4, 1, 2), 4), (std::vector<double>{0.5, 0.01, 0.5}));
}

TEST(OutputWeights, AllOutputsCountAlikeUntilWeighed) {
  const OutputWeights weights(noise_of(0, 0, 0), 1);
  EXPECT_NEAR(weights.of(std::vector<double>{0.3, 0.6, 0.9}), 0.6, 1e-12);
}

TEST(OutputWeights, TheWorstOutputCountsMost) {
  OutputWeights weights(noise_of(0, 0, 0), 1);
  weights.weigh(std::vector<double>{0.2, 0.1, 0.1});
  const std::vector<double> gains_where_bad{0.19, 0.1, 0.1}, gains_elsewhere{0.2, 0.08, 0.1};
  EXPECT_LT(weights.of(gains_where_bad), weights.of(gains_elsewhere));
  EXPECT_NEAR(weights.of(std::vector<double>{1, 1, 1}), 1, 1e-12);
  // Without any noise there is nothing to go by: the weights stay.
  weights.weigh(std::vector<double>{0, 0, 0});
  EXPECT_LT(weights.of(gains_where_bad), weights.of(gains_elsewhere));
}

TEST(OutputWeights, OutputsWithoutASignalDoNotCount) {
  const OutputWeights weights(noise_of(0, 0, 0, true), 1);
  EXPECT_EQ(weights.ratios(noise_of(1e4, 0.5, 1, true)), (std::vector<double>{0.5, 0.01}));
}

}  // namespace
}  // namespace espquant::strategy
