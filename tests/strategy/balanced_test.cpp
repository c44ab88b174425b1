#include "strategy/balanced.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

using test::Network;
using Equalization = recipe::Recipe::Equalization;

BalancedNetwork balanced(const Graph& network, const Equalization& equalization) {
  Workbench plain(network, test::settings_for("esp32s3"), test::random_samples(network, 16, -1, 2));
  return balance(plain, plain.settings(), equalization, Means::MatchOrUndo);
}

std::vector<std::string> balanced_names_of(const std::vector<EqualizationTrial>& trials) {
  std::vector<std::string> names;
  for (const EqualizationTrial& t : trials) names.emplace_back(name_of(t.way));
  return names;
}

/// The network equalized in one way and no other.
EqualizationTrial equalized(const Graph& network, Equalization e, recipe::Relu6 relu6) {
  e.relu6 = relu6;
  e.undo_if_worse = e.even_activations = false;
  return balanced(network, e).kept();
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
  EXPECT_EQ(balanced_names_of(balanced(network, e).trials),
            (std::vector<std::string>{"none", "caps kept", "activations", "ReLU6 to ReLU"}));
  e.even_activations = false;
  e.relu6 = recipe::Relu6::Keep;
  EXPECT_EQ(balanced_names_of(balanced(network, e).trials),
            (std::vector<std::string>{"none", "caps kept"}));
  e.relu6 = recipe::Relu6::ToRelu;
  e.undo_if_worse = false;
  EXPECT_EQ(balanced_names_of(balanced(network, e).trials),
            std::vector<std::string>{"ReLU6 to ReLU"});
}

/// Two layers; the channels between them reach from 1/16 to 1.
Graph uneven_network() {
  Network net;
  const ValueId x = net.input("x", {1, 4, 8, 8});
  Tensor first = test::random_tensor({16, 4, 1, 1}, 5),
         second = test::random_tensor({8, 16, 1, 1}, 6);
  for (std::size_t c = 0; c < 16; ++c) {
    const float range = std::exp2(-static_cast<float>(c % 5));
    for (std::size_t k = 0; k < 4; ++k) first.mutable_data<float>()[4 * c + k] *= range;
    for (std::size_t o = 0; o < 8; ++o) second.mutable_data<float>()[16 * o + c] /= range;
  }
  const ValueId a =
      net.node("Relu", {net.node("Conv", {x, net.constant(first), net.random({16})})});
  return net.finish({net.node("Conv", {a, net.constant(second), net.random({8})})});
}

TEST(Balanced, KeepsTheWayWithTheLeastNoise) {
  // With and without a way that is clearly better than none.
  for (const Graph& network : {test::small_network(), uneven_network()}) {
    const BalancedNetwork result = balanced(network, {});
    ASSERT_EQ(result.trials.front().way, EqualizationWay::None);
    const EqualizationTrial* best = &result.trials.front();
    for (const EqualizationTrial& trial : result.trials) {
      const double bar = best->way == EqualizationWay::None ? 0.9 : 1;
      if (trial.noise && trial.noise->ratio() < bar * best->noise->ratio()) best = &trial;
    }
    EXPECT_EQ(&result.kept(), best);
    for (const EqualizationTrial& trial : result.trials) EXPECT_EQ(trial.kept, &trial == best);
  }
  EXPECT_NE(balanced(uneven_network(), {}).kept().way, EqualizationWay::None);
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
  EXPECT_EQ(converted.way, EqualizationWay::ToRelu);
  EXPECT_FALSE(converted.noise);
  EXPECT_FALSE(converted.kept);
  EXPECT_GT(converted.conversion_noise.ratio(), 0.1);
}

TEST(Balanced, WithoutCapsThereIsOneWay) {
  for (const recipe::Relu6 relu6 :
       {recipe::Relu6::Auto, recipe::Relu6::Keep, recipe::Relu6::ToRelu}) {
    Equalization e;
    e.relu6 = relu6;
    e.undo_if_worse = e.even_activations = false;
    EXPECT_EQ(balanced_names_of(balanced(without_caps(), e).trials),
              std::vector<std::string>{"caps kept"});
  }
}

TEST(Balanced, KeepsTheFloatFunctionOnTheData) {
  for (const recipe::Relu6 relu6 : {recipe::Relu6::Keep, recipe::Relu6::ToRelu}) {
    const EqualizationTrial v = equalized(test::small_network(), {}, relu6);
    EXPECT_LT(v.equalization_change, 1e-4) << name_of(v.way);
    if (relu6 == recipe::Relu6::Keep) {
      EXPECT_EQ(v.conversion_noise.ratio(), 0);
    }
  }
}

TEST(Balanced, KnowsWhatTurningCapsIntoRelusDoes) {
  const EqualizationTrial turned = equalized(test::small_network(), {}, recipe::Relu6::ToRelu);
  EXPECT_EQ(turned.caps_removed, 2);
  EXPECT_GT(turned.conversion_noise.ratio(), 0) << "the caps are reached";
}

TEST(Balanced, NoneIsTheNetworkAsItIs) {
  // Nothing to gain: one layer.
  Network net;
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const Graph network = net.finish({net.node("Conv", {x, net.random({8, 3, 1, 1})})});
  const BalancedNetwork result = balanced(network, {});
  EXPECT_EQ(result.kept().way, EqualizationWay::None);
  EXPECT_EQ(result.kept().groups, 0);
  EXPECT_EQ(print(result.network), print(network));
}

TEST(Balanced, LevelDecidesWhetherAddsAreCrossed) {
  Equalization e;
  const int through = equalized(test::small_network(), e, recipe::Relu6::ToRelu).groups;
  e.level = 1;
  EXPECT_LT(equalized(test::small_network(), e, recipe::Relu6::ToRelu).groups, through);
}

}  // namespace
}  // namespace espquant::strategy
