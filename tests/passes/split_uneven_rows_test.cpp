#include <gtest/gtest.h>

#include "tests/passes/run_pass.h"

namespace espquant::passes {
namespace {

using test::after_pass;
using test::expect_untouched;
using test::Ints;
using test::Network;
using test::Operators;
using test::operators_of;

/// Rows of about one in size, those named a hundred times as large.
Tensor uneven_rows(const Shape& shape, std::size_t axis, const Ints& large) {
  Tensor t = test::random_tensor(shape, 21);
  std::int64_t inner = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  auto data = t.mutable_data<float>();
  for (std::size_t i = 0; i < data.size(); ++i)
    if (std::count(large.begin(), large.end(), static_cast<std::int64_t>(i) / inner % shape[axis]) >
        0)
      data[i] *= 100;
  return t;
}

TEST(SplitUnevenRows, ALastLayerOfChannelsOfTwoSizesBecomesTwo) {
  for (const bool scattered : {false, true}) {
    const Ints large = scattered ? Ints{1, 4} : Ints{0, 1};
    const Operators end = scattered ? Operators{"Concat", "Gather"} : Operators{"Concat"};
    Network conv;
    const ValueId image = conv.input("x", {1, 3, 4, 4});
    Graph graph = after_pass(
        split_uneven_rows,
        conv.finish({conv.node(
            "Conv", {image, conv.constant(uneven_rows({6, 3, 1, 1}, 0, large)), conv.random({6})},
            {{"kernel_shape", Ints{1, 1}}})}));
    Operators all = operators_of(graph);
    EXPECT_EQ(std::count(all.begin(), all.end(), "Conv"), 2);
    EXPECT_TRUE(std::equal(end.rbegin(), end.rend(), all.rbegin()));

    Network gemm;
    const ValueId row = gemm.input("x", {1, 8});
    graph = after_pass(
        split_uneven_rows,
        gemm.finish({gemm.node("Gemm", {row, gemm.constant(uneven_rows({8, 6}, 1, large))})}));
    all = operators_of(graph);
    EXPECT_EQ(std::count(all.begin(), all.end(), "Gemm"), 2);

    Network product;
    const ValueId y = product.node("Sigmoid", {product.input("x", {1, 6, 2, 2})});
    Tensor factors = uneven_rows({6, 1, 1}, 0, large);
    graph = after_pass(split_uneven_rows,
                       product.finish({product.node("Mul", {y, product.constant(factors)})}));
    all = operators_of(graph);
    EXPECT_EQ(std::count(all.begin(), all.end(), "Mul"), 2);
  }
}

TEST(SplitUnevenRows, LayersOfOneSizeAndThoseThatOthersReadStay) {
  const auto layer = [](Network& n, const Ints& large) {
    return n.node("Gemm", {n.input("x", {1, 8}), n.constant(uneven_rows({8, 6}, 1, large))});
  };
  Network alike, read;
  expect_untouched(split_uneven_rows, alike.finish({layer(alike, {})}));
  expect_untouched(split_uneven_rows, read.finish({read.node("Sigmoid", {layer(read, {0, 1})})}));
}

}  // namespace
}  // namespace espquant::passes
