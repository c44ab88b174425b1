#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "passes/passes.h"
#include "passes/softmax_masks.h"
#include "tests/support/network.h"

namespace espquant::passes {
namespace {

using test::Ints;
using test::Network;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// Adds the masked scores behind `x`, of shape 1,2,4,4.
using MaskScores = std::function<ValueId(Network&, ValueId)>;

std::vector<float> causal(float masked) {
  std::vector<float> mask;
  for (int row = 0; row < 4; ++row)
    for (int column = 0; column < 4; ++column) mask.push_back(column > row ? masked : 0);
  return mask;
}

Tensor causal_flags() {
  Tensor t(DType::Bool, {4, 4});
  auto data = t.mutable_data<bool>();
  for (std::size_t i = 0; i < 16; ++i) data[i] = i % 4 <= i / 4;
  return t;
}

struct MaskCase {
  const char* name;
  MaskScores build;
};

std::vector<MaskCase> mask_cases() {
  const auto added = [](float masked) {
    return [masked](Network& net, ValueId x) {
      return net.node("Add", {x, net.floats({4, 4}, causal(masked))});
    };
  };
  return {
      {"-1e9", added(-1e9F)},
      {"-1e4", added(-1e4F)},
      {"float's lowest", added(std::numeric_limits<float>::lowest())},
      {"-infinity", added(kMinusInfinity)},
      {"-infinity on the left",
       [](Network& net, ValueId x) {
         return net.node("Add", {net.floats({1, 1, 4, 4}, causal(kMinusInfinity)), x});
       }},
      {"subtracted",
       [](Network& net, ValueId x) {
         return net.node("Sub", {x, net.floats({4, 4}, causal(1e9F))});
       }},
      {"padding",
       [](Network& net, ValueId x) {
         return net.node("Add", {x, net.floats({1, 1, 1, 4}, {0, 0, -1e9F, -1e9F})});
       }},
      {"two masks",
       [](Network& net, ValueId x) {
         const ValueId y = net.node("Add", {x, net.floats({4, 4}, causal(-1e9F))});
         return net.node("Add", {y, net.floats({1, 1, 1, 4}, {0, -1e9F, 0, 0})});
       }},
      {"masked and scaled",
       [](Network& net, ValueId x) {
         const ValueId y = net.node("Add", {x, net.floats({4, 4}, causal(-1e9F))});
         return net.node("Mul", {y, net.scalar(0.125F)});
       }},
      {"scaled and masked",
       [](Network& net, ValueId x) {
         const ValueId y = net.node("Div", {x, net.scalar(8)});
         return net.node("Add", {y, net.floats({4, 4}, causal(-1e9F))});
       }},
      {"Where",
       [](Network& net, ValueId x) {
         return net.node("Where", {net.constant(causal_flags()), x, net.scalar(-1e9F)});
       }},
      {"Where of -infinity",
       [](Network& net, ValueId x) {
         const ValueId not_flags = net.node("Not", {net.constant(causal_flags())});
         return net.node("Where", {not_flags, net.scalar(kMinusInfinity), x});
       }},
      {"a product with the mask",
       [](Network& net, ValueId x) {
         const ValueId y = net.node("Mul", {x, net.floats({4, 4}, causal(1))});
         std::vector<float> lower = causal(0);
         for (std::size_t i = 0; i < 16; ++i) lower[i] = i % 4 > i / 4 ? -1e9F : 0;
         return net.node("Add", {y, net.floats({4, 4}, lower)});
       }},
      {"behind a Transpose and a Reshape",
       [](Network& net, ValueId x) {
         const ValueId y = net.node("Add", {x, net.floats({4, 4}, causal(-1e9F))});
         const ValueId z = net.node("Transpose", {y}, {{"perm", Ints{0, 2, 1, 3}}});
         return net.node("Reshape", {z, net.ints({8, 4})});
       }},
  };
}

Graph masked_network(const MaskScores& build, std::int64_t axis = -1) {
  Network net;
  const ValueId x = net.input("x", {1, 2, 4, 4});
  return net.finish({net.node("Softmax", {build(net, x)}, {{"axis", axis}})});
}

Graph simplified_masks(Graph graph) {
  fold_constants(graph);
  bound_masks(graph);
  graph.remove_dead();
  ops::infer_shapes(graph);
  verify(graph, "bound_masks");
  return graph;
}

float least_constant(const Graph& graph) {
  float least = 0;
  for (std::size_t v = 0; v < graph.value_count(); ++v) {
    const Value& value = graph.value(static_cast<ValueId>(v));
    if (!value.is_constant() || value.dtype != DType::Float32 || value.consumers.empty()) continue;
    for (float x : value.constant.data<float>()) least = std::min(least, x);
  }
  return least;
}

void expect_near(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  const auto a = actual[0].data<float>(), e = expected[0].data<float>();
  ASSERT_EQ(a.size(), e.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], e[i], 1e-6) << i;
}

std::vector<MaskPlace> places_of(const Graph& graph) {
  for (NodeId id : graph.topological_order())
    if (graph.node(id).op == "Softmax") return mask_places(graph, id);
  return {};
}

TEST(BoundMasks, KeepWhatIsComputedAndAreFiniteAndSmall) {
  for (const MaskCase& c : mask_cases()) {
    SCOPED_TRACE(c.name);
    const Graph before = masked_network(c.build);
    const Graph after = simplified_masks(before);
    const std::vector<Tensor> x{test::random_tensor({1, 2, 4, 4}, 3, -8, 8)};
    expect_near(test::evaluate(after, x), test::evaluate(before, x));
    EXPECT_GE(least_constant(after), -8001);
    const std::vector<MaskPlace> places = places_of(after);
    ASSERT_EQ(places.size(), 1U);
    EXPECT_EQ(after.node(places[0].node).op, "Add");
  }
}

TEST(BoundMasks, RunOverAnyAxis) {
  const auto build = [](Network& net, ValueId x) {
    std::vector<float> mask(16, 0);
    for (std::size_t i = 0; i < 8; ++i) mask[i] = -1e9F;
    return net.node("Add", {x, net.floats({4, 4}, mask)});
  };
  const Graph before = masked_network(build, 2);
  const Graph after = simplified_masks(before);
  const std::vector<Tensor> x{test::random_tensor({1, 2, 4, 4}, 4, -8, 8)};
  expect_near(test::evaluate(after, x), test::evaluate(before, x));
  EXPECT_GE(least_constant(after), -1001);
}

TEST(BoundMasks, MayHaveMoreAxesThanTheScores) {
  Network net;
  const ValueId x = net.input("x", {4, 4});
  const ValueId sum = net.node("Add", {x, net.floats({1, 1, 4, 4}, causal(-1e9F))});
  const Graph before = net.finish({net.node("Softmax", {sum})});
  const Graph after = simplified_masks(before);
  const std::vector<Tensor> scores{test::random_tensor({4, 4}, 3, -8, 8)};
  expect_near(test::evaluate(after, scores), test::evaluate(before, scores));
  EXPECT_GE(least_constant(after), -1001);
}

TEST(BoundMasks, LeaveLogSoftmaxAlone) {
  Network net;
  const ValueId x = net.input("x", {1, 4});
  const ValueId sum = net.node("Add", {x, net.floats({4}, {0, -1e9F, 0, 0})});
  Graph graph = net.finish({net.node("LogSoftmax", {sum})});
  EXPECT_EQ(bound_masks(graph), 0);
}

TEST(BoundMasks, ARowThatIsMaskedThroughoutStaysFinite) {
  for (float masked : {-1e9F, kMinusInfinity}) {
    const auto build = [&](Network& net, ValueId x) {
      std::vector<float> mask = causal(masked);
      std::fill_n(mask.begin(), 4, masked);
      return net.node("Add", {x, net.floats({4, 4}, mask)});
    };
    const Graph after = simplified_masks(masked_network(build));
    const auto y = test::evaluate(after, {test::random_tensor({1, 2, 4, 4}, 5, -8, 8)});
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(y[0].data<float>()[i], 0.25, 1e-6);
  }
}

TEST(BoundMasks, LeaveBiasesAlone) {
  const auto build = [](Network& net, ValueId x) {
    return net.node("Add", {x, net.floats({1, 4}, {0, -2.5F, -30, 4})});
  };
  Graph graph = masked_network(build);
  EXPECT_EQ(bound_masks(graph), 0);
}

TEST(BoundMasks, LeaveScoresThatAreReadElsewhere) {
  Network net;
  const ValueId x = net.input("x", {1, 4});
  const ValueId sum = net.node("Add", {x, net.floats({4}, {0, -1e9F, 0, 0})});
  Graph graph = net.finish({net.node("Softmax", {sum}), sum});
  EXPECT_EQ(bound_masks(graph), 0);
}

TEST(BoundMasks, AreDoneOnce) {
  for (const MaskCase& c : mask_cases()) {
    Graph graph = simplified_masks(masked_network(c.build));
    EXPECT_EQ(bound_masks(graph), 0) << c.name;
  }
}

TEST(BoundMasks, TheScaleBeforeAMaskTakesTheMaskIn) {
  const Graph graph = simplified_masks(masked_network(mask_cases()[9].build));
  EXPECT_EQ(graph.topological_order().size(), 3U);
}

}  // namespace
}  // namespace espquant::passes
