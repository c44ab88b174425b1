#include <gtest/gtest.h>

#include "tests/lower/quantized_network.h"
#include "tests/support/errors.h"

namespace espquant::lower {
namespace {

using test::Ints;
using test::QuantizedNetwork;

/// w[n][0][0][x] = n + 20 x for n in [0, 17), x in {0, 1}; as floats of exponent 0.
Tensor numbered_filter() {
  Tensor filter(DType::Float32, {17, 1, 1, 2});
  for (int n = 0; n < 17; ++n)
    for (int x = 0; x < 2; ++x)
      filter.mutable_data<float>()[static_cast<std::size_t>(2 * n + x)] =
          static_cast<float>(n + 20 * x);
  return filter;
}

espdl::Model numbered_convolution(std::string_view target, int bits = 8) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 1, 1, 4}, -4, bits);
  const ValueId filter = net.constant(numbered_filter(), 0, bits);
  return test::lowered(net.finish({net.node("Conv", {x, filter}, {}, 0, bits)}), target);
}

/// The numbers n + 20 x for n in [first, last), tap after tap.
template <typename T>
void append_block(std::vector<T>& order, int first, int last) {
  for (int x = 0; x < 2; ++x)
    for (int n = first; n < last; ++n) order.push_back(static_cast<T>(n + 20 * x));
}

TEST(LowerConv, PacksFiltersInBlocksOf16ChannelsForVectorUnits) {
  std::vector<std::int8_t> expected;
  append_block(expected, 0, 16);
  append_block(expected, 16, 17);
  for (const char* target : {"esp32s3", "esp32p4"}) {
    const auto model = numbered_convolution(target);
    const auto& filter = test::constant_of(model, test::the_node(model, "Conv"), 1);
    EXPECT_EQ(test::elements_of<std::int8_t>(filter.data), expected) << target;
    EXPECT_EQ(filter.data.shape(), (Shape{1, 2, 1, 17})) << "declared as H,W,C,N";
    EXPECT_EQ(filter.doc, "layout ==> (N/16)HWC16_UNALIGNED");
  }
}

TEST(LowerConv, PacksInt16FiltersInBlocksOf8) {
  std::vector<std::int16_t> expected;
  append_block(expected, 0, 8);
  append_block(expected, 8, 16);
  append_block(expected, 16, 17);
  const auto model = numbered_convolution("esp32s3", 16);
  const auto& filter = test::constant_of(model, test::the_node(model, "Conv"), 1);
  EXPECT_EQ(test::elements_of<std::int16_t>(filter.data), expected);
}

/// The same with activations of 16 bits above weights of 8, and a bias.
espdl::Model narrow_convolution(std::string_view target) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 1, 1, 4}, -4, 16);
  const ValueId filter = net.constant(numbered_filter(), 0, 8);
  const ValueId bias = net.constant(Tensor(DType::Float32, {17}),
                                    TensorQuant{find_target(target).bias_bits(16), {-4}, -1});
  return test::lowered(net.finish({net.node("Conv", {x, filter, bias}, {}, 0, 16)}), target);
}

TEST(LowerConv, PacksInt8FiltersBelowInt16AsThoseOfInt16) {
  std::vector<std::int8_t> expected;
  append_block(expected, 0, 8);
  append_block(expected, 8, 16);
  append_block(expected, 16, 17);
  for (const char* target : {"esp32s3", "esp32p4"}) {
    const auto model = narrow_convolution(target);
    const auto& conv = test::the_node(model, "Conv");
    EXPECT_EQ(conv.get_string("quant_type", ""), "W8A16");
    const auto& filter = test::constant_of(model, conv, 1);
    EXPECT_EQ(test::elements_of<std::int8_t>(filter.data), expected) << target;
    EXPECT_EQ(filter.doc, "layout ==> (N/8)HWC8_UNALIGNED");
    EXPECT_EQ(test::constant_of(model, conv, 2).data.dtype(), DType::Int64);
    EXPECT_EQ(test::value_of(model, model.outputs[0]).dtype, DType::Int16);
  }
  const auto portable = narrow_convolution("esp32c3");
  EXPECT_EQ(test::constant_of(portable, test::the_node(portable, "Conv"), 1).doc,
            "layout ==> NHWC");
}

TEST(LowerConv, PortableKernelsReadFiltersChannelByChannel) {
  std::vector<std::int8_t> expected;
  for (int n = 0; n < 17; ++n) append_block(expected, n, n + 1);
  const auto model = numbered_convolution("esp32c3");
  const auto& filter = test::constant_of(model, test::the_node(model, "Conv"), 1);
  EXPECT_EQ(test::elements_of<std::int8_t>(filter.data), expected);
}

TEST(LowerConv, StandsChannelsLastFromInputToOutput) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 3, 8, 6});
  const ValueId y = net.node("Conv", {x, net.constant(Tensor(DType::Float32, {5, 3, 3, 3}))});
  const Graph graph = net.finish({y});
  const auto model = test::lowered(graph);
  EXPECT_EQ(test::operators_of(model), std::vector<std::string>{"Conv"});
  EXPECT_EQ(test::value_of(model, "x").shape, (Shape{1, 8, 6, 3}));
  EXPECT_EQ(test::value_of(model, model.outputs[0]).shape, (Shape{1, 6, 4, 5}));
  EXPECT_EQ(model.metadata_value(layout_key("x")), "0,2,3,1");
}

TEST(LowerConv, OneDimensionIsChannelsLastToo) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 3, 8});
  const auto model = test::lowered(
      net.finish({net.node("Conv", {x, net.constant(Tensor(DType::Float32, {5, 3, 2}))})}));
  EXPECT_EQ(test::value_of(model, "x").shape, (Shape{1, 8, 3}));
  const auto& conv = test::the_node(model, "Conv");
  EXPECT_EQ(test::constant_of(model, conv, 1).data.shape(), (Shape{2, 3, 5}));
  EXPECT_EQ(conv.get_ints("pads"), (Ints{0, 0}));
}

TEST(LowerConv, WeightsAreRoundedAsTheChipRounds) {
  const auto weight = [](const char* target) {
    QuantizedNetwork net;
    const ValueId x = net.input("x", {1, 1, 1, 1});
    const ValueId filter = net.constant(Tensor::of<float>({1, 1, 1, 1}, {2.5F}), 0);
    const auto model = test::lowered(net.finish({net.node("Conv", {x, filter})}), target);
    return test::constant_of(model, test::the_node(model, "Conv"), 1).data.data<std::int8_t>()[0];
  };
  EXPECT_EQ(weight("esp32s3"), 3) << "half up";
  EXPECT_EQ(weight("esp32p4"), 2) << "half even";
}

/// x -> Conv 2 to 2 -> activation, with a bias of the given size.
struct BiasedConv {
  int bits = 8;
  float bias = 1;
  std::string activation = "";
  int out_exponent = -4;

  Graph graph(const Target& target = find_target("esp32s3")) const {
    QuantizedNetwork net;
    const ValueId x = net.input("x", {1, 2, 4, 4}, -5, bits);
    const ValueId filter = net.constant(Tensor(DType::Float32, {2, 2, 1, 1}), -6, bits);
    const ValueId b =
        net.constant(Tensor::of<float>({2}, {bias, -bias}), -11, target.bias_bits(bits));
    ValueId y = net.node("Conv", {x, filter, b}, {}, out_exponent, bits);
    if (activation == "Clip")
      y = net.node("Clip",
                   {y, net.constant(Tensor::scalar(0.0F)), net.constant(Tensor::scalar(6.0F))}, {},
                   out_exponent, bits);
    else if (!activation.empty())
      y = net.node(activation, {y}, {}, out_exponent, bits);
    return net.finish({y});
  }
};

TEST(LowerConv, BiasStandsAtTheAccumulatorsExponent) {
  const auto model = test::lowered(BiasedConv{}.graph());
  const auto& bias = test::constant_of(model, test::the_node(model, "Conv"), 2);
  EXPECT_EQ(bias.exponent(), -11);
  EXPECT_EQ(test::elements_of<std::int32_t>(bias.data), (std::vector<std::int32_t>{2048, -2048}));
}

TEST(LowerConv, Int16HasBiasesOf64Bits) {
  const auto model = test::lowered(BiasedConv{.bits = 16}.graph());
  const auto& bias = test::constant_of(model, test::the_node(model, "Conv"), 2);
  EXPECT_EQ(test::elements_of<std::int64_t>(bias.data), (std::vector<std::int64_t>{2048, -2048}));
  EXPECT_EQ(test::the_node(model, "Conv").get_string("quant_type", ""), "S16");
}

TEST(LowerConv, AReluBehindItBecomesItsActivation) {
  const auto model = test::lowered(BiasedConv{.activation = "Relu"}.graph());
  ASSERT_EQ(test::operators_of(model), std::vector<std::string>{"Conv"});
  EXPECT_EQ(model.nodes[0].get_string("activation", ""), "Relu");
  EXPECT_EQ(model.nodes[0].outputs, model.outputs);
}

TEST(LowerConv, AClipIsAReluWhereItsBoundIsTheLargestInteger) {
  // 6 is 192 of exponent -5, which saturates; of exponent -4 it is 96, which does not.
  const auto capped = test::lowered(BiasedConv{.activation = "Clip", .out_exponent = -5}.graph());
  EXPECT_EQ(test::operators_of(capped), std::vector<std::string>{"Conv"});
  EXPECT_EQ(capped.nodes[0].get_string("activation", ""), "Relu");
  const auto below = test::lowered(BiasedConv{.activation = "Clip", .out_exponent = -4}.graph());
  EXPECT_EQ(test::operators_of(below), (std::vector<std::string>{"Conv", "Clip"}));
  EXPECT_EQ(below.nodes[0].get_string("activation", ""), "Linear");
}

TEST(LowerConv, AnotherActivationStaysANode) {
  const auto model = test::lowered(BiasedConv{.activation = "Sigmoid"}.graph());
  EXPECT_EQ(test::operators_of(model), (std::vector<std::string>{"Conv", "Sigmoid"}));
}

TEST(LowerConv, DepthwiseFiltersAreDeclaredWithOneInputChannel) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 16, 5, 5});
  const ValueId filter = net.constant(Tensor(DType::Float32, {16, 1, 3, 3}));
  const auto model =
      test::lowered(net.finish({net.node("Conv", {x, filter}, {{"group", std::int64_t{16}}})}));
  const auto& conv = test::the_node(model, "Conv");
  EXPECT_EQ(conv.get_int("group", 0), 16);
  EXPECT_EQ(test::constant_of(model, conv, 1).data.shape(), (Shape{3, 3, 16, 1}));
}

TEST(LowerConv, OtherGroupsBecomeDenseWithZeros) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 4, 1, 1});
  const ValueId filter = net.constant(Tensor::of<float>({2, 2, 1, 1}, {1, 2, 3, 4}), 0);
  const auto model = test::lowered(
      net.finish({net.node("Conv", {x, filter}, {{"group", std::int64_t{2}}})}), "esp32c3");
  const auto& conv = test::the_node(model, "Conv");
  EXPECT_EQ(conv.get_int("group", 0), 1);
  EXPECT_EQ(test::elements_of<std::int8_t>(test::constant_of(model, conv, 1).data),
            (std::vector<std::int8_t>{1, 2, 0, 0, 0, 0, 3, 4}));
}

TEST(LowerConv, ChannelsMayHaveAnExponentEach) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 1, 1, 1});
  const ValueId filter =
      net.constant(Tensor::of<float>({2, 1, 1, 1}, {0.5F, 0.5F}), TensorQuant{8, {-1, -3}, 0});
  const auto model = test::lowered(net.finish({net.node("Conv", {x, filter})}), "esp32p4");
  const auto& stored = test::constant_of(model, test::the_node(model, "Conv"), 1);
  EXPECT_EQ(stored.exponents, (std::vector<int>{-1, -3}));
  EXPECT_EQ(test::elements_of<std::int8_t>(stored.data), (std::vector<std::int8_t>{1, 4}));
}

TEST(LowerConv, RefusesALeftShift) {
  // The accumulator has exponent -5 - 6, the output a finer one.
  const auto error = test::error_of([] { test::lowered(BiasedConv{.out_exponent = -12}.graph()); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_EQ(error.node(), "Conv");
  EXPECT_FALSE(error.remedy().empty());
}

TEST(LowerConv, RefusesAShiftBeyondTheRegister) {
  const auto error =
      test::error_of([] { test::lowered(BiasedConv{.bias = 0, .out_exponent = 21}.graph()); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_EQ(error.node(), "Conv");
}

TEST(LowerConv, RefusesABiasThatItsFieldCannotHold) {
  const BiasedConv large{.bias = 300};  // 614,400: 21 bits with sign
  const auto error = test::error_of([&] { test::lowered(large.graph()); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_EQ(error.node(), "Conv");
  EXPECT_FALSE(error.remedy().empty());
  const Target& p4 = find_target("esp32p4");
  EXPECT_NO_THROW(test::lowered(large.graph(p4), "esp32p4")) << "32 bits are enough";
}

TEST(LowerConv, RefusesWeightsThatAreComputed) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 1, 4, 4});
  const ValueId w = net.input("w", {1, 1, 2, 2});
  const Graph graph = net.finish({net.node("Conv", {x, w})});
  const auto error = test::error_of([&] { test::lowered(graph); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_EQ(error.node(), "Conv");
}

TEST(LowerGemm, TransposedWeightsBecomeRowsOfInputs) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 2});
  const ValueId w = net.constant(Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6}), 0);
  const auto model = test::lowered(
      net.finish({net.node("Gemm", {x, w}, {{"transB", std::int64_t{1}}})}), "esp32c3");
  const auto& gemm = test::the_node(model, "Gemm");
  const auto& stored = test::constant_of(model, gemm, 1);
  EXPECT_EQ(stored.data.shape(), (Shape{1, 1, 2, 3}));
  EXPECT_EQ(test::elements_of<std::int8_t>(stored.data),
            (std::vector<std::int8_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(gemm.get_int("transB", 1), 0);
}

TEST(LowerGemm, RefusesScaledProducts) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {1, 2});
  const ValueId w = net.constant(Tensor(DType::Float32, {2, 3}));
  const Graph graph = net.finish({net.node("Gemm", {x, w}, {{"alpha", 2.0F}})});
  const auto error = test::error_of([&] { test::lowered(graph); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_EQ(error.node(), "Gemm");
}

}  // namespace
}  // namespace espquant::lower
