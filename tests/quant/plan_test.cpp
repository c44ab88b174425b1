#include "quant/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "quant/errors.h"
#include "tests/quant/calibrated.h"
#include "tests/support/errors.h"

namespace espquant::quant {
namespace {

using test::Network;

std::size_t at(ValueId v) { return static_cast<std::size_t>(v); }

/// Sigmoid keeps its neighbours from being scaled: x, y and z have windows of whole octaves.
struct OneCurve {
  Network net;
  ValueId x = net.input("x", {1, 4, 6, 6});
  ValueId y = net.node("Conv", {x, net.random({4, 4, 1, 1})});
  ValueId z = net.node("Sigmoid", {y});
  ValueId last = net.node("Conv", {z, net.random({4, 4, 1, 1})});
  Graph graph = net.finish({last});
};

Plan plan_for(const Graph& graph, const Settings& settings, float range = 1) {
  const ops::Executor executor(graph);
  return make_plan(graph, settings,
                   calib::scan(executor, test::random_samples(graph, 4, -range, range), 4));
}

TEST(Plan, WindowsAreOctavesAroundTheRange) {
  const OneCurve n;
  const Plan plan = plan_for(n.graph, test::settings_for("esp32s3"));
  const auto& steps = plan.requests[at(n.x)].steps;
  // 2^-7 * 127 < 1 is the largest |x| nearly surely seen, so 2^-7 or 2^-6 covers it.
  ASSERT_EQ(steps.size(), 6u);
  for (std::size_t i = 1; i < steps.size(); ++i) EXPECT_EQ(steps[i] * 2, steps[i - 1]);
  EXPECT_EQ(steps.front(), std::exp2(-5.0F));
}

TEST(Plan, WindowsOfScalableTensorsHaveFourStepsPerOctave) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId y = net.node("Relu", {net.node("Conv", {x, net.random({4, 4, 1, 1})})});
  const ValueId z = net.node("Conv", {y, net.random({4, 4, 1, 1})});
  const Graph graph = net.finish({z});
  Settings settings = test::settings_for("esp32s3");
  const auto free = plan_for(graph, settings).requests[at(y)].steps;
  ASSERT_EQ(free.size(), 5u * kFactorsPerOctave + 1);
  EXPECT_NEAR(free[0] / free[kFactorsPerOctave], 2, 1e-6);
  settings.scale_layers = false;
  EXPECT_EQ(plan_for(graph, settings).requests[at(y)].steps.size(), 6u);
}

struct Capped {
  Network net;
  ValueId x = net.input("x", {1, 4, 6, 6});
  ValueId a = cap(net.node("Conv", {x, net.random({4, 4, 1, 1})}));
  ValueId b = cap(net.node("Conv", {x, net.random({4, 4, 1, 1})}));
  ValueId sum = net.node("Add", {a, b});
  ValueId last = net.node("Conv", {sum, net.random({4, 4, 1, 1})});
  Graph graph = net.finish({last});

  ValueId cap(ValueId v) { return net.node("Clip", {v, net.scalar(0), net.scalar(6)}); }
};

TEST(Plan, AWindowUnderACapPutsItOnTheLargestInteger) {
  const Capped n;
  const Plan plan = plan_for(n.graph, test::settings_for("esp32s3"), 30);
  EXPECT_EQ(plan.cap[at(plan.scales.sets.find(n.a))], 6);
  EXPECT_FLOAT_EQ(plan.requests[at(n.a)].steps.front(), 6.0F / 127);
}

TEST(Plan, AWindowUnderACapReachesWhatPassesTheCap) {
  const Capped n;
  const Settings settings = test::settings_for("esp32s3");
  const auto c = test::calibrate(n.graph, settings, test::random_samples(n.graph, 8, -30, 30));
  ASSERT_GT(c.calibration.statistics.of(n.sum).extent.max, 11) << "the sum of two caps";
  EXPECT_GE(c.plan.requests[at(n.sum)].steps.front() * 127, 12 * 0.999F);
}

TEST(Plan, WhatIsOnlyMovedOrNeverWrittenIsNotRounded) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId y = net.node("Conv", {x, net.random({4, 4, 1, 1})});
  const ValueId relu = net.node("Relu", {y});
  const ValueId flat = net.node("Flatten", {relu});
  const Graph graph = net.finish({flat});
  const Plan plan = plan_for(graph, test::settings_for("esp32s3"));
  EXPECT_TRUE(plan.rounded[at(x)]);
  EXPECT_FALSE(plan.rounded[at(y)]);
  EXPECT_TRUE(plan.rounded[at(relu)]);
  EXPECT_FALSE(plan.rounded[at(flat)]);
}

TEST(Plan, ResultsAreOutputsAndTheScoresOfASoftmaxThatIsOne) {
  Network net;
  const ValueId x = net.input("x", {1, 8});
  const ValueId hidden = net.node("Gemm", {x, net.random({8, 8})});
  const ValueId attention = net.node("Softmax", {hidden});
  const ValueId scores = net.node("Gemm", {attention, net.random({8, 8})});
  const ValueId softmax = net.node("Softmax", {scores});
  const ValueId shaped = net.node("Reshape", {softmax, net.ints({8})});
  const Graph graph = net.finish({shaped});
  const Plan plan = plan_for(graph, test::settings_for("esp32s3"));
  for (ValueId v : {scores, softmax, shaped}) EXPECT_TRUE(plan.results[at(v)]);
  for (ValueId v : {x, hidden, attention}) EXPECT_FALSE(plan.results[at(v)]);
  EXPECT_EQ(plan.methods[at(scores)], Method::Sqnr) << "weighed by their size";
  EXPECT_TRUE(plan.requests[at(scores)].weighted_errors);
  EXPECT_EQ(plan.methods[at(hidden)], Method::Auto);
  EXPECT_TRUE(plan.uses(Method::Auto));
  EXPECT_FALSE(plan.uses(Method::Entropy));
}

TEST(Plan, EntropyLeavesTheNetworksInputsWhole) {
  Network net;
  const ValueId x = net.input("x", {1, 8});
  const ValueId y = net.node("Gemm", {x, net.random({8, 8})});
  const Graph graph = net.finish({y});
  Settings settings = test::settings_for("esp32s3");
  settings.method = Method::Entropy;
  const Plan plan = plan_for(graph, settings);
  EXPECT_EQ(plan.methods[at(x)], Method::MinMax);
  EXPECT_EQ(plan.methods[at(y)], Method::Entropy);
}

TEST(Plan, MethodsOfLayersGoToTheActivationBehindThem) {
  Network net;
  const ValueId x = net.input("x", {1, 8});
  const ValueId relu = net.node("Relu", {net.node("Gemm", {x, net.random({8, 8})})});
  const Graph graph = net.finish({net.node("Gemm", {relu, net.random({8, 8})})});
  Settings settings = test::settings_for("esp32s3");
  settings.method = Method::Mse;
  settings.layer_methods = {{"Gemm", Method::Percentile}};
  settings.layer_percentiles = {{"Gemm", 98.0}};
  const Plan plan = plan_for(graph, settings);
  EXPECT_EQ(plan.methods[at(relu)], Method::Percentile);
  EXPECT_EQ(plan.percentiles[at(relu)], 98);
  EXPECT_TRUE(plan.requests[at(relu)].histogram);
  EXPECT_EQ(plan.methods[at(x)], Method::Mse);
  settings.layer_percentiles = {{"Gemm", 120.0}};
  EXPECT_EQ(test::error_of([&] { plan_for(graph, settings); }).code(), ErrorCode::Usage);
}

TEST(Plan, MeansAreGatheredForBiasCorrection) {
  const OneCurve n;
  Settings settings = test::settings_for("esp32s3");
  const Plan with = plan_for(n.graph, settings);
  EXPECT_TRUE(with.requests[at(n.x)].mean);
  EXPECT_FALSE(with.requests[at(n.y)].mean) << "read by no layer with weights";
  settings.bias_correction = false;
  EXPECT_FALSE(plan_for(n.graph, settings).requests[at(n.x)].mean);
}

TEST(WidenPlan, MovesWindowsThatLaterSamplesLeft) {
  const OneCurve n;
  const Settings settings = test::settings_for("esp32s3");
  const ops::Executor executor(n.graph);
  const auto tame = test::random_samples(n.graph, 4),
             wild = test::random_samples(n.graph, 4, -50, 50);
  Plan plan = make_plan(n.graph, settings, calib::scan(executor, tame, 4));
  const float covered = plan.requests[at(n.x)].steps.front() * 127;
  ASSERT_LT(covered, 50);
  EXPECT_FALSE(widen_plan(plan, settings, calib::gather(executor, tame, plan.requests)));
  EXPECT_TRUE(widen_plan(plan, settings, calib::gather(executor, wild, plan.requests)));
  EXPECT_GT(plan.requests[at(n.x)].steps.front() * 127, 50);
  EXPECT_FALSE(widen_plan(plan, settings, calib::gather(executor, wild, plan.requests)))
      << "one more pass settles it";
}

TEST(WidenPlan, MovesWindowsUnderACap) {
  const Capped n;
  const Settings settings = test::settings_for("esp32s3");
  const ops::Executor executor(n.graph);
  const auto tame = test::random_samples(n.graph, 4, -1, 1),
             wild = test::random_samples(n.graph, 4, -30, 30);
  Plan plan = make_plan(n.graph, settings, calib::scan(executor, tame, 4));
  while (widen_plan(plan, settings, calib::gather(executor, wild, plan.requests))) {
  }
  EXPECT_GE(plan.requests[at(n.sum)].steps.front() * 127, 12 * 0.999F);
  EXPECT_FLOAT_EQ(plan.requests[at(n.a)].steps.front(), 6.0F / 127);
}

TEST(Errors, AreThoseOfTheRoundedTensor) {
  const OneCurve n;
  Settings settings = test::settings_for("esp32s3");
  settings.method = Method::Mse;
  const auto source = test::random_samples(n.graph, 4);
  const auto c = test::calibrate(n.graph, settings, source);
  const ActivationErrors errors(n.graph, c.plan, c.calibration.statistics);
  double error = 0, signal = 0;
  for (std::int64_t i = 0; i < source.count; ++i) {
    const Tensor sample = source.sample(i)[0];
    for (const float x : sample.data<float>()) {
      const double q = std::clamp(std::nearbyint(static_cast<double>(x) * 256), -128.0, 127.0);
      error += std::pow(x - q / 256, 2);
      signal += static_cast<double>(x) * static_cast<double>(x);
    }
  }
  EXPECT_NEAR(errors.relative(n.x, 1, -8, 8), error / signal, 1e-4 * error / signal);
  EXPECT_DOUBLE_EQ(errors.relative(n.x, 2, -7, 8), errors.relative(n.x, 1, -8, 8))
      << "a factor moves the grid";
}

TEST(Errors, BesideTheWindowAreRoundingNoiseOrInfinite) {
  const OneCurve n;
  const auto c =
      test::calibrate(n.graph, test::settings_for("esp32s3"), test::random_samples(n.graph, 4));
  const ActivationErrors errors(n.graph, c.plan, c.calibration.statistics);
  const auto& s = c.calibration.statistics.of(n.x);
  EXPECT_DOUBLE_EQ(errors.relative(n.x, 1, 0, 8),
                   static_cast<double>(s.count) / 12 / s.sum_squares);
  EXPECT_TRUE(std::isinf(errors.relative(n.x, 1, -20, 8)));
}

TEST(Errors, At16BitsTheRangeIsCovered) {
  const OneCurve n;
  const auto c =
      test::calibrate(n.graph, test::settings_for("esp32s3"), test::random_samples(n.graph, 4));
  const ActivationErrors errors(n.graph, c.plan, c.calibration.statistics);
  const std::vector<ValueId> members = {n.x};
  const auto best = errors.best(errors.members(members), 1, 16);
  ASSERT_TRUE(best.found);
  EXPECT_EQ(best.exponent, -15);
  EXPECT_TRUE(std::isinf(errors.relative(n.x, 1, -16, 16)));
  EXPECT_TRUE(std::isfinite(errors.relative(n.x, 1, -15, 16)));
}

TEST(Errors, ThresholdsTakeTheLargestExponentThatAMemberAsksFor) {
  const OneCurve n;
  Settings settings = test::settings_for("esp32s3");
  settings.method = Method::MinMax;
  const auto c = test::calibrate(n.graph, settings, test::random_samples(n.graph, 4, -20, 20));
  const ActivationErrors errors(n.graph, c.plan, c.calibration.statistics);
  const std::vector<ValueId> wide = {n.x}, narrow = {n.z}, both = {n.z, n.x};
  EXPECT_EQ(errors.best(errors.members(wide), 1, 8).exponent, -2) << "20 / 127 < 2^-2";
  EXPECT_EQ(errors.best(errors.members(narrow), 1, 8).exponent, -6) << "1 / 127 > 2^-7";
  EXPECT_EQ(errors.best(errors.members(both), 1, 8).exponent, -2);
}

TEST(Errors, OfATensorWithoutSignalAreZeroAndChooseNothing) {
  const OneCurve n;
  const auto c = test::calibrate(n.graph, test::settings_for("esp32s3"),
                                 test::random_samples(n.graph, 2, 0, 0));
  const ActivationErrors errors(n.graph, c.plan, c.calibration.statistics);
  const std::vector<ValueId> members = {n.x};
  EXPECT_EQ(errors.relative(n.x, 1, -7, 8), 0);
  EXPECT_FALSE(errors.best(errors.members(members), 1, 8).found);
}

}  // namespace
}  // namespace espquant::quant
