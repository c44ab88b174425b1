#include "strategy/balanced.h"

#include <gtest/gtest.h>

#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

using test::Network;
using Equalization = Recipe::Equalization;

BalancedNetwork balanced(const Graph& network, const Equalization& equalization) {
  Workbench plain(network, test::settings_for("esp32s3"), test::random_samples(network, 16, -1, 2));
  return balance(plain, equalization, Means::Match);
}

std::vector<std::string> names_of(const std::vector<EqualizationTrial>& trials) {
  std::vector<std::string> names;
  for (const EqualizationTrial& t : trials) names.push_back(t.variant);
  return names;
}

/// The network equalized in one way and no other.
EqualizedNetwork equalized(const Graph& network, Equalization e, Relu6 relu6) {
  e.relu6 = relu6;
  e.undo_if_worse = e.even_activations = false;
  return balanced(network, e).kept;
}

Graph without_caps() {
  Network net;
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const ValueId a = net.node("Relu", {net.node("Conv", {x, net.random({8, 3, 1, 1})})});
  return net.finish({net.node("Conv", {a, net.random({8, 8, 1, 1})})});
}

TEST(Balanced, TriesNoneAtAllAndTheWaysThatAreAskedFor) {
  const Graph network = test::small_network();
  Equalization e;
  EXPECT_EQ(names_of(balanced(network, e).trials),
            (std::vector<std::string>{"none", "caps kept", "activations", "ReLU6 to ReLU"}));
  e.even_activations = false;
  e.relu6 = Relu6::Keep;
  EXPECT_EQ(names_of(balanced(network, e).trials), (std::vector<std::string>{"none", "caps kept"}));
  e.relu6 = Relu6::ToRelu;
  e.undo_if_worse = false;
  EXPECT_EQ(names_of(balanced(network, e).trials), std::vector<std::string>{"ReLU6 to ReLU"});
}

TEST(Balanced, KeepsTheWayWithTheLeastNoise) {
  const BalancedNetwork result = balanced(test::small_network(), {});
  int kept = 0;
  for (const EqualizationTrial& trial : result.trials) {
    if (!trial.kept) continue;
    ++kept;
    EXPECT_EQ(trial.variant, result.kept.variant);
    ASSERT_TRUE(trial.noise);
    for (const EqualizationTrial& other : result.trials)
      if (other.noise && other.variant != kNotEqualized) {
        EXPECT_LE(trial.noise->ratio(), other.noise->ratio()) << other.variant;
      }
    EXPECT_LT(trial.noise->ratio(), 0.9 * result.trials.front().noise->ratio()) << "than none";
  }
  EXPECT_EQ(kept, 1);
}

TEST(Balanced, DoesNotMeasureAConversionThatIsWorseByItself) {
  // Almost every value is beyond the cap: without it the scores are others.
  Network net;
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const ValueId a = net.node("Clip", {net.node("Conv", {x, net.random({8, 3, 1, 1}, 5, 20)}),
                                      net.scalar(0), net.scalar(6)});
  const Graph network = net.finish({net.node("Conv", {a, net.random({8, 8, 1, 1})})});
  const BalancedNetwork result = balanced(network, {});
  const EqualizationTrial& converted = result.trials.back();
  EXPECT_EQ(converted.variant, "ReLU6 to ReLU");
  EXPECT_FALSE(converted.noise);
  EXPECT_FALSE(converted.kept);
  EXPECT_GT(converted.conversion_noise.ratio(), 0.1);
}

TEST(Balanced, WithoutCapsThereIsOneWay) {
  for (const Relu6 relu6 : {Relu6::Auto, Relu6::Keep, Relu6::ToRelu}) {
    Equalization e;
    e.relu6 = relu6;
    e.undo_if_worse = e.even_activations = false;
    EXPECT_EQ(names_of(balanced(without_caps(), e).trials), std::vector<std::string>{"caps kept"});
  }
}

TEST(Balanced, KeepsTheFloatFunctionOnTheData) {
  for (const Relu6 relu6 : {Relu6::Keep, Relu6::ToRelu}) {
    const EqualizedNetwork v = equalized(test::small_network(), {}, relu6);
    EXPECT_LT(v.equalization_change, 1e-4) << v.variant;
    if (relu6 == Relu6::Keep) {
      EXPECT_EQ(v.conversion_noise.ratio(), 0);
    }
  }
}

TEST(Balanced, KnowsWhatTurningCapsIntoRelusDoes) {
  const EqualizedNetwork turned = equalized(test::small_network(), {}, Relu6::ToRelu);
  EXPECT_EQ(turned.caps_removed, 2);
  EXPECT_GT(turned.conversion_noise.ratio(), 0) << "the caps are reached";
}

TEST(Balanced, NoneIsTheNetworkAsItIs) {
  // Nothing to gain: one layer.
  Network net;
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const Graph network = net.finish({net.node("Conv", {x, net.random({8, 3, 1, 1})})});
  const EqualizedNetwork none = balanced(network, {}).kept;
  EXPECT_EQ(none.variant, kNotEqualized);
  EXPECT_EQ(none.groups, 0);
  EXPECT_EQ(print(none.network), print(network));
}

TEST(Balanced, LevelDecidesWhetherAddsAreCrossed) {
  Equalization e;
  const int through = equalized(test::small_network(), e, Relu6::ToRelu).groups;
  e.level = 1;
  EXPECT_LT(equalized(test::small_network(), e, Relu6::ToRelu).groups, through);
}

}  // namespace
}  // namespace espquant::strategy
