#include "measure/output_comparison.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/network.h"

namespace espquant::measure {
namespace {

using test::Network;

Graph classifier(std::int64_t axis) {
  Network net;
  const ValueId x = net.input("x", {1, 3});
  return net.finish({net.node("Softmax", {x}, {{"axis", axis}})});
}

Tensor softmax(const std::vector<float>& scores) {
  float sum = 0;
  for (float s : scores) sum += std::exp(s);
  std::vector<float> p;
  for (float s : scores) p.push_back(std::exp(s) / sum);
  return Tensor::of<float>({1, static_cast<std::int64_t>(p.size())}, std::span<const float>(p));
}

OutputNoise compared(const Graph& network, const Tensor& actual, const Tensor& expected) {
  return OutputComparison(network).of({&actual, 1}, {&expected, 1});
}

/// Of a network with one output and one part.
Noise noise_of(const Graph& network, const Tensor& actual, const Tensor& expected) {
  return compared(network, actual, expected).parts().at(0).noise;
}

TEST(OutputComparison, ProbabilitiesAreComparedAsTheScoresBeforeThem) {
  for (const std::int64_t axis : {-1, 1}) {
    // Both scores around their means: {-2, 0, 2} and {-2, 1, 1}.
    const Noise noise = noise_of(classifier(axis), softmax({8, 11, 11}), softmax({-2, 0, 2}));
    EXPECT_NEAR(noise.noise, 1 + 1, 1e-5);
    EXPECT_NEAR(noise.signal, 4 + 4, 1e-5);
  }
}

TEST(OutputComparison, AProbabilityOfZeroIsVerySmall) {
  const Noise noise = noise_of(classifier(-1), Tensor::of<float>({1, 3}, {1, 0, 0}),
                               Tensor::of<float>({1, 3}, {0.5F, 0.25F, 0.25F}));
  EXPECT_TRUE(std::isfinite(noise.noise));
  EXPECT_GT(noise.noise, 1000);
}

TEST(OutputComparison, TheProbabilitiesThemselvesAreKeptBeside) {
  OutputNoise noise = compared(classifier(-1), Tensor::of<float>({1, 3}, {0.5F, 0.25F, 0.25F}),
                               Tensor::of<float>({1, 3}, {0.25F, 0.5F, 0.25F}));
  ASSERT_TRUE(noise.parts().at(0).probabilities);
  EXPECT_DOUBLE_EQ(noise.parts()[0].probabilities->noise, 2 * 0.0625);
  EXPECT_DOUBLE_EQ(noise.parts()[0].probabilities->signal, 0.375);
}

TEST(OutputComparison, APartOfAnOutputIsToldApartWhereItIsSmaller) {
  Network net;
  const ValueId boxes = net.input("boxes", {1, 2, 2}), scores = net.input("scores", {1, 1, 2});
  const Graph graph =
      net.finish({net.node("Concat", {boxes, scores}, {{"axis", std::int64_t{1}}})});
  const OutputNoise noise =
      compared(graph, Tensor::of<float>({1, 3, 2}, {100, 200, 300, 401, 0.5F, 0.0F}),
               Tensor::of<float>({1, 3, 2}, {100, 200, 300, 400, 0.5F, 0.5F}));
  const auto groups = noise.groups();
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].name, "scores");
  EXPECT_DOUBLE_EQ(groups[0].noise.ratio(), 0.5);
  EXPECT_EQ(groups[1].name, "boxes");
  EXPECT_DOUBLE_EQ(noise.ratio(), 0.5) << "the worst counts";
}

TEST(OutputComparison, OtherOutputsAreComparedAsTheyAre) {
  Network net;
  const ValueId x = net.input("x", {1, 3});
  const Graph graph = net.finish({net.node("Sigmoid", {x})});
  const Noise noise =
      noise_of(graph, Tensor::of<float>({1, 3}, {1, 2, 3}), Tensor::of<float>({1, 3}, {1, 2, 5}));
  EXPECT_DOUBLE_EQ(noise.noise, 4);
  EXPECT_DOUBLE_EQ(noise.signal, 30);
}

}  // namespace
}  // namespace espquant::measure
