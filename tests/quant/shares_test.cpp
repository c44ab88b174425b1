#include "quant/shares.h"

#include "quant/errors.h"
#include "quant/exponents.h"
#include "tests/quant/calibrated.h"

namespace espquant::quant {
namespace {

using test::Network;

/// `v` times 2^-log2, rounded anew.
ValueId shrunk(Network& n, ValueId v, int log2) {
  return n.node("Mul", {v, n.scalar(std::ldexp(1.0F, -log2))});
}

struct Shared {
  Graph graph;
  test::Calibrated calibrated;
  Shares shares;

  explicit Shared(Graph made, Method method = Method::Sqnr)
      : graph(std::move(made)),
        calibrated(test::calibrate(graph, settings(method), test::random_samples(graph, 8))),
        shares(graph, calibrated.plan, calibrated.calibration.statistics) {}

  static Settings settings(Method method) {
    Settings s = test::settings_for("esp32s3");
    s.method = method;
    return s;
  }
  double of_operand(ValueId v, ValueId result) const {
    return shares.of_operand(v, graph.value(result).producer);
  }
  int exponent_of(ValueId v) const {
    Graph copy = graph;
    const Settings s = settings(calibrated.plan.methods.front());
    const ActivationErrors errors(copy, calibrated.plan, calibrated.calibration.statistics);
    assign_activation_exponents(copy, calibrated.plan, errors,
                                Widths(copy, calibrated.plan.exponents, s),
                                std::vector<float>(copy.value_count(), 1.0F), s);
    return copy.value(v).quant->exponent();
  }
};

TEST(Shares, OperandsOfAnAddCountByTheirSignal) {
  Network n;
  const ValueId a = n.input("a", {1, 4, 60}), b = n.input("b", {1, 4, 60});
  const ValueId small = shrunk(n, b, 10), y = n.node("Add", {a, small});
  const Shared s(n.finish({y}));
  EXPECT_NEAR(s.shares.of(a), 1, 0.01);
  EXPECT_NEAR(s.shares.of(small), std::ldexp(1.0, -20), 1e-7);
  EXPECT_EQ(s.shares.of(y), 1);
  EXPECT_EQ(s.exponent_of(y), -7) << "the large one is not clipped";
}

TEST(Shares, WhatCancelsCountsByWhatIsLeft) {
  Network n;
  const ValueId a = n.input("a", {1, 64});
  const ValueId nearly = n.node("Mul", {a, n.scalar(0.75F)}), y = n.node("Sub", {a, nearly});
  const Shared s(n.finish({y}));
  EXPECT_NEAR(s.of_operand(nearly, y), 9, 0.01);
  EXPECT_NEAR(s.of_operand(a, y), 16, 0.01);
}

TEST(Shares, AnOperandReadElsewhereCountsFullyForItself) {
  Network n;
  const ValueId a = n.input("a", {1, 64}), b = n.input("b", {1, 64});
  const ValueId small = shrunk(n, b, 4), y = n.node("Add", {a, small});
  const Shared s(n.finish({y, n.node("Sigmoid", {small})}));
  EXPECT_EQ(s.shares.of(small), 1);
  EXPECT_LT(s.of_operand(small, y), 0.01);
}

TEST(Shares, AreFollowedThroughMovesActivationsAndFurtherSums) {
  Network n;
  const ValueId a = n.input("a", {1, 64}), b = n.input("b", {1, 64}), c = n.input("c", {64});
  const ValueId small = shrunk(n, b, 3), sum = n.node("Add", {a, small});
  const ValueId moved = n.node("Reshape", {sum, n.ints({64})});
  const ValueId smaller = shrunk(n, moved, 0);
  const ValueId y = n.node("Add", {c, n.node("Relu", {smaller})});
  const Shared s(n.finish({y}));
  EXPECT_NEAR(s.shares.of(small), std::ldexp(1.0, -6), 2e-3);
  EXPECT_LT(s.shares.of(smaller), 1);
}

TEST(Shares, PartsOfAConcatCountByWhatTheOutputShows) {
  Network n;
  const ValueId a = n.input("a", {1, 4, 6}), b = n.input("b", {1, 5, 6}),
                c = n.input("c", {1, 3, 6});
  const ValueId large = shrunk(n, a, -4), small = shrunk(n, b, 4);
  const ValueId y = n.node("Concat", {large, small, c}, {{"axis", std::int64_t{1}}});
  const Shared s(n.finish({y}));
  EXPECT_NEAR(s.shares.of(large) + s.shares.of(small) + s.shares.of(c), 1, 1e-6);
  EXPECT_GT(s.shares.of(large), 0.99);
  EXPECT_EQ(s.shares.of(y), 0) << "nothing is rounded once more";
  EXPECT_EQ(s.exponent_of(y), -3) << "16 fits";
}

TEST(Shares, PartsOfAConcatCountByTheWeightsThatTheyMeet) {
  for (const bool gemm : {false, true}) {
    Network n;
    const ValueId a = n.input("a", {1, 2, 3, 3}), b = n.input("b", {1, 2, 3, 3});
    const ValueId large = shrunk(n, a, -6), small = shrunk(n, b, 6);
    const ValueId both = n.node("Concat", {large, small}, {{"axis", std::int64_t{1}}});
    // Channels 0 and 1 hardly matter.
    std::vector<float> weights(static_cast<std::size_t>(gemm ? 36 * 5 : 5 * 4));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const bool first = gemm ? i / 5 < 18 : i % 4 < 2;
      weights[i] = first ? std::ldexp(1.0F, -20) : 1.0F;
    }
    const ValueId y = gemm ? n.node("Gemm", {n.node("Flatten", {both}), n.floats({36, 5}, weights)})
                           : n.node("Conv", {both, n.floats({5, 4, 1, 1}, weights)});
    const Shared s(n.finish({y}));
    EXPECT_GT(s.shares.of(small), 0.99) << (gemm ? "Gemm" : "Conv");
    EXPECT_LT(s.shares.of(large), 0.01);
  }
}

TEST(Shares, APartThatAReaderSeesAloneCountsFully) {
  Network n;
  const ValueId a = n.input("a", {1, 4}), b = n.input("b", {1, 4});
  const ValueId large = shrunk(n, a, -3), small = shrunk(n, b, 3);
  const ValueId both = n.node("Concat", {large, small}, {{"axis", std::int64_t{1}}});
  const ValueId back = n.node("Slice", {both, n.ints({4}), n.ints({8}), n.ints({1})});
  const Shared s(n.finish({n.node("Sigmoid", {back}), n.node("Tanh", {both})}));
  EXPECT_NEAR(s.shares.of(small), 1, 1e-6);
  EXPECT_GT(s.shares.of(large), 0.99);
}

}  // namespace
}  // namespace espquant::quant
