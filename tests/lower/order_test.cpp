#include <gtest/gtest.h>

#include <algorithm>

#include "tests/lower/quantized_network.h"

/// Transposes are lazy: a value keeps the order in which it was computed until a reader needs
/// another.
namespace espquant::lower {
namespace {

using test::Ints;
using test::QuantizedNetwork;

std::int64_t count(const espdl::Model& model, const std::string& op) {
  const auto ops = test::operators_of(model);
  return std::count(ops.begin(), ops.end(), op);
}

ValueId conv(QuantizedNetwork& net, ValueId x, std::int64_t in, std::int64_t out) {
  return net.node("Conv", {x, net.constant(Tensor(DType::Float32, {out, in, 1, 1}))});
}

TEST(Order, ConvolutionsAndWhatLiesBetweenThemNeedNoTranspose) {
  QuantizedNetwork net;
  ValueId x = conv(net, net.input("x", {1, 3, 4, 4}), 3, 8);
  const ValueId activated = net.node("Sigmoid", {x});
  x = net.node("Concat", {net.node("Add", {x, activated}), activated}, {{"axis", std::int64_t{1}}});
  x = net.node("MaxPool", {x}, {{"kernel_shape", Ints{2, 2}}});
  const auto model = test::lowered(net.finish({conv(net, x, 16, 4)}));
  EXPECT_EQ(count(model, "Transpose"), 0);
  EXPECT_EQ(test::the_node(model, "Concat").get_int("axis", 0), 3) << "channels come last";
}

TEST(Order, AnInputThatOnlyLinearLayersReadKeepsItsOrder) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {2, 3, 4});
  const ValueId y = net.node("MatMul", {x, net.constant(Tensor(DType::Float32, {4, 5}))});
  const auto model = test::lowered(net.finish({y}));
  EXPECT_EQ(test::value_of(model, "x").shape, (Shape{2, 3, 4}));
  EXPECT_EQ(model.metadata_value(layout_key("x")), "0,1,2");
}

TEST(Order, ATransposeOfTheNetworkToChannelsFirstVanishes) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 4, 4, 3});
  const ValueId nchw = net.node("Transpose", {x}, {{"perm", Ints{0, 3, 1, 2}}});
  const auto model = test::lowered(net.finish({conv(net, nchw, 3, 2)}));
  EXPECT_EQ(test::operators_of(model), std::vector<std::string>{"Conv"});
}

TEST(Order, TwoReadersShareOneTranspose) {
  QuantizedNetwork net;
  const ValueId x = conv(net, net.input("x", {1, 3, 4, 4}), 3, 2);
  const ValueId shape = net.ints({2, 16});
  const ValueId a = net.node("Reshape", {x, shape});
  const ValueId b = net.node("Reshape", {x, shape});
  const auto model = test::lowered(net.finish({a, b}));
  EXPECT_EQ(count(model, "Transpose"), 1);
  EXPECT_EQ(count(model, "Reshape"), 2);
  EXPECT_EQ(test::the_node(model, "Transpose").get_ints("perm"), (Ints{0, 3, 1, 2}));
}

TEST(Order, ATransposeOfUnitAxesIsAReshape) {
  QuantizedNetwork net;
  const ValueId x = conv(net, net.input("x", {1, 3, 1, 1}), 3, 2);
  const ValueId y = net.node("MatMul", {x, net.constant(Tensor(DType::Float32, {1, 5}))});
  const auto model = test::lowered(net.finish({y}));
  EXPECT_EQ(count(model, "Transpose"), 0);
  EXPECT_EQ(count(model, "Reshape"), 1);
}

TEST(Order, AFlattenedImageIsReadByPermutedWeights) {
  QuantizedNetwork net;
  const ValueId x =
      net.node("MaxPool", {net.input("x", {1, 2, 2, 1})}, {{"kernel_shape", Ints{1, 1}}});
  const ValueId flat = net.node("Flatten", {x});
  // Rows of the weights in the network's order: channel 0 at (0, 1), channel 1 at (0, 1).
  const ValueId w = net.constant(Tensor::of<float>({4, 1}, {1, 2, 3, 4}), 0);
  const auto model = test::lowered(net.finish({net.node("Gemm", {flat, w})}), "esp32c3");
  EXPECT_EQ(count(model, "Transpose"), 0);
  const auto& stored = test::constant_of(model, test::the_node(model, "Gemm"), 1);
  EXPECT_EQ(test::elements_of<std::int8_t>(stored.data), (std::vector<std::int8_t>{1, 3, 2, 4}))
      << "pixel by pixel, channels inside";
}

TEST(Order, SaysWhereTheElementsOfEachValueStand) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 2, 2, 3});
  const ValueId image = conv(net, net.node("Transpose", {x}, {{"perm", Ints{0, 3, 1, 2}}}), 3, 2);
  const ValueId flat = net.node("Flatten", {image});
  const ValueId w = net.constant(Tensor(DType::Float32, {8, 1}));
  const Graph graph = net.finish({net.node("Gemm", {flat, w})});
  const Lowered lowered = lower(graph, find_target("esp32s3"));
  const auto order = [&](ValueId v) { return lowered.orders.at(graph.value(v).name); };

  EXPECT_TRUE(order(x).is_natural());
  EXPECT_TRUE(order(image).is_channels_last({1, 2, 2, 2}));
  // The transposed input is the input itself, seen otherwise.
  const ValueId seen = graph.node(graph.value(image).producer).inputs[0];
  EXPECT_EQ(order(seen).tensor, graph.value(x).name);
  EXPECT_TRUE(order(seen).is_channels_last({1, 3, 2, 2}));
  // What is flattened keeps the image's order.
  EXPECT_EQ(order(flat).shape, (Shape{1, 2, 2, 2}));
  EXPECT_EQ(order(flat).perm, (Ints{0, 2, 3, 1}));
  const Tensor value = Tensor::of<float>({1, 8}, {0, 1, 2, 3, 4, 5, 6, 7});
  const Tensor stored = order(flat).stored(value);
  EXPECT_EQ(test::elements_of<float>(stored), (std::vector<float>{0, 4, 1, 5, 2, 6, 3, 7}));
  EXPECT_TRUE(order(flat).network(stored.data<float>(), {1, 8}).equals(value));
}

TEST(Order, OfACopyIsThatOfItsReader) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 3, 4, 4}, -4, 16);
  const ValueId y = conv(net, x, 3, 2);
  Graph graph = net.finish({y, net.node("Sigmoid", {x}, {}, -4, 16)});
  graph.value(x).requant = TensorQuant{8, {-3}, -1};
  const Lowered lowered = lower(graph, find_target("esp32s3"));
  const espdl::Node& node = test::the_node(lowered.model, "Conv");
  ASSERT_NE(node.inputs[0], "x") << "requantized";
  const Order order = input_order(graph, graph.node(graph.value(y).producer), lowered.orders, node);
  EXPECT_EQ(order.tensor, node.inputs[0]);
  EXPECT_TRUE(order.is_channels_last({1, 3, 4, 4}));
}

TEST(Order, AFilterByItselfIsThatOfTheModel) {
  QuantizedNetwork net;
  const ValueId image = conv(net, net.input("x", {1, 3, 2, 2}), 3, 4);
  const ValueId flat = net.node("Flatten", {image});
  const ValueId w = net.constant(test::random_tensor({16, 5}, 3));
  const Graph graph = net.finish({net.node("Gemm", {flat, w})});
  for (const char* chip : {"esp32s3", "esp32p4", "esp32"}) {
    const Target& target = find_target(chip);
    const Lowered lowered = lower(graph, target);
    for (NodeId id : graph.topological_order()) {
      const Node& n = graph.node(id);
      if (n.op == "Flatten") continue;
      const espdl::Node& node = test::the_node(lowered.model, n.op);
      EXPECT_TRUE(lower_filter(graph, n, target, lowered.orders)
                      .equals(test::constant_of(lowered.model, node, 1).data))
          << n.op << " " << chip;
    }
  }
}

TEST(Order, AxesAreThoseOfTheStoredTensor) {
  QuantizedNetwork net;
  const ValueId x = conv(net, net.input("x", {1, 3, 6, 4}), 3, 8);
  const auto parts = net.nodes("Split", {x}, {{"axis", std::int64_t{2}}}, 2);
  const ValueId slice =
      net.node("Slice", {x, net.ints({1}), net.ints({3}), net.ints({1}), net.ints({1})});
  const ValueId pad = net.node("Pad", {x, net.ints({0, 1, 2, 3, 0, 4, 5, 6})});
  const ValueId mean = net.node("ReduceMean", {x, net.ints({1})});
  const ValueId softmax = net.node("Softmax", {x}, {{"axis", std::int64_t{1}}});
  const auto model = test::lowered(net.finish({parts[0], parts[1], slice, pad, mean, softmax}));
  const auto ints = [&](const std::string& op, std::size_t input) {
    return test::elements_of<std::int64_t>(
        test::constant_of(model, test::the_node(model, op), input).data);
  };
  EXPECT_EQ(count(model, "Transpose"), 0);
  EXPECT_EQ(test::the_node(model, "Split").get_int("axis", -1), 1);
  EXPECT_EQ(ints("Slice", 3), (Ints{3}));
  EXPECT_EQ(ints("Pad", 1), (Ints{0, 2, 3, 1, 0, 5, 6, 4}));
  EXPECT_EQ(ints("ReduceMean", 1), (Ints{3}));
  EXPECT_EQ(test::the_node(model, "Softmax").get_int("axis", -1), 3);
}

TEST(Order, GatherCountsNegativeIndicesFromTheBack) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 5});
  const auto model = test::lowered(
      net.finish({net.node("Gather", {x, net.ints({-1, 0})}, {{"axis", std::int64_t{1}}})}));
  EXPECT_EQ(test::elements_of<std::int64_t>(
                test::constant_of(model, test::the_node(model, "Gather"), 1).data),
            (Ints{4, 0}));
}

TEST(Order, AnOutputThatIsAnotherTensorSeenOtherwiseIsWrittenOut) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {2, 3});
  const ValueId y = net.node("Transpose", {x});
  const Graph graph = net.finish({y});
  const auto model = test::lowered(graph);
  EXPECT_EQ(test::operators_of(model), std::vector<std::string>{"Transpose"});
  EXPECT_EQ(model.outputs, std::vector<std::string>{graph.value(y).name});
  EXPECT_EQ(test::value_of(model, model.outputs[0]).shape, (Shape{3, 2}));
}

}  // namespace
}  // namespace espquant::lower
