#include "strategy/wide_notes.h"

#include <gtest/gtest.h>

#include "measure/simulate.h"
#include "passes/pass_manager.h"
#include "strategy/quantize_model.h"
#include "tests/quant/detector.h"

namespace espquant::strategy {
namespace {

constexpr std::int64_t kSamples = 64;
constexpr std::size_t kRow = 8;  // 4 of a box, objectness, 3 classes

QuantizedModel quantize_detector(const Graph& network, quant::Method method,
                                 const char* target = "esp32s3") {
  QuantizeOptions options;
  options.recipe = recipe::find_recipe("int8");
  options.recipe.calibration.method = method;
  options.target = &find_target(target);
  return quantize_model(network, test::random_samples(network, kSamples), options);
}

/// Rows whose objectness times the best class is above `least`.
std::vector<std::size_t> hits(std::span<const float> rows, float least) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < rows.size(); i += kRow)
    if (rows[i + 4] * std::max({rows[i + 5], rows[i + 6], rows[i + 7]}) > least) found.push_back(i);
  return found;
}

struct Found {
  std::size_t wanted = 0, kept = 0;
};

Found hits_kept(const Graph& network, const QuantizedModel& result, float least) {
  const sim::Program program(result.model, find_target("esp32s3"));
  const measure::SimulatedNetwork simulated(program, result.network);
  sim::Program::Frame frame(program);
  const auto source = test::random_samples(network, kSamples);
  Found found;
  for (std::int64_t i = 0; i < kSamples; ++i) {
    const std::vector<Tensor> inputs = source.sample(i);
    const auto wanted = hits(test::evaluate(network, inputs)[0].data<float>(), least);
    const auto got = hits(simulated.run(inputs, frame)[0].data<float>(), least);
    found.wanted += wanted.size();
    found.kept += static_cast<std::size_t>(
        std::ranges::count_if(wanted, [&](auto hit) { return std::ranges::count(got, hit) > 0; }));
  }
  return found;
}

TEST(WideNotes, OutputsOfUnevenPartsKeepTheSmallOnesAndAreTold) {
  const Graph network = test::Detector(100).finish();
  for (const char* target : {"esp32s3", "esp32p4", "esp32"}) {
    const QuantizedModel result = quantize_detector(network, quant::Method::Auto, target);
    EXPECT_LT(result.noise.output.ratio(), 0.01) << target;
    EXPECT_TRUE(result.warnings.empty()) << result.warnings[0];
    ASSERT_EQ(result.notes.size(), 1U);
    EXPECT_NE(result.notes[0].find("joined at 16"), std::string::npos) << result.notes[0];
    EXPECT_NE(result.notes[0].find("--outputs Conv_1_out,"), std::string::npos) << result.notes[0];
  }
}

TEST(WideNotes, NoHitIsLostThatAnotherMethodKeeps) {
  const Graph network = test::Detector(100).finish();
  constexpr float kLeast = 0.02F;
  const auto kept_by = [&](quant::Method method) {
    return hits_kept(network, quantize_detector(network, method), kLeast);
  };
  const Found by_default = kept_by(quant::Method::Auto);
  ASSERT_GT(by_default.wanted, 20U);
  EXPECT_GT(20 * by_default.kept, 19 * by_default.wanted);
  for (const auto method : {quant::Method::Mse, quant::Method::Sqnr, quant::Method::MinMax,
                            quant::Method::Percentile, quant::Method::Entropy})
    EXPECT_GE(20 * by_default.kept, 19 * kept_by(method).kept) << static_cast<int>(method);
}

TEST(WideNotes, ChannelsOfOneLayerAreHeldApartToo) {
  test::Network net;
  const ValueId x = net.input("x", {1, 8});
  const ValueId hidden = net.node("Relu", {net.node("Gemm", {x, net.random({8, 16})})});
  // A box and an angle.
  Tensor weights = test::random_tensor({16, 5}, 3);
  for (std::size_t i = 0; i < 16 * 5; ++i)
    if (i % 5 < 4) weights.mutable_data<float>()[i] *= 300;
  const Graph network =
      passes::simplify(net.finish({net.node("Gemm", {hidden, net.constant(std::move(weights))})}));
  const QuantizedModel result = quantize_detector(network, quant::Method::Auto);
  EXPECT_EQ(result.noise.output.groups().size(), 2U);
  EXPECT_LT(result.noise.output.ratio(), 0.01);
}

TEST(WideNotes, NothingIsSaidOfOrdinaryOutputsAndOf16Bits) {
  const Graph small = test::Detector(0.5F).finish();
  EXPECT_TRUE(quantize_detector(small, quant::Method::Auto).notes.empty());
  const Graph network = test::Detector(100).finish();
  QuantizeOptions options;
  options.recipe = recipe::find_recipe("int16");
  options.target = &find_target("esp32s3");
  EXPECT_TRUE(
      quantize_model(network, test::random_samples(network, kSamples), options).notes.empty());
}

}  // namespace
}  // namespace espquant::strategy
