#include <gtest/gtest.h>

#include "tests/passes/run_pass.h"

namespace espquant::passes {
namespace {

using test::after_pass;
using test::AttributeList;
using test::expect_untouched;
using test::Ints;
using test::Network;
using test::Operators;
using test::operators_of;
using test::the_node;

TEST(ExplicitArguments, TransposeSaysItsPermutation) {
  Network n(18);
  const Graph graph =
      after_pass(explicit_arguments, n.finish({n.node("Transpose", {n.input("x", {2, 3, 4})})}));
  EXPECT_EQ(the_node(graph, "Transpose").attributes.get_ints("perm"), (Ints{2, 1, 0}));
}

TEST(ExplicitArguments, SplitSaysItsSizes) {
  Network n(18);
  const ValueId x = n.input("x", {2, 7});
  const auto parts =
      n.nodes("Split", {x}, {{"axis", std::int64_t{-1}}, {"num_outputs", std::int64_t{3}}}, 3);
  const Graph graph = after_pass(explicit_arguments, n.finish(parts));
  const ValueId sizes = the_node(graph, "Split").inputs.at(1);
  EXPECT_TRUE(graph.value(sizes).constant.equals(Tensor::of<std::int64_t>({3}, {3, 3, 1})));
}

TEST(ExplicitArguments, PadCoversAllAxes) {
  Network n(18);
  const ValueId x = n.input("x", {1, 2, 4, 4});
  const Graph graph = after_pass(
      explicit_arguments,
      n.finish({n.node("Pad", {x, n.ints({1, 2, 3, 4}), n.scalar(5), n.ints({-1, 2})})}));
  const Node& pad = the_node(graph, "Pad");
  EXPECT_EQ(pad.inputs.size(), 3U);
  EXPECT_TRUE(graph.value(pad.inputs[1])
                  .constant.equals(Tensor::of<std::int64_t>({8}, {0, 0, 2, 1, 0, 0, 4, 3})));
}

// ONNX: the upper bound is what comes out.
TEST(ExplicitArguments, BoundsOfAClipAreInOrder) {
  Network n(18);
  const ValueId x = n.input("x", {1, 4});
  const Graph before = n.finish({n.node("Clip", {x, n.scalar(1), n.scalar(-1)})});
  const Graph graph = after_pass(explicit_arguments, before);
  const Node& clip = the_node(graph, "Clip");
  for (std::size_t i : {std::size_t{1}, std::size_t{2}})
    EXPECT_EQ(graph.value(clip.inputs[i]).constant.data<float>()[0], -1);
  test::expect_same_function(graph, before);
}

TEST(ExplicitArguments, ResizeCoversAllAxes) {
  for (const bool by_sizes : {false, true}) {
    Network n(18);
    const ValueId x = n.input("x", {1, 2, 4, 4});
    const ValueId scales = by_sizes ? kNone : n.floats({2}, {2, 3}),
                  sizes = by_sizes ? n.ints({8, 12}) : kNone;
    const ValueId y = n.node("Resize", {x, n.floats({0}, {}), scales, sizes},
                             {{"axes", Ints{3, 2}}, {"mode", std::string("nearest")}});
    const Graph graph = after_pass(explicit_arguments, n.finish({y}));
    const Node& resize = the_node(graph, "Resize");
    EXPECT_FALSE(resize.attributes.has("axes"));
    EXPECT_EQ(resize.inputs.at(1), kNone);
  }
}

/// A window operator over x of shape 1x2x7x6 with auto_pad.
struct Window {
  const char* name;
  const char* op;
  AttributeList attributes;
  Ints pads;
};

TEST(ResolveAutoPad, GivesThePadsOfEveryMode) {
  const std::string upper = "SAME_UPPER", lower = "SAME_LOWER", valid = "VALID";
  const std::vector<Window> windows = {
      {"upper", "Conv", {{"auto_pad", upper}}, {1, 0, 1, 1}},
      {"lower", "Conv", {{"auto_pad", lower}}, {1, 1, 1, 0}},
      {"valid", "Conv", {{"auto_pad", valid}}, {0, 0, 0, 0}},
      {"strides", "Conv", {{"auto_pad", upper}, {"strides", Ints{2, 2}}}, {1, 0, 1, 0}},
      {"strides beyond the kernel",
       "Conv",
       {{"auto_pad", upper}, {"strides", Ints{5, 4}}},
       {0, 0, 1, 0}},
      {"dilations", "Conv", {{"auto_pad", upper}, {"dilations", Ints{2, 3}}}, {2, 1, 2, 2}},
      {"average",
       "AveragePool",
       {{"auto_pad", upper}, {"kernel_shape", Ints{3, 2}}, {"strides", Ints{2, 2}}},
       {1, 0, 1, 0}},
      {"maximum", "MaxPool", {{"auto_pad", lower}, {"kernel_shape", Ints{3, 2}}}, {1, 1, 1, 0}},
      {"ceil",
       "MaxPool",
       {{"auto_pad", valid}, {"kernel_shape", Ints{3, 2}}, {"strides", Ints{3, 4}}},
       {0, 0, 0, 0}},
      {"transposed", "ConvTranspose", {{"auto_pad", upper}, {"strides", Ints{2, 1}}}, {0, 0, 1, 1}},
      {"transposed lower",
       "ConvTranspose",
       {{"auto_pad", lower}, {"strides", Ints{2, 1}}},
       {1, 1, 0, 0}},
  };
  for (const Window& w : windows) {
    SCOPED_TRACE(w.name);
    Network n(18);
    std::vector<ValueId> inputs = {n.input("x", {1, 2, 7, 6})};
    if (std::string(w.op).starts_with("Conv")) inputs.push_back(n.random({2, 2, 3, 2}));
    const Graph graph =
        after_pass(resolve_auto_pad, n.finish({n.node(w.op, inputs, w.attributes)}));
    EXPECT_EQ(the_node(graph, w.op).attributes.get_ints("pads"), w.pads);
    EXPECT_FALSE(the_node(graph, w.op).attributes.has("auto_pad"));
  }
}

TEST(ResolveAutoPad, OutputShapeBecomesPads) {
  Network n(18);
  const ValueId x = n.input("x", {1, 2, 3, 3});
  const ValueId y = n.node(
      "ConvTranspose", {x, n.random({2, 2, 3, 3})},
      {{"strides", Ints{2, 2}}, {"output_shape", Ints{6, 5}}, {"output_padding", Ints{0, 1}}});
  const Graph graph = after_pass(resolve_auto_pad, n.finish({y}));
  EXPECT_FALSE(the_node(graph, "ConvTranspose").attributes.has("output_shape"));
}

TEST(SplitVariadic, ManyInputsBecomeAChain) {
  const std::vector<std::pair<const char*, Operators>> cases = {{"Sum", {"Add", "Add"}},
                                                                {"Mean", {"Add", "Add", "Mul"}},
                                                                {"Max", {"Max", "Max"}},
                                                                {"Min", {"Min", "Min"}}};
  for (const auto& [op, expected] : cases) {
    Network n;
    const ValueId a = n.input("a", {2, 3}), b = n.input("b", {3}), c = n.input("c", {2, 1});
    const Graph graph = after_pass(split_variadic, n.finish({n.node(op, {a, b, c})}));
    EXPECT_EQ(operators_of(graph), expected);
  }
}

TEST(SplitVariadic, TwoInputsOfMaxStay) {
  Network n;
  const ValueId a = n.input("a", {2, 3}), b = n.input("b", {3});
  expect_untouched(split_variadic, n.finish({n.node("Max", {a, b})}));
}

TEST(CanonicalizeGemm, MatMulOfAMatrixByAConstantBecomesGemm) {
  Network n;
  const ValueId x = n.input("x", {2, 3});
  const Graph graph =
      after_pass(canonicalize_gemm, n.finish({n.node("MatMul", {x, n.random({3, 4})})}));
  EXPECT_EQ(operators_of(graph), Operators{"Gemm"});
}

TEST(CanonicalizeGemm, OtherMatMulsStay) {
  Network n;
  const ValueId x = n.input("x", {2, 3, 3}), y = n.input("y", {3, 3});
  expect_untouched(canonicalize_gemm,
                   n.finish({n.node("MatMul", {x, n.random({3, 4})}), n.node("MatMul", {y, y}),
                             n.node("MatMul", {n.random({3, 3}), y})}));
}

TEST(CanonicalizeGemm, ScalesAndTransposesMoveIntoTheConstants) {
  Network n;
  const ValueId x = n.input("x", {3, 2});
  const ValueId y = n.node(
      "Gemm", {x, n.random({4, 3}), n.random({1, 4})},
      {{"alpha", 0.5F}, {"beta", 2.F}, {"transA", std::int64_t{1}}, {"transB", std::int64_t{1}}});
  const Graph graph = after_pass(canonicalize_gemm, n.finish({y}));
  EXPECT_EQ(operators_of(graph), (Operators{"Transpose", "Gemm"}));
  const Node& gemm = the_node(graph, "Gemm");
  EXPECT_FALSE(gemm.attributes.has("alpha") || gemm.attributes.has("beta") ||
               gemm.attributes.has("transA"));
  EXPECT_EQ(graph.value(gemm.inputs.at(2)).shape, Shape{4});
}

TEST(CanonicalizeGemm, AScalarBiasBecomesAVector) {
  Network n;
  const ValueId x = n.input("x", {2, 3});
  const Graph graph =
      after_pass(canonicalize_gemm, n.finish({n.node("Gemm", {x, n.random({3, 4}), n.scalar(2)})}));
  EXPECT_EQ(graph.value(the_node(graph, "Gemm").inputs.at(2)).shape, Shape{4});
}

TEST(CanonicalizeGemm, AnAddendThatIsNoBiasIsAddedOutside) {
  Network n;
  const ValueId x = n.input("x", {2, 3}), c = n.input("c", {2, 4});
  const Graph graph =
      after_pass(canonicalize_gemm,
                 n.finish({n.node("Gemm", {x, n.random({3, 4}), n.random({2, 1})}, {{"beta", 3.F}}),
                           n.node("Gemm", {x, n.random({3, 4}), c}, {{"beta", 3.F}})}));
  const Operators ops = operators_of(graph);
  EXPECT_EQ(std::count(ops.begin(), ops.end(), "Add"), 2);
  EXPECT_EQ(std::count(ops.begin(), ops.end(), "Gemm"), 2);
  EXPECT_EQ(std::count(ops.begin(), ops.end(), "Mul"), 1);
}

TEST(CanonicalizeGemm, AComputedMatrixMakesItAMatMul) {
  Network n;
  const ValueId x = n.input("x", {2, 3}), b = n.input("b", {4, 3});
  const ValueId y =
      n.node("Gemm", {x, b, n.random({4})}, {{"alpha", 2.F}, {"transB", std::int64_t{1}}});
  const Graph graph = after_pass(canonicalize_gemm, n.finish({y}));
  EXPECT_EQ(operators_of(graph), (Operators{"Transpose", "Mul", "MatMul", "Add"}));
}

TEST(UseGlobalPools, SpatialMeansBecomePools) {
  Network n(18);
  const ValueId x = n.input("x", {1, 3, 4, 5}), z = n.input("z", {1, 3, 4});
  const Graph graph = after_pass(
      use_global_pools,
      n.finish({n.node("ReduceMean", {x, n.ints({3, -2})}), n.node("ReduceMean", {z, n.ints({2})}),
                n.node("ReduceMean", {x, n.ints({2, 3})}, {{"keepdims", std::int64_t{0}}})}));
  EXPECT_EQ(operators_of(graph),
            (Operators{"GlobalAveragePool", "GlobalAveragePool", "GlobalAveragePool", "Reshape"}));
}

TEST(UseGlobalPools, OtherMeansStay) {
  Network n(18);
  const ValueId x = n.input("x", {1, 3, 4, 5});
  expect_untouched(
      use_global_pools,
      n.finish({n.node("ReduceMean", {x, n.ints({1, 2})}), n.node("ReduceMean", {x, n.ints({3})}),
                n.node("ReduceMean", {x}), n.node("ReduceMax", {x, n.ints({2, 3})})}));
}

}  // namespace
}  // namespace espquant::passes
