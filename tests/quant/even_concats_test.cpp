#include "quant/even_concats.h"

#include <functional>

#include "tests/quant/calibrated.h"

namespace espquant::quant {
namespace {

using test::Ints;
using test::Network;

/// A convolution of 4 to 4 channels whose output is about as large as `size`.
ValueId convolve(Network& net, ValueId x, float size) {
  return net.node("Conv", {x, net.random({4, 4, 1, 1}, -size, size), net.random({4}, -size, size)},
                  {{"kernel_shape", Ints{1, 1}}});
}

/// Rows of weights that even `sizes` out, one for each four columns of the input, of so many taps.
ValueId evening_weights(Network& net, std::int64_t rows, const std::vector<float>& sizes,
                        Shape behind) {
  Shape shape{rows, static_cast<std::int64_t>(sizes.size()) * 4};
  shape.insert(shape.end(), behind.begin(), behind.end());
  Tensor w = test::random_tensor(shape, 11);
  auto data = w.mutable_data<float>();
  const auto each = static_cast<std::size_t>(4 * element_count(behind));
  for (std::size_t i = 0; i < data.size(); ++i) data[i] /= sizes[i / each % sizes.size()];
  return net.constant(w);
}

using Build = std::function<Graph(Network&, ValueId x)>;

struct Case {
  const char* name;
  Build build;
  /// Operands that are scaled, and Mul nodes that it takes.
  std::int64_t scaled, products;
};

Graph with_reader(Network& net, ValueId joined, const std::vector<float>& sizes) {
  return net.finish({net.node("Conv", {joined, evening_weights(net, 3, sizes, {1, 1})},
                              {{"kernel_shape", Ints{1, 1}}})});
}

const test::AttributeList kChannels{{"axis", std::int64_t{1}}};

std::vector<Case> cases() {
  return {
      {"layers",
       [](Network& net, ValueId x) {
         const ValueId large = convolve(net, x, 1000), small = convolve(net, x, 0.1F);
         return with_reader(net, net.node("Concat", {large, small}, kChannels), {1000, 0.1F});
       },
       1, 0},
      {"activations, a Clip and pools on the way",
       [](Network& net, ValueId x) {
         const ValueId large = net.node("Relu", {convolve(net, x, 1000)});
         const ValueId small =
             net.node("Clip", {convolve(net, x, 0.1F), net.scalar(0), net.scalar(0.1F)});
         const ValueId joined = net.node("Relu", {net.node("Concat", {small, large}, kChannels)});
         const ValueId pooled = net.node("AveragePool", {joined}, {{"kernel_shape", Ints{2, 2}}});
         return with_reader(net, pooled, {0.1F, 1000});
       },
       1, 0},
      {"an input, which is multiplied",
       [](Network& net, ValueId x) {
         const ValueId joined = net.node("Concat", {convolve(net, x, 1000), x}, kChannels);
         return with_reader(net, joined, {1000, 1});
       },
       1, 1},
      {"what something else reads, which is multiplied",
       [](Network& net, ValueId x) {
         const ValueId small = convolve(net, x, 0.1F);
         const ValueId joined = net.node("Concat", {convolve(net, x, 1000), small}, kChannels);
         const ValueId y = net.node("Conv", {joined, evening_weights(net, 4, {1000, 0.1F}, {1, 1})},
                                    {{"kernel_shape", Ints{1, 1}}});
         return net.finish({net.node("Add", {y, small})});
       },
       1, 1},
      {"a Gemm behind a Flatten",
       [](Network& net, ValueId x) {
         const ValueId joined =
             net.node("Concat", {convolve(net, x, 1000), convolve(net, x, 0.1F)}, kChannels);
         const ValueId flat = net.node("Flatten", {joined});
         Tensor w = test::random_tensor({8 * 9, 3}, 12);
         for (std::size_t i = 0; i < 8 * 9 * 3; ++i)
           w.mutable_data<float>()[i] *= i < 4 * 9 * 3 ? 1e-3F : 10.0F;
         return net.finish({net.node("Gemm", {flat, net.constant(w)})});
       },
       1, 0},
      {"a MatMul along the last axis",
       [](Network& net, ValueId x) {
         const ValueId rows = net.node("Reshape", {x, net.ints({1, 9, 4})});
         const ValueId joined =
             net.node("Concat",
                      {net.node("MatMul", {rows, net.random({4, 4}, -1000, 1000)}),
                       net.node("MatMul", {rows, net.random({4, 4}, -0.1F, 0.1F)})},
                      {{"axis", std::int64_t{2}}});
         Tensor w = test::random_tensor({8, 3}, 12);
         for (std::size_t i = 0; i < 24; ++i) w.mutable_data<float>()[i] *= i < 12 ? 1e-3F : 10.0F;
         return net.finish({net.node("MatMul", {joined, net.constant(w)})});
       },
       1, 0},
      {"a convolution in groups",
       [](Network& net, ValueId x) {
         const ValueId joined =
             net.node("Concat", {convolve(net, x, 1000), convolve(net, x, 0.1F)}, kChannels);
         Tensor w = test::random_tensor({4, 4, 1, 1}, 12);
         for (std::size_t i = 0; i < 16; ++i) w.mutable_data<float>()[i] *= i < 8 ? 1e-3F : 10.0F;
         return net.finish({net.node("Conv", {joined, net.constant(w)},
                                     {{"kernel_shape", Ints{1, 1}}, {"group", std::int64_t{2}}})});
       },
       1, 0},
      {"one Concat in another",
       [](Network& net, ValueId x) {
         const ValueId inner =
             net.node("Concat", {convolve(net, x, 1000), convolve(net, x, 0.1F)}, kChannels);
         const ValueId joined = net.node("Concat", {inner, convolve(net, x, 1000)}, kChannels);
         return with_reader(net, joined, {1000, 0.1F, 1000});
       },
       1, 0},
  };
}

calib::Statistics statistics_of(const Graph& network) {
  const ops::Executor executor(network);
  return calib::scan(executor, test::random_samples(network, 8), 8);
}

TEST(EvenConcats, ScaleTheSmallOperandAndKeepTheFunction) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    Network net;
    const Graph before = c.build(net, net.input("x", {1, 4, 3, 3}));
    Graph after = before;
    EXPECT_EQ(even_concats(after, statistics_of(before)), c.scaled);
    verify(after, "evened");
    const auto ops = test::operators_of(after);
    EXPECT_EQ(std::count(ops.begin(), ops.end(), "Mul"), c.products);
    // All factors are powers of two.
    const std::vector<Tensor> x{test::random_tensor({1, 4, 3, 3}, 3)};
    test::expect_close(test::evaluate(after, x)[0], test::evaluate(before, x)[0], 1e-6, c.name);
    EXPECT_EQ(even_concats(after, statistics_of(after)), 0);
  }
}

TEST(EvenConcats, LeaveOthersAlone) {
  const std::vector<Case> untouched = {
      {"whose operands are of one size",
       [](Network& net, ValueId x) {
         return with_reader(
             net, net.node("Concat", {convolve(net, x, 1), convolve(net, x, 1)}, kChannels),
             {1000, 0.1F});
       },
       0, 0},
      {"whose small operand meets small weights",
       [](Network& net, ValueId x) {
         return with_reader(
             net, net.node("Concat", {convolve(net, x, 1000), convolve(net, x, 0.1F)}, kChannels),
             {1, 1});
       },
       0, 0},
      {"that are an output",
       [](Network& net, ValueId x) {
         const ValueId joined =
             net.node("Concat", {convolve(net, x, 1000), convolve(net, x, 0.1F)}, kChannels);
         const ValueId y = net.node("Conv", {joined, evening_weights(net, 3, {1000, 0.1F}, {1, 1})},
                                    {{"kernel_shape", Ints{1, 1}}});
         return net.finish({joined, y});
       },
       0, 0},
      {"before a function that is not homogeneous",
       [](Network& net, ValueId x) {
         const ValueId joined =
             net.node("Concat", {convolve(net, x, 1000), convolve(net, x, 0.1F)}, kChannels);
         return with_reader(net, net.node("Tanh", {joined}), {1000, 0.1F});
       },
       0, 0},
      {"whose operands meet the same weights",
       [](Network& net, ValueId x) {
         const ValueId joined = net.node("Concat", {convolve(net, x, 1000), convolve(net, x, 0.1F)},
                                         {{"axis", std::int64_t{2}}});
         return with_reader(net, joined, {1});
       },
       0, 0},
  };
  for (const Case& c : untouched) {
    SCOPED_TRACE(c.name);
    Network net;
    Graph network = c.build(net, net.input("x", {1, 4, 3, 3}));
    const std::string before = print(network);
    EXPECT_EQ(even_concats(network, statistics_of(network)), 0);
    EXPECT_EQ(print(network), before);
  }
}

}  // namespace
}  // namespace espquant::quant
