#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/lower/quantized_network.h"
#include "tests/support/errors.h"

/// What ESP-DL computes otherwise than ONNX asks is refused, with the node's name and a remedy.
namespace espquant::lower {
namespace {

using test::Ints;
using test::QuantizedNetwork;

struct Refusal {
  const char* what;
  std::function<ValueId(QuantizedNetwork&)> build;
  ErrorCode code = ErrorCode::Illegal;
};

ValueId image(QuantizedNetwork& net, std::int64_t channels = 4, int bits = 8) {
  return net.input("x", {1, channels, 4, 4}, -4, bits);
}

ValueId resize(QuantizedNetwork& net, const test::AttributeList& attributes) {
  const ValueId scales = net.constant(Tensor::of<float>({4}, {1, 1, 2, 2}));
  return net.node("Resize", {image(net), kNone, scales}, attributes);
}

const std::vector<Refusal>& refusals() {
  static const std::vector<Refusal> all = {
      {"an operator that ESP-DL does not have",
       [](QuantizedNetwork& net) {
         return net.node("Tile", {image(net), net.ints({1, 1, 2, 2})});
       },
       ErrorCode::Unsupported},
      {"an average over the inside of a padded image",
       [](QuantizedNetwork& net) {
         return net.node("AveragePool", {image(net)},
                         {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
       }},
      {"an average with a last window that hangs over",
       [](QuantizedNetwork& net) {
         return net.node("AveragePool", {image(net)},
                         {{"kernel_shape", Ints{3, 3}},
                          {"strides", Ints{2, 2}},
                          {"ceil_mode", std::int64_t{1}}});
       }},
      {"a dilated pool",
       [](QuantizedNetwork& net) {
         return net.node("MaxPool", {image(net)},
                         {{"kernel_shape", Ints{2, 2}}, {"dilations", Ints{2, 2}}});
       }},
      {"padding that wraps around",
       [](QuantizedNetwork& net) {
         return net.node("Pad", {image(net), net.ints({0, 0, 1, 1, 0, 0, 1, 1})},
                         {{"mode", std::string("wrap")}});
       }},
      {"padding that crops",
       [](QuantizedNetwork& net) {
         return net.node("Pad", {image(net), net.ints({0, 0, -1, 0, 0, 0, 0, 0})});
       }},
      {"a linear resize on a grid that the runtime does not know",
       [](QuantizedNetwork& net) {
         return resize(net, {{"mode", std::string("linear")},
                             {"coordinate_transformation_mode", std::string("asymmetric")}});
       }},
      {"a cubic resize",
       [](QuantizedNetwork& net) {
         return resize(net, {{"mode", std::string("cubic")}});
       }},
      {"a DepthToSpace whose channels the runtime mixes up",
       [](QuantizedNetwork& net) {
         return net.node("DepthToSpace", {image(net)}, {{"blocksize", std::int64_t{2}}});
       }},
      {"a SpaceToDepth of several channels",
       [](QuantizedNetwork& net) {
         return net.node("SpaceToDepth", {image(net)}, {{"blocksize", std::int64_t{2}}});
       }},
      {"a slope that is computed at run time",
       [](QuantizedNetwork& net) {
         return net.node("PRelu", {net.input("x", {1, 3}), net.input("slope", {1, 3})});
       }},
  };
  return all;
}

TEST(Refusals, NameTheNodeTheReasonAndARemedy) {
  for (const auto& refusal : refusals()) {
    SCOPED_TRACE(refusal.what);
    QuantizedNetwork net;
    const Graph graph = net.finish({refusal.build(net)});
    const auto error = test::error_of([&] { test::lowered(graph); });
    EXPECT_EQ(error.code(), refusal.code);
    EXPECT_EQ(error.node(), graph.node(0).name);
    EXPECT_FALSE(error.message().empty());
    EXPECT_FALSE(error.remedy().empty());
  }
}

TEST(Pools, PaddingDoesNotHurtAMaximumThatHangsOver) {
  QuantizedNetwork net;
  const auto model = test::lowered(net.finish({net.node(
      "MaxPool", {image(net)},
      {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"ceil_mode", std::int64_t{1}}})}));
  const auto& pool = test::the_node(model, "MaxPool");
  EXPECT_EQ(pool.get_ints("pads"), (Ints{0, 0, 1, 1}));
  EXPECT_EQ(pool.get_int("ceil_mode", 1), 0);
}

TEST(Pools, AGlobalMaximumIsAPoolOverTheWholeImage) {
  QuantizedNetwork net;
  const auto model = test::lowered(net.finish({net.node("GlobalMaxPool", {image(net)})}));
  EXPECT_EQ(test::the_node(model, "MaxPool").get_ints("kernel_shape"), (Ints{4, 4}));
}

TEST(Resizes, ThatAgreeWithTheRuntimeAreWrittenAsItsOwn) {
  QuantizedNetwork net;
  // At a factor of 2, rounding half pixels down takes the same pixels as floor(o / 2).
  const auto model = test::lowered(net.finish({resize(net, {})}));
  const auto& node = test::the_node(model, "Resize");
  EXPECT_EQ(node.get_string("coordinate_transformation_mode", ""), "asymmetric");
  EXPECT_EQ(test::elements_of<float>(test::constant_of(model, node, 2).data),
            (std::vector<float>{1, 1, 2, 2}));
}

TEST(Lower, ListsItsOperatorsInOrderAndOnce) {
  const auto names = supported_operators();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(Lower, NamesTheTargetItIsFor) {
  QuantizedNetwork net;
  const auto model = test::lowered(net.finish({net.node("Sigmoid", {image(net)})}), "esp32p4");
  EXPECT_EQ(model.metadata_value("target"), "esp32p4");
}

}  // namespace
}  // namespace espquant::lower
