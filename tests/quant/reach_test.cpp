#include "quant/reach.h"

#include <cmath>

#include "tests/quant/calibrated.h"
#include "tests/support/errors.h"

namespace espquant::quant {
namespace {

using test::Network;

/// Two layers with a Clip between them; what is between is of that size.
Graph hidden_of_size(float size, float behind) {
  Network net;
  const ValueId x = net.input("x", {1, 4});
  const ValueId hidden =
      net.node("Gemm", {x, net.random({4, 6}, -size, size), net.random({6}, -size, size)});
  const ValueId capped = net.node("Clip", {hidden, net.scalar(0), net.scalar(size)});
  return net.finish({net.node("Gemm", {capped, net.random({6, 3}, -behind, behind)})});
}

calib::Statistics ranges_of(const Graph& graph) {
  return calib::scan(ops::Executor(graph), test::random_samples(graph, 8), 8);
}

TEST(BringIntoReach, ScalesWhatIsInsideANetwork) {
  for (const float size : {1e-20F, 1e-9F, 1e9F, 1e18F}) {
    SCOPED_TRACE(size);
    const Graph before = hidden_of_size(size, 1 / size);
    Graph after = before;
    EXPECT_EQ(bring_into_reach(after, ranges_of(before)), 1);
    verify(after, "scaled");
    const calib::Statistics ranges = ranges_of(after);
    for (NodeId id : after.topological_order())
      EXPECT_LE(std::abs(std::ilogb(ranges.of(after.node(id).outputs[0]).extent.abs_max())), 3);
    const std::vector<Tensor> x{test::random_tensor({1, 4}, 7)};
    test::expect_close(test::evaluate(after, x)[0], test::evaluate(before, x)[0], 1e-5, "y");
  }
}

TEST(BringIntoReach, LeavesOtherNetworksAlone) {
  for (const float size : {1e-3F, 1.0F, 1e4F}) {
    Graph graph = hidden_of_size(size, 1 / size);
    const std::string before = print(graph);
    EXPECT_EQ(bring_into_reach(graph, ranges_of(graph)), 0);
    EXPECT_EQ(print(graph), before);
  }
}

/// Of a network whose inputs are up to `range`.
Error refusal_of(const Graph& graph, float range, int bits) {
  Settings settings = test::settings_for("esp32s3");
  settings.bits = bits;
  const auto source = test::random_samples(graph, 4, -range, range);
  const calib::Statistics ranges = calib::scan(ops::Executor(graph), source, 4);
  const Plan plan = make_plan(graph, settings, ranges);
  const Widths widths(graph, plan.exponents, settings, plan.wide);
  return test::error_of([&] { refuse_out_of_reach(graph, plan, widths, ranges); });
}

/// One layer that multiplies by about `factor`, or a Sigmoid of it.
Graph one_layer(float factor, bool sigmoid = false) {
  Network net;
  const ValueId x = net.input("x", {1, 4});
  const ValueId y = net.node("Gemm", {x, net.random({4, 3}, -factor, factor)});
  return net.finish({sigmoid ? net.node("Sigmoid", {y}) : y});
}

TEST(RefuseOutOfReach, InputsAndOutputsThatNoExponentFits) {
  const auto expect_refusal = [](const Error& error, const char* tensor, const char* remedy) {
    EXPECT_EQ(error.code(), ErrorCode::Illegal);
    EXPECT_EQ(error.node(), "Gemm");
    EXPECT_EQ(error.tensor(), tensor);
    EXPECT_NE(error.remedy().find(remedy), std::string::npos) << error.what();
  };
  for (int bits : {8, 16}) {
    expect_refusal(refusal_of(one_layer(1), 1e-10F, bits), "x", "Multiply it");
    expect_refusal(refusal_of(one_layer(1), 1e14F, bits), "x", "Divide it");
    expect_refusal(refusal_of(one_layer(1e-10F), 1, bits), "Gemm_out", "Multiply the weights");
    expect_refusal(refusal_of(one_layer(1e15F), 1, bits), "Gemm_out", "Divide the weights");
  }
  // 16 bits reach further.
  expect_refusal(refusal_of(one_layer(1), 1e12F, 8), "x", "Divide it");
}

TEST(RefuseOutOfReach, NothingElse) {
  const auto pass = [](const Graph& graph, float range, int bits) {
    Settings settings = test::settings_for("esp32s3");
    settings.bits = bits;
    const auto source = test::random_samples(graph, 4, -range, range);
    const calib::Statistics ranges = calib::scan(ops::Executor(graph), source, 4);
    const Plan plan = make_plan(graph, settings, ranges);
    refuse_out_of_reach(graph, plan, Widths(graph, plan.exponents, settings, plan.wide), ranges);
  };
  for (int bits : {8, 16}) {
    EXPECT_NO_THROW(pass(one_layer(1), 1, bits));
    EXPECT_NO_THROW(pass(one_layer(1e-3F), 1e-3F, bits));
    EXPECT_NO_THROW(pass(one_layer(1e4F), 1e4F, bits));
    // Almost nothing of a Sigmoid is 0.
    EXPECT_NO_THROW(pass(one_layer(60, true), 1, bits));
    EXPECT_NO_THROW(pass(one_layer(0), 1, bits));
  }
  EXPECT_NO_THROW(pass(one_layer(1), 1e12F, 16));
}

}  // namespace
}  // namespace espquant::quant
