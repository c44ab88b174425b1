#include "strategy/balanced.h"

#include <gtest/gtest.h>

#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

using test::Network;
using Equalization = Recipe::Equalization;

std::vector<EqualizedNetwork> variants(const Graph& network, const Equalization& equalization) {
  return equalized_variants(network, equalization, test::random_samples(network, 16, -1, 2));
}

std::vector<std::string> names_of(const std::vector<EqualizedNetwork>& variants) {
  std::vector<std::string> names;
  for (const EqualizedNetwork& v : variants) names.push_back(v.variant);
  return names;
}

Graph without_caps() {
  Network net;
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const ValueId a = net.node("Relu", {net.node("Conv", {x, net.random({8, 3, 1, 1})})});
  return net.finish({net.node("Conv", {a, net.random({8, 8, 1, 1})})});
}

TEST(Balanced, TriesBothWaysWithCapsAndNoneAtAll) {
  const Graph network = test::small_network();
  Equalization e;
  EXPECT_EQ(names_of(variants(network, e)),
            (std::vector<std::string>{"ReLU6 to ReLU", "caps kept", "none"}));
  e.relu6 = Relu6::Keep;
  EXPECT_EQ(names_of(variants(network, e)), (std::vector<std::string>{"caps kept", "none"}));
  e.relu6 = Relu6::ToRelu;
  e.undo_if_worse = false;
  EXPECT_EQ(names_of(variants(network, e)), std::vector<std::string>{"ReLU6 to ReLU"});
}

TEST(Balanced, WithoutCapsThereIsOneWay) {
  for (const Relu6 relu6 : {Relu6::Auto, Relu6::Keep, Relu6::ToRelu}) {
    Equalization e;
    e.relu6 = relu6;
    e.undo_if_worse = false;
    EXPECT_EQ(names_of(variants(without_caps(), e)), std::vector<std::string>{"caps kept"});
  }
}

TEST(Balanced, KeepsTheFloatFunctionOnTheData) {
  const Graph network = test::small_network();
  for (const EqualizedNetwork& v : variants(network, {})) {
    EXPECT_LT(v.equalization_change, 1e-4) << v.variant;
    if (v.variant == "caps kept") {
      EXPECT_EQ(v.conversion_noise.ratio(), 0);
    }
  }
}

TEST(Balanced, KnowsWhatTurningCapsIntoRelusDoes) {
  const EqualizedNetwork turned = variants(test::small_network(), {}).front();
  EXPECT_EQ(turned.caps_removed, 2);
  EXPECT_GT(turned.conversion_noise.ratio(), 0) << "the caps are reached";
}

TEST(Balanced, NoneIsTheNetworkAsItIs) {
  const Graph network = test::small_network();
  const EqualizedNetwork none = variants(network, {}).back();
  EXPECT_EQ(none.groups, 0);
  test::expect_same_function(none.network, network, 0);
  EXPECT_EQ(print(none.network), print(network));
}

TEST(Balanced, LevelDecidesWhetherAddsAreCrossed) {
  Equalization e;
  e.undo_if_worse = false;
  e.relu6 = Relu6::ToRelu;
  const int through = variants(test::small_network(), e).front().groups;
  e.level = 1;
  EXPECT_LT(variants(test::small_network(), e).front().groups, through);
}

}  // namespace
}  // namespace espquant::strategy
