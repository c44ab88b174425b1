#include "ops/executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <ostream>
#include <set>

#include "base/parallel.h"
#include "tests/support/network.h"

/// The executor's fast paths against the operators' reference kernels, and what it promises its
/// callers.
namespace espquant::ops {
namespace {

using espquant::test::AttributeList;
using espquant::test::Ints;
using espquant::test::Network;
using espquant::test::random_tensor;

constexpr double kTolerance = 1e-5;

std::vector<Tensor> random_inputs(const Graph& graph, std::uint64_t seed = 77) {
  std::vector<Tensor> inputs;
  for (ValueId v : graph.inputs())
    inputs.push_back(random_tensor(*graph.value(v).shape, seed + inputs.size(), -2, 2));
  return inputs;
}

using Observed = std::vector<std::pair<ValueId, Tensor>>;

std::vector<Tensor> executor_run(const Graph& graph, const std::vector<Tensor>& inputs,
                                 Executor::Options options, Observed* observed = nullptr) {
  const Executor executor(graph, options);
  Executor::Workspace workspace(executor);
  if (observed == nullptr) return executor.run(inputs, workspace);
  return executor.run(inputs, workspace, [&](const Executor::View& view) {
    observed->emplace_back(view.value, view.to_tensor());
  });
}

void expect_equal_outputs(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected,
                          const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    espquant::test::expect_close(actual[i], expected[i], kTolerance, what);
}

/// Outputs and everything observed agree with the reference kernels, fused or not.
void expect_like_reference(const Graph& graph) {
  const auto inputs = random_inputs(graph);
  Observed observed, expected;
  const auto outputs = executor_run(graph, inputs, {.reference = true}, &expected);
  expect_equal_outputs(executor_run(graph, inputs, {}, &observed), outputs, print(graph));
  expect_equal_outputs(executor_run(graph, inputs, {.observe_all = false}), outputs, "fused");
  std::map<ValueId, Tensor> by_value(expected.begin(), expected.end());
  ASSERT_EQ(observed.size(), by_value.size());
  for (const auto& [value, tensor] : observed)
    espquant::test::expect_close(tensor, by_value.at(value), kTolerance, graph.value(value).name);
}

void expect_accelerated(const Graph& graph) {
  const std::string steps = Executor(graph).describe();
  EXPECT_EQ(steps.find("reference"), std::string::npos) << steps;
}

std::vector<ValueId> none(Network&) { return {}; }

/// One node on one random input, other inputs constant.
struct ExecutorCase {
  std::string op;
  Shape input;
  std::function<std::vector<ValueId>(Network&)> constants = none;
  AttributeList attributes = {};
  std::size_t outputs = 1;
  std::int64_t opset = 17;
};

void PrintTo(const ExecutorCase& c, std::ostream* out) {
  *out << c.op << " of " << to_string(c.input);
}

Graph graph_of(const ExecutorCase& c) {
  Network net(c.opset);
  std::vector<ValueId> inputs{net.input("x", c.input)};
  for (ValueId v : c.constants(net)) inputs.push_back(v);
  return net.finish(net.nodes(c.op, inputs, c.attributes, c.outputs));
}

class Accelerated : public testing::TestWithParam<ExecutorCase> {};

TEST_P(Accelerated, GivesWhatTheReferenceGives) {
  const Graph graph = graph_of(GetParam());
  expect_accelerated(graph);
  expect_like_reference(graph);
}

auto random_constants(std::vector<Shape> shapes, float low = -1, float high = 1) {
  return [=](Network& net) {
    std::vector<ValueId> values;
    for (const Shape& s : shapes) values.push_back(net.random(s, low, high));
    return values;
  };
}

auto int_constants(std::vector<Ints> lists) {
  return [=](Network& net) {
    std::vector<ValueId> values;
    for (const Ints& l : lists) values.push_back(net.ints(l));
    return values;
  };
}

std::vector<ExecutorCase> convolutions() {
  const auto w = [](std::vector<Shape> shapes) { return random_constants(std::move(shapes)); };
  return {
      {"Conv", {1, 3, 11, 9}, w({{8, 3, 3, 3}, {8}}), {{"pads", Ints{0, 1, 2, 1}}}},
      {"Conv", {2, 5, 8, 8}, w({{7, 5, 3, 3}}), {{"strides", Ints{2, 1}}}},
      {"Conv",
       {1, 4, 9, 12},
       w({{6, 4, 3, 2}, {6}}),
       {{"dilations", Ints{2, 3}}, {"pads", Ints{2, 0, 2, 3}}}},
      {"Conv",
       {1, 6, 7, 7},
       w({{6, 1, 3, 3}, {6}}),
       {{"group", std::int64_t{6}}, {"pads", Ints{1, 1, 1, 1}}}},
      {"Conv",
       {1, 6, 7, 7},
       w({{12, 1, 3, 3}}),
       {{"group", std::int64_t{6}},
        {"auto_pad", std::string("SAME_LOWER")},
        {"strides", Ints{2, 2}}}},
      {"Conv", {1, 8, 6, 6}, w({{12, 4, 1, 1}, {12}}), {{"group", std::int64_t{2}}}},
      {"Conv",
       {1, 1, 20, 20},
       w({{16, 1, 5, 5}, {16}}),
       {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{3, 2}}}},
      {"Conv", {1, 2, 5, 5}, w({{4, 2, 3, 3}}), {{"pads", Ints{4, 3, 5, 4}}}},
      {"Conv", {2, 10, 30}, w({{6, 10, 3}, {6}}), {{"pads", Ints{1, 2}}, {"strides", Ints{2}}}},
      {"Conv",
       {1, 8, 30},
       w({{8, 1, 5}, {8}}),
       {{"group", std::int64_t{8}}, {"dilations", Ints{3}}, {"pads", Ints{6, 6}}}},
      {"Conv", {1, 8, 16}, w({{6, 4, 2}}), {{"group", std::int64_t{2}}}},
      {"ConvTranspose",
       {1, 4, 5, 6},
       w({{4, 3, 3, 3}, {3}}),
       {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"output_padding", Ints{1, 1}}}},
      {"ConvTranspose",
       {2, 4, 5, 6},
       w({{4, 2, 2, 3}}),
       {{"group", std::int64_t{2}}, {"dilations", Ints{2, 1}}}},
      {"ConvTranspose",
       {1, 4, 5, 5},
       w({{4, 2, 4, 4}}),
       {{"strides", Ints{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}}},
      {"ConvTranspose",
       {1, 4, 9},
       w({{4, 2, 4}, {2}}),
       {{"strides", Ints{3}}, {"pads", Ints{1, 0}}}},
  };
}

std::vector<ExecutorCase> pools() {
  const AttributeList odd{
      {"kernel_shape", Ints{3, 2}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 0, 2, 1}}};
  AttributeList padded = odd, ceiled = odd;
  padded.emplace_back("count_include_pad", std::int64_t{1});
  ceiled.emplace_back("ceil_mode", std::int64_t{1});
  return {
      {"MaxPool", {2, 5, 9, 8}, none, odd},
      {"MaxPool", {1, 5, 9, 8}, none, ceiled},
      {"MaxPool", {1, 3, 12}, none, {{"kernel_shape", Ints{4}}, {"dilations", Ints{2}}}},
      {"AveragePool", {2, 5, 9, 8}, none, odd},
      {"AveragePool", {1, 33, 9, 8}, none, padded},
      {"AveragePool", {1, 5, 9, 8}, none, ceiled},
      {"AveragePool",
       {1, 5, 9},
       none,
       {{"kernel_shape", Ints{3}}, {"auto_pad", std::string("SAME_UPPER")}}},
      {"GlobalAveragePool", {2, 17, 9, 8}},
      {"GlobalAveragePool", {1, 4, 30}},
      {"GlobalMaxPool", {2, 17, 9, 8}},
      {"ReduceMean", {2, 6, 5, 4}, none, {{"axes", Ints{-1, 2}}, {"keepdims", std::int64_t{0}}}},
      {"ReduceMean", {2, 6, 5, 4}, int_constants({{2, 3}}), {}, 1, 18},
  };
}

std::vector<ExecutorCase> products() {
  const auto w = [](std::vector<Shape> shapes) { return random_constants(std::move(shapes)); };
  return {
      {"Gemm", {1, 20}, w({{20, 7}, {7}})},
      {"Gemm",
       {3, 20},
       w({{7, 20}, {1, 7}}),
       {{"transB", std::int64_t{1}}, {"alpha", 0.5F}, {"beta", 2.0F}}},
      {"Gemm", {3, 20}, w({{20, 7}, {1}})},
      {"Gemm", {3, 20}, w({{20, 7}})},
      {"MatMul", {2, 3, 20}, w({{20, 5}})},
      {"MatMul", {2, 3, 4, 20}, w({{3, 20, 5}})},
  };
}

std::vector<ExecutorCase> elementwise() {
  const Shape image{2, 5, 4, 3};
  const auto w = [](std::vector<Shape> shapes) {
    return random_constants(std::move(shapes), 0.5F, 2.0F);
  };
  const auto clip = [](Network& net) {
    return std::vector<ValueId>{net.scalar(-0.5F), net.scalar(1.0F)};
  };
  const auto upper = [](Network& net) { return std::vector<ValueId>{kNone, net.scalar(1.0F)}; };
  return {
      {"Abs", image},
      {"Neg", image},
      {"Relu", image},
      {"Sigmoid", image},
      {"Tanh", image},
      {"HardSwish", image},
      {"HardSigmoid", image, none, {{"alpha", 0.3F}, {"beta", 0.4F}}},
      {"LeakyRelu", image, none, {{"alpha", 0.2F}}},
      {"Elu", image, none, {{"alpha", 0.7F}}},
      {"Clip", image, clip},
      {"Clip", image, upper},
      {"Clip", image, none, {{"min", -0.5F}}, 1, 6},
      {"Add", image, w({{2, 5, 4, 3}})},
      {"Sub", image, w({{5, 1, 1}})},
      {"Mul", image, w({{1, 5, 1, 1}})},
      {"Div", image, w({{}})},
      {"Max", image, w({{3}})},
      {"Min", image, w({{2, 1, 4, 1}})},
      {"Sum", image, w({{4, 3}})},
      {"PRelu", image, w({{5, 1, 1}})},
      {"Mul", {1, 5, 1, 1}, w({{2, 5, 4, 3}})},
      {"BatchNormalization", image, w({{5}, {5}, {5}, {5}}), {{"epsilon", 1e-3F}}},
      {"BatchNormalization", {2, 5, 7}, w({{5}, {5}, {5}, {5}})},
      {"BatchNormalization", {2, 5}, w({{5}, {5}, {5}, {5}})},
      {"Softmax", {2, 3, 7}},
      {"Softmax", image, none, {{"axis", std::int64_t{1}}}, 1, 12},
  };
}

std::vector<ExecutorCase> moves() {
  const Shape image{1, 8, 6, 4};
  const auto pads = [](Network& net) {
    return std::vector<ValueId>{net.ints({0, 1, 2, 0, 0, 0, 1, 3}), net.scalar(1.5F)};
  };
  const auto doubled = [](Network& net) {
    return std::vector<ValueId>{kNone, net.floats({4}, {1, 1, 2, 2})};
  };
  const auto rows = [](Network& net) { return std::vector<ValueId>{net.ints({3, 0, 3})}; };
  return {
      {"Concat",
       image,
       random_constants({{1, 3, 6, 4}, {1, 1, 6, 4}}),
       {{"axis", std::int64_t{1}}}},
      {"Concat", image, random_constants({{1, 8, 2, 4}}), {{"axis", std::int64_t{-2}}}},
      {"Split", image, int_constants({{2, 5, 1}}), {{"axis", std::int64_t{1}}}, 3},
      {"Slice", image, int_constants({{1, 0}, {100, -1}, {1, 3}, {2, 1}})},
      {"Slice", image, int_constants({{-1}, {-100}, {3}, {-1}})},
      {"Pad", image, pads},
      {"Pad", image, int_constants({{0, 0, 2, 1, 0, 0, 1, 3}}), {{"mode", std::string("reflect")}}},
      {"Transpose", image, none, {{"perm", Ints{0, 2, 3, 1}}}},
      {"Transpose", {2, 6, 4, 3}, none, {{"perm", Ints{0, 3, 1, 2}}}},
      {"Transpose", image, none, {{"perm", Ints{3, 1, 0, 2}}}},
      {"DepthToSpace", image, none, {{"blocksize", std::int64_t{2}}}},
      {"SpaceToDepth", image, none, {{"blocksize", std::int64_t{2}}}},
      {"Resize", image, doubled, {{"mode", std::string("nearest")}}},
      {"Gather", image, rows, {{"axis", std::int64_t{2}}}},
      {"Expand", {1, 8, 1, 4}, int_constants({{2, 8, 3, 4}})},
      {"Tile", {1, 2, 3, 2}, int_constants({{2, 1, 2, 3}})},
      {"Reshape", image, int_constants({{4, -1}})},
      {"Flatten", image},
      {"Squeeze", image, int_constants({{0}})},
      {"Unsqueeze", {8, 6}, int_constants({{0, 3}})},
  };
}

std::string label(const testing::TestParamInfo<ExecutorCase>& info) {
  return info.param.op + std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(Convolutions, Accelerated, testing::ValuesIn(convolutions()), label);
INSTANTIATE_TEST_SUITE_P(Pools, Accelerated, testing::ValuesIn(pools()), label);
INSTANTIATE_TEST_SUITE_P(Products, Accelerated, testing::ValuesIn(products()), label);
INSTANTIATE_TEST_SUITE_P(Elementwise, Accelerated, testing::ValuesIn(elementwise()), label);
INSTANTIATE_TEST_SUITE_P(Moves, Accelerated, testing::ValuesIn(moves()), label);

/// The same nodes behind a convolution, so that their input stands channels-last.
class BehindConvolution : public testing::TestWithParam<ExecutorCase> {};

TEST_P(BehindConvolution, GivesWhatTheReferenceGives) {
  const ExecutorCase& c = GetParam();
  Network net(c.opset);
  const std::int64_t channels = c.input[1];
  Shape weights{channels, channels};
  weights.resize(c.input.size(), 1);
  const ValueId x = net.node("Conv", {net.input("x", c.input), net.random(weights)});
  std::vector<ValueId> inputs{x};
  for (ValueId v : c.constants(net)) inputs.push_back(v);
  expect_like_reference(net.finish(net.nodes(c.op, inputs, c.attributes, c.outputs)));
}

std::vector<ExecutorCase> on_images(std::vector<ExecutorCase> cases) {
  std::erase_if(cases,
                [](const ExecutorCase& c) { return c.input.size() != 3 && c.input.size() != 4; });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Elementwise, BehindConvolution,
                         testing::ValuesIn(on_images(elementwise())), label);
INSTANTIATE_TEST_SUITE_P(Moves, BehindConvolution, testing::ValuesIn(on_images(moves())), label);
INSTANTIATE_TEST_SUITE_P(Products, BehindConvolution, testing::ValuesIn(on_images(products())),
                         label);

TEST(Executor, RandomConvolutionsMatchTheReference) {
  Random random(5);
  const auto pick = [&](std::int64_t low, std::int64_t high) { return random.between(low, high); };
  for (int i = 0; i < 40; ++i) {
    const std::int64_t groups = pick(1, 3), in = groups * pick(1, 6), out = groups * pick(1, 9);
    const Ints kernel{pick(1, 4), pick(1, 4)}, dilations{pick(1, 2), pick(1, 2)};
    const Shape image{pick(1, 2), in, pick(8, 17), pick(8, 17)};
    Network net;
    const ValueId w = net.random({out, in / groups, kernel[0], kernel[1]});
    const ValueId y = net.node("Conv", {net.input("x", image), w, net.random({out})},
                               {{"group", groups},
                                {"dilations", dilations},
                                {"strides", Ints{pick(1, 3), pick(1, 3)}},
                                {"pads", Ints{pick(0, 2), pick(0, 2), pick(0, 2), pick(0, 2)}}});
    const Graph graph = net.finish({net.node("Relu", {y})});
    expect_like_reference(graph);
  }
}

/// A small network with a branch, a residual sum, a change of layout and an operator without a fast
/// path.
Graph branched_network() {
  Network net;
  const ValueId x = net.input("x", {1, 3, 16, 16});
  const ValueId a = net.node("Conv", {x, net.random({8, 3, 3, 3}), net.random({8})},
                             {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}});
  const ValueId b = net.node("Clip", {a, net.scalar(0), net.scalar(6)});
  const ValueId c = net.node("Conv", {b, net.random({8, 8, 1, 1})});
  const ValueId d = net.node("Add", {c, b});
  const ValueId e = net.node("Erf", {d});
  const ValueId f = net.node("Concat", {e, b}, {{"axis", std::int64_t{1}}});
  const ValueId g = net.node("GlobalAveragePool", {f});
  const ValueId h = net.node("Gemm", {net.node("Flatten", {g}), net.random({16, 5})});
  return net.finish({net.node("Softmax", {h}), d});
}

TEST(Executor, MixesFastAndReferenceKernels) { expect_like_reference(branched_network()); }

TEST(Executor, MultipliesTwoActivations) {
  Network net;
  const ValueId y = net.node("MatMul", {net.input("a", {2, 1, 4, 6}), net.input("b", {3, 6, 5})});
  const Graph graph = net.finish({y});
  expect_accelerated(graph);
  expect_like_reference(graph);
}

TEST(Executor, ScalesByAnActivationPerChannel) {
  Network net;
  const ValueId x = net.input("x", {2, 6, 5, 4});
  const ValueId y = net.node("Relu", {net.node("Conv", {x, net.random({6, 6, 3, 3})})});
  const ValueId gate = net.node("Sigmoid", {net.node("GlobalAveragePool", {y})});
  const Graph graph = net.finish({net.node("Mul", {y, gate})});
  expect_accelerated(graph);
  expect_like_reference(graph);
}

TEST(Executor, ObservesEveryFloatActivationOnceInOrderOfComputation) {
  const Graph graph = branched_network();
  Observed observed;
  executor_run(graph, random_inputs(graph), {}, &observed);
  std::vector<ValueId> expected(graph.inputs().begin(), graph.inputs().end());
  for (NodeId n : graph.topological_order())
    for (ValueId v : graph.node(n).outputs) expected.push_back(v);
  std::vector<ValueId> seen;
  for (const auto& [value, tensor] : observed) seen.push_back(value);
  EXPECT_EQ(seen, expected);
}

TEST(Executor, ShowsAValueThatIsReshapedAndOverwritten) {
  Network net;
  const ValueId x = net.node("Abs", {net.input("x", {2, 6})});
  const ValueId y = net.node("Neg", {x});
  const ValueId z = net.node("Reshape", {x, net.ints({3, 4})});
  expect_like_reference(net.finish({y, z}));
}

TEST(Executor, FusesOnlyWhatNobodyElseReads) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const ValueId a = net.node("Conv", {x, net.random({4, 3, 1, 1})});
  const ValueId b = net.node("Relu", {a});
  const ValueId c = net.node("Conv", {b, net.random({4, 4, 1, 1})});
  const ValueId d = net.node("Relu", {c});
  const Graph graph = net.finish({d, net.node("Add", {c, d})});
  Observed observed;
  executor_run(graph, random_inputs(graph), {.observe_all = false}, &observed);
  std::set<ValueId> seen;
  for (const auto& [value, tensor] : observed) seen.insert(value);
  EXPECT_FALSE(seen.contains(a));
  EXPECT_TRUE(seen.contains(b));
  EXPECT_TRUE(seen.contains(c));
}

TEST(Executor, ThreadsShareItAndAgreeToTheBit) {
  const Graph graph = branched_network();
  const Executor executor(graph);
  constexpr std::int64_t kImages = 24;
  const auto input_of = [&](std::int64_t i) {
    return random_inputs(graph, 100 + static_cast<std::uint64_t>(i));
  };
  std::vector<Tensor> expected;
  Executor::Workspace alone(executor);
  for (std::int64_t i = 0; i < kImages; ++i)
    expected.push_back(executor.run(input_of(i), alone)[0]);
  std::vector<Executor::Workspace> workspaces;
  for (int i = 0; i < thread_count(); ++i) workspaces.emplace_back(executor);
  std::vector<Tensor> actual(kImages);
  parallel_for(kImages, [&](std::int64_t i) {
    auto& workspace = workspaces[static_cast<std::size_t>(worker_index())];
    actual[static_cast<std::size_t>(i)] = executor.run(input_of(i), workspace)[0];
  });
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_TRUE(actual[i].equals(expected[i]));
}

TEST(Executor, ReusesTheMemoryOfValuesThatAreDone) {
  Network net;
  ValueId x = net.input("x", {1, 16, 32, 32});
  for (int i = 0; i < 10; ++i)
    x = net.node("Relu", {net.node("Conv", {x, net.random({16, 16, 1, 1})})});
  const Graph graph = net.finish({x});
  constexpr std::size_t kActivation = 16 * 32 * 32 * sizeof(float);
  EXPECT_LE(Executor(graph).workspace_bytes(), 2 * kActivation + 64 * 1024);
}

TEST(Executor, NanComesThroughActivations) {
  Network net;
  const ValueId x = net.input("x", {1, 37});
  const Graph graph = net.finish({net.node("Relu", {x}), net.node("LeakyRelu", {x}),
                                  net.node("Clip", {x, net.scalar(0), net.scalar(6)})});
  Tensor given(DType::Float32, {1, 37});
  for (std::size_t i : {std::size_t{3}, std::size_t{36}}) given.mutable_data<float>()[i] = NAN;
  for (const Tensor& out : executor_run(graph, {given}, {}))
    for (std::size_t i = 0; i < 37; ++i)
      EXPECT_EQ(std::isnan(out.data<float>()[i]), i == 3 || i == 36) << i;
}

TEST(Executor, KnownValuesAreComputedOnceAndShown) {
  Network net;
  const ValueId known = net.node("Add", {net.scalar(1), net.scalar(2)});
  const Graph graph = net.finish({net.node("Mul", {net.input("x", {2, 2}), known})});
  EXPECT_EQ(Executor(graph).describe().find("Add"), std::string::npos);
  expect_like_reference(graph);
}

TEST(Executor, InputsThatArePassedThroughComeBack) {
  Network net;
  const ValueId x = net.input("x", {2, 3});
  const Graph graph = net.finish({x, net.node("Identity", {x})});
  const auto inputs = random_inputs(graph);
  for (const Tensor& out : executor_run(graph, inputs, {})) EXPECT_TRUE(out.equals(inputs[0]));
}

TEST(Executor, EmptyTensorsAreLeftToTheReference) {
  Network net;
  const ValueId x = net.input("x", {0, 3});
  expect_like_reference(net.finish({net.node("Relu", {x})}));
}

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::Internal;
}

TEST(Executor, RefusesInputsThatDoNotFit) {
  const Graph graph = branched_network();
  const Executor executor(graph);
  Executor::Workspace workspace(executor);
  const auto run_with = [&](std::vector<Tensor> inputs) {
    return code_of([&] { executor.run(inputs, workspace); });
  };
  EXPECT_EQ(run_with({}), ErrorCode::BadData);
  EXPECT_EQ(run_with({random_tensor({1, 3, 16, 15}, 1)}), ErrorCode::BadData);
  EXPECT_EQ(run_with({Tensor(DType::Int8, {1, 3, 16, 16})}), ErrorCode::BadData);
}

TEST(Executor, RefusesAGraphWithoutShapes) {
  Graph graph;
  const ValueId x = graph.add_value("x", DType::Float32, Shape{1, 2});
  const ValueId y = graph.add_value("y", DType::Float32);
  graph.add_input(x);
  graph.add_node("Relu", "relu", {x}, {y});
  graph.add_output(y);
  EXPECT_EQ(code_of([&] { Executor executor(graph); }), ErrorCode::Unsupported);
}

TEST(Executor, NamesTheNodeThatItCannotRun) {
  Graph graph;
  const ValueId x = graph.add_value("x", DType::Float32, Shape{1, 2});
  const ValueId y = graph.add_value("y", DType::Float32, Shape{1, 2});
  graph.add_input(x);
  graph.add_node("Rellu", "odd one", {x}, {y});
  graph.add_output(y);
  try {
    const Executor executor(graph);
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::Unsupported);
    EXPECT_EQ(e.node(), "odd one");
  }
}

}  // namespace
}  // namespace espquant::ops
