#include "analysis/analysis.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/parallel.h"
#include "tests/support/network.h"

/// Small networks that have exactly one defect each.
namespace espquant::analysis {
namespace {

using test::Ints;
using test::Network;
using test::random_tensor;

constexpr std::int64_t kSamples = 64;

using Sample = std::function<Tensor(std::int64_t)>;

/// Elements from -1 to 1, of one input.
Sample uniform(const Shape& shape, float low = -1, float high = 1) {
  return [=](std::int64_t i) {
    return random_tensor(shape, 500 + static_cast<std::uint64_t>(i), low, high);
  };
}

Analysis analyze(Graph graph, const Sample& sample, const std::vector<std::string>& changes = {},
                 std::string_view target = "esp32s3") {
  const calib::SampleSource source{kSamples,
                                   [&](std::int64_t i) { return std::vector<Tensor>{sample(i)}; }};
  strategy::QuantizeOptions options;
  recipe::apply_overrides(options.recipe, changes);
  options.target = &find_target(target);
  options.report_samples = 0;
  options.test_values = false;
  const strategy::QuantizedModel made = strategy::quantize_model(std::move(graph), source, options);
  return analysis::analyze(made, *options.target, source, strategy::evenly_spread(kSamples, 32));
}

const AnalyzedLayer& layer_of(const Analysis& analysis, std::string_view op) {
  for (const AnalyzedLayer& layer : analysis.layers)
    if (layer.facts.op == op) return layer;
  throw Error(ErrorCode::Internal, "no such layer");
}

/// An only layer makes all the noise, whatever there is of it.
bool is_defect(Reason reason) {
  return reason != Reason::Nothing && reason != Reason::RoundedOutput &&
         reason != Reason::RoundedWeights && reason != Reason::RoundedInputs;
}

void expect_no_defect(const Analysis& analysis) {
  for (const AnalyzedLayer& layer : analysis.layers)
    EXPECT_FALSE(is_defect(layer.diagnosis.reason))
        << layer.facts.node << ": " << layer.diagnosis.explanation;
}

void expect_reason(const AnalyzedLayer& layer, Reason reason, const std::string& remedy) {
  EXPECT_EQ(layer.diagnosis.reason, reason) << layer.diagnosis.explanation;
  EXPECT_NE(layer.diagnosis.remedy.find(remedy), std::string::npos) << layer.diagnosis.remedy;
}

/// A 3x3 convolution with a ReLU, and a 1x1 one, on 4x16x16 images.
Graph two_convolutions() {
  Network net;
  const ValueId x = net.input("x", {1, 4, 16, 16});
  const ValueId y = net.node("Conv", {x, net.random({8, 4, 3, 3}), net.random({8})},
                             {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
  return net.finish({net.node("Conv", {net.node("Relu", {y}), net.random({4, 8, 1, 1})},
                              {{"kernel_shape", Ints{1, 1}}})});
}

/// 16 filters of one size, but the fourth `factor` times as large; what reads it makes up for that.
Graph one_large_filter(float factor) {
  Tensor first = random_tensor({16, 8, 1, 1}, 1), second = random_tensor({16, 16, 1, 1}, 2);
  for (std::size_t k = 0; k < 8; ++k) first.mutable_data<float>()[3 * 8 + k] *= factor;
  for (std::size_t c = 0; c < 16; ++c) second.mutable_data<float>()[c * 16 + 3] /= factor;
  Network net;
  const ValueId x = net.input("x", {1, 8, 8, 8});
  const ValueId y = net.node("Conv", {x, net.constant(first)}, {{"kernel_shape", Ints{1, 1}}});
  return net.finish({net.node("Conv", {y, net.constant(second)}, {{"kernel_shape", Ints{1, 1}}})});
}

/// A convolution with a ReLU, one of whose channels is always 0 by its bias. By a plain Relu a bias
/// is limited to what decides; `spelled`, the ReLU is a PRelu.
Graph one_large_bias(float bias, bool spelled = true) {
  Tensor biases = random_tensor({8}, 3);
  biases.mutable_data<float>()[5] = bias;
  Network net;
  const ValueId x = net.input("x", {1, 8, 8, 8});
  const ValueId y = net.node("Conv", {x, net.random({8, 8, 1, 1}), net.constant(biases)},
                             {{"kernel_shape", Ints{1, 1}}});
  const ValueId slopes = net.floats({8, 1, 1}, std::vector<float>(8, 0));
  return net.finish({spelled ? net.node("PRelu", {y, slopes}) : net.node("Relu", {y})});
}

/// Four scores with much in common and `difference` between them.
Graph scores(float difference) {
  Tensor w(DType::Float32, {5, 4});
  for (std::size_t c = 0; c < 4; ++c) {
    w.mutable_data<float>()[c] = 100;
    w.mutable_data<float>()[4 + 4 * c + c] = difference;
  }
  Network net;
  const ValueId x = net.input("x", {1, 5});
  return net.finish({net.node("Gemm", {x, net.constant(w)})});
}

/// Sums of 512 products of which the second half takes back what the first has summed.
Graph long_sums() {
  Tensor w = random_tensor({16, 512, 1, 1}, 4, 0.5F, 1.0F);
  for (std::size_t i = 0; i < 16 * 512; ++i)
    if (i % 512 >= 256) w.mutable_data<float>()[i] *= -1;
  Network net;
  const ValueId x = net.input("x", {1, 512, 2, 2});
  return net.finish({net.node("Conv", {x, net.constant(w)}, {{"kernel_shape", Ints{1, 1}}})});
}

TEST(Analysis, AHealthyNetworkHasNoReasons) {
  const Analysis analysis = analyze(two_convolutions(), uniform({1, 4, 16, 16}));
  ASSERT_EQ(analysis.layers.size(), 3u);
  EXPECT_EQ(analysis.layers[0].facts.op, "Input");
  EXPECT_EQ(analysis.samples, 32);
  for (const AnalyzedLayer& layer : analysis.layers)
    EXPECT_EQ(layer.diagnosis.reason, Reason::Nothing) << layer.diagnosis.explanation;
}

TEST(Analysis, OneValueFarBeyondTheOthersIsAnOutlier) {
  const Sample with_outliers = [](std::int64_t i) {
    Tensor x = random_tensor({1, 4, 16, 16}, 500 + static_cast<std::uint64_t>(i));
    if (i % 32 == 0) x.mutable_data<float>()[100] = 60;
    return x;
  };
  Network net;
  const ValueId x = net.input("x", {1, 4, 16, 16});
  const Graph graph =
      net.finish({net.node("Conv", {x, net.random({4, 4, 1, 1})}, {{"kernel_shape", Ints{1, 1}}})});
  expect_reason(layer_of(analyze(graph, with_outliers, {"calibration.method=minmax"}), "Conv"),
                Reason::OutlierRange, "--method auto");
}

// Half of the chip's range for one value in thousands, and nothing else in the network is as
// coarse.
TEST(Analysis, AnInputWhoseOutliersSetTheStepIsNamedWithWhatToDo) {
  const Sample with_outliers = [](std::int64_t i) {
    Tensor x = random_tensor({1, 4, 16, 16}, 500 + static_cast<std::uint64_t>(i));
    if (i % 16 == 0) x.mutable_data<float>()[100] = 30;
    return x;
  };
  const AnalyzedLayer input =
      layer_of(analyze(two_convolutions(), with_outliers, {"calibration.method=minmax"}), "Input");
  expect_reason(input, Reason::OutlierRange, "to clip the data to 0.99");
  EXPECT_NE(input.diagnosis.explanation.find("the largest is 30"), std::string::npos)
      << input.diagnosis.explanation;
}

// What the second layer takes back took all the bits of the first.
TEST(Analysis, ALayerThatMakesMuchOfTheNoiseHasAReason) {
  const Tensor second = random_tensor({4, 4, 1, 1}, 2);
  Tensor back(DType::Float32, {4});
  for (std::size_t i = 0; i < 16; ++i)
    back.mutable_data<float>()[i / 4] -= 60 * second.data<float>()[i];
  Network net;
  const ValueId x = net.input("x", {1, 4, 8, 8});
  const ValueId bias = net.constant(Tensor::of<float>({4}, {60, 60, 60, 60}));
  const ValueId y =
      net.node("Conv", {x, net.random({4, 4, 1, 1}), bias}, {{"kernel_shape", Ints{1, 1}}});
  const Graph graph = net.finish({net.node("Conv", {y, net.constant(second), net.constant(back)},
                                           {{"kernel_shape", Ints{1, 1}}})});
  const AnalyzedLayer first = layer_of(analyze(graph, uniform({1, 4, 8, 8})), "Conv");
  EXPECT_GT(first.facts.share_at_output, 0.5);
  EXPECT_NE(first.diagnosis.reason, Reason::Nothing);
  EXPECT_NE(first.diagnosis.remedy, "");
}

TEST(Analysis, OneFilterMuchLargerThanTheOthersIsUneven) {
  const Sample sample = uniform({1, 8, 8, 8});
  const AnalyzedLayer layer = layer_of(analyze(one_large_filter(200), sample), "Conv");
  expect_reason(layer, Reason::UnevenChannels, "--recipe balanced");
  EXPECT_GT(layer.facts.weights->spread, 150);
  EXPECT_GT(layer.facts.weights->noise, 0.5);
  expect_no_defect(analyze(one_large_filter(2), sample));
}

TEST(Analysis, UnevenFiltersAreNoReasonWhereEachHasItsExponent) {
  const Sample sample = uniform({1, 8, 8, 8});
  const Analysis each = analyze(one_large_filter(200), sample, {}, "esp32p4");
  EXPECT_NE(layer_of(each, "Conv").diagnosis.reason, Reason::UnevenChannels);
  const Analysis one =
      analyze(one_large_filter(200), sample, {"quantization.granularity=tensor"}, "esp32p4");
  expect_reason(layer_of(one, "Conv"), Reason::UnevenChannels, "--weights channel");
}

TEST(Analysis, ABiasThatMakesWeightsCoarseIsNamed) {
  const Sample sample = uniform({1, 8, 8, 8});
  const AnalyzedLayer layer = layer_of(analyze(one_large_bias(-2000), sample), "Conv");
  expect_reason(layer, Reason::WideBias, ".bits=16");
  EXPECT_GE(layer.facts.weights->excess_bias_bits, 4);
  for (const bool spelled : {false, true})
    expect_no_defect(analyze(one_large_bias(-20, spelled), sample));
  const Analysis limited = analyze(one_large_bias(-2000, false), sample);
  expect_no_defect(limited);
  EXPECT_EQ(layer_of(limited, "Conv").facts.dead_channels, 1);
}

// 32 bits hold that bias.
TEST(Analysis, TheSameBiasIsNoReasonOnAChipWithWiderOnes) {
  const Analysis analysis = analyze(one_large_bias(-2000), uniform({1, 8, 8, 8}), {}, "esp32p4");
  expect_no_defect(analysis);
}

TEST(Analysis, ScoresCloserThanAStepAreCoarse) {
  const Sample sample = uniform({1, 5});
  const AnalyzedLayer layer = layer_of(analyze(scores(0.2F), sample), "Gemm");
  expect_reason(layer, Reason::CoarseLogits, ".bits=16");
  EXPECT_EQ(layer.facts.decisions, 32);
  EXPECT_GT(layer.facts.close_decisions, 24);
  expect_no_defect(analyze(scores(100), sample));
}

TEST(Analysis, ClippingByALowPercentileIsNamed) {
  const Analysis analysis = analyze(two_convolutions(), uniform({1, 4, 16, 16}),
                                    {"calibration.method=percentile", "calibration.percentile=60"});
  const AnalyzedLayer& layer = layer_of(analysis, "Conv");
  expect_reason(layer, Reason::ClippedActivation, "--method auto");
  EXPECT_GT(layer.facts.clipped_share(), 0.01);
  const Analysis larger = analyze(two_convolutions(), uniform({1, 4, 16, 16}, 0, 1.6),
                                  {"calibration.method=percentile", "calibration.percentile=60"});
  expect_reason(layer_of(larger, "Input"), Reason::ClippedActivation, "logarithm of the data");
}

TEST(Analysis, SumsBeyond20BitsAreNamedOnTheS3Alone) {
  const Sample sample = uniform({1, 512, 2, 2}, 0.5, 1);
  const AnalyzedLayer layer = layer_of(analyze(long_sums(), sample), "Conv");
  expect_reason(layer, Reason::Saturation, ".bits=16");
  EXPECT_GT(layer.facts.saturation->books.peak, 1);
  const Analysis wide = analyze(long_sums(), sample, {}, "esp32p4");
  EXPECT_NE(layer_of(wide, "Conv").diagnosis.reason, Reason::Saturation);
}

TEST(Analysis, AllNoiseAtTheOutputIsThatOfAnOnlyLayer) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 8, 8});
  const Graph graph =
      net.finish({net.node("Conv", {x, net.random({4, 4, 3, 3})}, {{"kernel_shape", Ints{3, 3}}})});
  const Analysis analysis =
      analyze(graph, uniform({1, 4, 8, 8}), {"quantization.bias_correction=none"});
  const LayerFacts& conv = layer_of(analysis, "Conv").facts;
  EXPECT_NEAR(conv.noise_behind.ratio(), analysis.output.ratio(), 1e-4 * analysis.output.ratio());
  EXPECT_NEAR(conv.accumulated.ratio(), analysis.output.ratio(), 1e-4 * analysis.output.ratio());
  const LayerFacts& input = layer_of(analysis, "Input").facts;
  EXPECT_EQ(input.noise_behind.noise, input.at_output.noise);
  EXPECT_GT(input.at_output.noise, 0);
  EXPECT_NEAR(input.share_at_output + conv.share_at_output, 1, 1e-12);
}

TEST(Analysis, NoiseSoFarEndsWithThatOfTheOutput) {
  const Analysis analysis =
      analyze(two_convolutions(), uniform({1, 4, 16, 16}), {"quantization.bias_correction=none"});
  EXPECT_NEAR(analysis.layers.back().facts.noise_behind.ratio(), analysis.output.ratio(),
              1e-4 * analysis.output.ratio());
}

// What a bias behind could make up for is left out where the recipe corrects biases.
TEST(Analysis, ShiftsOfTheMeanCountOnlyWhereNothingCorrectsThem) {
  const auto effect = [](const char* correction) {
    Network net;
    const ValueId x = net.input("x", {1, 4, 8, 8});
    const Graph graph = net.finish(
        {net.node("Conv", {x, net.random({4, 4, 1, 1})}, {{"kernel_shape", Ints{1, 1}}})});
    // Clipped at one end: the mean of the output moves.
    const Analysis analysis = analyze(graph, uniform({1, 4, 8, 8}, 0, 1),
                                      {"calibration.method=percentile", "calibration.percentile=60",
                                       std::string("quantization.bias_correction=") + correction});
    const LayerFacts& conv = layer_of(analysis, "Conv").facts;
    return conv.noise_behind.ratio() / analysis.output.ratio();
  };
  EXPECT_NEAR(effect("none"), 1, 1e-4);
  EXPECT_LT(effect("empirical"), 0.999);
}

TEST(Analysis, AWiderLayerHasLessEffectAtTheOutput) {
  const Sample sample = uniform({1, 4, 16, 16});
  const auto effect = [&](const std::vector<std::string>& changes) {
    return layer_of(analyze(two_convolutions(), sample, changes), "Conv").facts.at_output.ratio();
  };
  EXPECT_LT(effect({"layer.Conv.bits=16"}), effect({}) / 2);
}

TEST(Analysis, RangesCountsAndDeadChannelsAreThoseOfTheFloatNetwork) {
  Tensor w = random_tensor({4, 4, 1, 1}, 9, 0.5F, 1.0F);
  for (std::size_t k = 0; k < 4; ++k) w.mutable_data<float>()[k] *= -1;
  Network net;
  const ValueId x = net.input("x", {1, 4, 8, 8});
  const ValueId y = net.node("Conv", {x, net.constant(w)}, {{"kernel_shape", Ints{1, 1}}});
  const Analysis analysis =
      analyze(net.finish({net.node("Relu", {y})}), uniform({1, 4, 8, 8}, 0, 1));
  const LayerFacts& input = layer_of(analysis, "Input").facts;
  EXPECT_EQ(input.values, 32 * 4 * 64);
  EXPECT_GE(input.min, 0);
  EXPECT_NEAR(input.max, 1, 0.01);
  EXPECT_EQ(input.channels, 4);
  EXPECT_EQ(input.dead_channels, 0);
  const LayerFacts& conv = layer_of(analysis, "Conv").facts;
  EXPECT_EQ(conv.dead_channels, 1);
  EXPECT_GE(conv.zeros, conv.values / 4);
  EXPECT_EQ(conv.min, 0);
}

TEST(Analysis, DoesNotDependOnTheNumberOfThreads) {
  const auto measured = [](int threads) {
    set_thread_count(threads);
    Analysis analysis = analyze(two_convolutions(), uniform({1, 4, 16, 16}));
    set_thread_count(0);
    return analysis;
  };
  const Analysis one = measured(1), three = measured(3);
  ASSERT_EQ(one.layers.size(), three.layers.size());
  for (std::size_t i = 0; i < one.layers.size(); ++i) {
    const LayerFacts& a = one.layers[i].facts;
    const LayerFacts& b = three.layers[i].facts;
    EXPECT_EQ(a.at_output.noise, b.at_output.noise);
    EXPECT_EQ(a.accumulated.noise, b.accumulated.noise);
    EXPECT_EQ(a.clipping.noise, b.clipping.noise);
    EXPECT_EQ(a.typical, b.typical);
    EXPECT_EQ(a.max, b.max);
  }
}

}  // namespace
}  // namespace espquant::analysis
