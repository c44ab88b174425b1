#include <gtest/gtest.h>

#include "passes/single_batch.h"
#include "tests/passes/run_pass.h"

namespace espquant::passes {
namespace {

using test::after_pass;
using test::AttributeList;
using test::Network;

constexpr std::int64_t kHidden = 4, kFeatures = 3;

/// A layer and its inputs; every output is one of the network's.
struct RecurrentLayer {
  std::string op;
  std::int64_t steps = 3, batch = 1, directions = 1;
  AttributeList attributes = {};
  bool states = false, peepholes = false, batch_first = false;

  Graph graph() const {
    Network n;
    const std::int64_t rows = (op == "LSTM" ? 4 : 3) * kHidden;
    const ValueId x = batch_first ? n.input("x", {batch, steps, kFeatures})
                                  : n.input("x", {steps, batch, kFeatures});
    const Shape state =
        batch_first ? Shape{batch, directions, kHidden} : Shape{directions, batch, kHidden};
    std::vector<ValueId> inputs{x, n.random({directions, rows, kFeatures}),
                                n.random({directions, rows, kHidden}),
                                n.random({directions, 2 * rows}), kNone};
    inputs.push_back(states ? n.input("h", state) : kNone);
    if (op == "LSTM") {
      inputs.push_back(states ? n.input("cell", state) : kNone);
      if (peepholes) inputs.push_back(n.random({directions, 3 * kHidden}));
    }
    AttributeList all = attributes;
    all.emplace_back("hidden_size", kHidden);
    if (directions == 2) all.emplace_back("direction", std::string("bidirectional"));
    if (batch_first) all.emplace_back("layout", std::int64_t{1});
    return n.finish(n.nodes(op, inputs, all, op == "LSTM" ? 3 : 2));
  }
};

const AttributeList kReverse = {{"direction", std::string("reverse")}};
const AttributeList kResetAfter = {{"linear_before_reset", std::int64_t{1}}};

TEST(PlainRecurrent, ReverseIsForwardOverTheReversedSequence) {
  for (const char* op : {"LSTM", "GRU"}) {
    const Graph graph = after_pass(
        plain_recurrent, RecurrentLayer{.op = op, .attributes = kReverse, .states = true}.graph());
    const Node& layer = test::the_node(graph, op);
    EXPECT_EQ(layer.attributes.get_string("direction", ""), "forward");
    EXPECT_EQ(test::operators_of(graph), (test::Operators{"Slice", op, "Slice"}));
  }
}

TEST(PlainRecurrent, OfOneStepNothingIsReversed) {
  const Graph graph = after_pass(
      plain_recurrent, RecurrentLayer{.op = "GRU", .steps = 1, .attributes = kReverse}.graph());
  EXPECT_EQ(test::operators_of(graph), test::Operators{"GRU"});
}

TEST(PlainRecurrent, PutsStepsInFrontOfTheBatch) {
  for (const std::int64_t batch : {1, 2}) {
    const Graph graph = after_pass(
        plain_recurrent,
        RecurrentLayer{
            .op = "LSTM", .batch = batch, .directions = 2, .states = true, .batch_first = true}
            .graph());
    EXPECT_EQ(test::the_node(graph, "LSTM").attributes.get_int("layout", 0), 0);
  }
}

TEST(PlainRecurrent, DropsLengthsThatSayAllSteps) {
  Network n;
  const ValueId lengths = n.constant(Tensor::of<std::int32_t>({1}, {3}));
  const auto y = n.nodes("GRU",
                         {n.input("x", {3, 1, kFeatures}), n.random({1, 12, kFeatures}),
                          n.random({1, 12, kHidden}), kNone, lengths},
                         {{"hidden_size", kHidden}}, 1);
  const Graph graph = after_pass(plain_recurrent, n.finish(y));
  EXPECT_EQ(test::the_node(graph, "GRU").input(4), kNone);
}

TEST(UnrollRecurrent, WritesWhatTheChipLacksAsOperators) {
  const AttributeList other = {
      {"activations", std::vector<std::string>{"HardSigmoid", "Relu", "Tanh"}},
      {"activation_alpha", std::vector<float>{0.25F}}};
  const AttributeList other_gru = {{"activations", std::vector<std::string>{"Sigmoid", "Relu"}}};
  for (const RecurrentLayer& layer :
       {RecurrentLayer{.op = "LSTM", .batch = 9, .states = true},
        RecurrentLayer{.op = "LSTM", .batch = 9, .directions = 2},
        RecurrentLayer{.op = "LSTM", .attributes = {{"clip", 0.5F}}},
        RecurrentLayer{.op = "LSTM", .attributes = {{"input_forget", std::int64_t{1}}}},
        RecurrentLayer{.op = "LSTM", .attributes = other},
        RecurrentLayer{.op = "LSTM", .directions = 2, .states = true, .peepholes = true},
        RecurrentLayer{.op = "LSTM", .steps = 1, .peepholes = true},
        RecurrentLayer{.op = "GRU", .states = true}, RecurrentLayer{.op = "GRU"},
        RecurrentLayer{.op = "GRU", .batch = 9, .directions = 2, .attributes = kResetAfter},
        RecurrentLayer{.op = "GRU", .batch = 9, .attributes = kResetAfter, .states = true},
        RecurrentLayer{.op = "LSTM", .attributes = {{"unroll", std::int64_t{1}}}},
        RecurrentLayer{.op = "GRU", .steps = 1, .attributes = other_gru, .states = true}}) {
    const Graph graph = after_pass(unroll_recurrent, layer.graph());
    for (const std::string& op : test::operators_of(graph)) EXPECT_NE(op, layer.op);
  }
}

TEST(UnrollRecurrent, EveryEntryOfASmallBatchHasItsLayer) {
  for (const RecurrentLayer& layer :
       {RecurrentLayer{.op = "LSTM", .steps = 90, .batch = 2, .directions = 2, .states = true},
        RecurrentLayer{.op = "GRU", .batch = 3, .attributes = kResetAfter}}) {
    const test::Operators made = test::operators_of(after_pass(unroll_recurrent, layer.graph()));
    EXPECT_EQ(std::count(made.begin(), made.end(), layer.op), layer.batch);
  }
}

TEST(UnrollRecurrent, LeavesWhatTheChipRunsAndWhatIsTooLong) {
  test::expect_untouched(unroll_recurrent,
                         RecurrentLayer{.op = "GRU", .attributes = kResetAfter}.graph());
  test::expect_untouched(unroll_recurrent, RecurrentLayer{.op = "LSTM", .directions = 2}.graph());
  test::expect_untouched(unroll_recurrent, RecurrentLayer{.op = "GRU", .steps = 500}.graph());
}

TEST(SingleBatch, SamplesThatDoNotMeetBecomeOne) {
  Network n;
  const ValueId x = n.input("x", {4, 2, 3});
  const ValueId flat = n.node("Reshape", {x, n.ints({4, 6})});
  Graph graph = n.finish({n.node("Gemm", {flat, n.random({6, 5})})});
  EXPECT_EQ(set_batch_to_one(graph), 4);
  EXPECT_EQ(*graph.value(graph.inputs()[0]).shape, (Shape{1, 2, 3}));
  EXPECT_EQ(*graph.value(graph.outputs()[0]).shape, (Shape{1, 5}));
}

TEST(SingleBatch, IsTheSecondAxisOfARecurrentLayer) {
  Graph graph =
      RecurrentLayer{.op = "LSTM", .steps = 3, .batch = 2, .directions = 1, .states = true}.graph();
  EXPECT_EQ(set_batch_to_one(graph), 2);
  EXPECT_EQ(*graph.value(graph.inputs()[0]).shape, (Shape{3, 1, kFeatures}));
  EXPECT_EQ(*graph.value(graph.inputs()[1]).shape, (Shape{1, 1, kHidden}));
}

TEST(SingleBatch, StaysWhereSamplesMeet) {
  Network n;
  const ValueId x = n.input("x", {4, 3});
  Graph graph = n.finish({n.node("Softmax", {x}, {{"axis", std::int64_t{0}}})});
  EXPECT_EQ(set_batch_to_one(graph), 1);
  EXPECT_EQ(*graph.value(graph.inputs()[0]).shape, (Shape{4, 3}));
}

}  // namespace
}  // namespace espquant::passes
