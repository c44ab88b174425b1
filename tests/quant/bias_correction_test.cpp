#include "quant/bias_correction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "quant/weights.h"
#include "tests/quant/calibrated.h"

namespace espquant::quant {
namespace {

using test::Ints;
using test::Network;

Tensor channels_last(const Tensor& t) {
  return t.transposed(t.rank() == 4 ? Ints{0, 2, 3, 1} : Ints{0, 2, 1});
}

/// Mean over the output positions of what each tap of a one-filter-per-channel Conv reads: the
/// output of that Conv when all its weights but one are zero.
std::vector<double> plain_tap_means(const Tensor& mean, const Shape& kernel,
                                    test::AttributeList attributes) {
  const std::int64_t channels = mean.shape()[1], taps = element_count(kernel);
  attributes.emplace_back("group", channels);
  std::vector<double> means;
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t k = 0; k < taps; ++k) {
      Shape shape{channels, 1};
      shape.insert(shape.end(), kernel.begin(), kernel.end());
      Tensor one(DType::Float32, shape);
      one.mutable_data<float>()[static_cast<std::size_t>(c * taps + k)] = 1;
      Network net;
      const ValueId y =
          net.node("Conv", {net.input("x", mean.shape()), net.constant(one)}, attributes);
      const Tensor out = test::evaluate(net.finish({y}), {mean})[0];
      const auto per_channel = static_cast<std::size_t>(out.size() / channels);
      const auto data =
          out.data<float>().subspan(static_cast<std::size_t>(c) * per_channel, per_channel);
      double sum = 0;
      for (const float v : data) sum += static_cast<double>(v);
      means.push_back(sum / static_cast<double>(per_channel));
    }
  }
  return means;
}

TEST(TapMeans, EqualThePlainLoopForEveryWindow) {
  struct Case {
    const char* what;
    Shape input, kernel;
    test::AttributeList attributes;
  };
  const std::vector<Case> cases = {
      {"plain", {1, 3, 7, 6}, {3, 2}, {}},
      {"padded", {1, 2, 5, 5}, {3, 3}, {{"pads", Ints{1, 2, 0, 1}}}},
      {"strided", {1, 2, 8, 9}, {3, 3}, {{"strides", Ints{2, 3}}, {"pads", Ints{1, 1, 1, 1}}}},
      {"dilated", {1, 2, 9, 9}, {3, 2}, {{"dilations", Ints{2, 3}}, {"pads", Ints{2, 0, 2, 0}}}},
      {"1-D", {1, 2, 9}, {4}, {{"strides", Ints{2}}, {"pads", Ints{3, 1}}}},
  };
  for (const Case& c : cases) {
    const Tensor mean = test::random_tensor(c.input, 5);
    const auto expected = plain_tap_means(mean, c.kernel, c.attributes);
    Node conv;
    conv.op = "Conv";
    conv.attributes = test::attributes_of(c.attributes);
    Shape weights{8, c.input[1]};
    weights.insert(weights.end(), c.kernel.begin(), c.kernel.end());
    const Tensor last = channels_last(mean);
    const auto first = tap_means(conv, mean.data<float>(), c.input, weights, false);
    const auto turned = tap_means(conv, last.data<float>(), c.input, weights, true);
    ASSERT_EQ(first.size(), expected.size()) << c.what;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(first[i], expected[i], 1e-6) << c.what;
      EXPECT_NEAR(turned[i], expected[i], 1e-6) << c.what;
    }
  }
}

TEST(MeanUnderWeights, OfAMatMulIsOverItsRows) {
  Network net;
  const ValueId y = net.node("MatMul", {net.input("x", {1, 2, 3}), net.random({3, 4})});
  const Graph graph = net.finish({y});
  const std::vector<double> expected = {3, 4, 5};
  const std::vector<float> rows = {1, 2, 3, 5, 6, 7}, turned = {1, 5, 2, 6, 3, 7};
  EXPECT_EQ(mean_under_weights(graph, graph.node(0), rows, false), expected);
  EXPECT_EQ(mean_under_weights(graph, graph.node(0), turned, true), expected);
}

struct OneConv {
  explicit OneConv(bool with_bias) {
    std::vector<ValueId> inputs = {x, net.random({4, 3, 3, 3})};
    if (with_bias) inputs.push_back(net.random({4}));
    y = net.node("Conv", inputs, {{"pads", Ints{1, 1, 1, 1}}});
    graph = net.finish({y});
    graph.value(y).quant = TensorQuant{8, {-4}, -1};
  }
  Network net;
  ValueId x = net.input("x", {1, 3, 6, 6}), y = kNone;
  Graph graph;
};

/// Mean of each output channel over the samples.
std::vector<double> mean_channels(const Graph& graph, const calib::SampleSource& source) {
  std::vector<double> means;
  for (std::int64_t i = 0; i < source.count; ++i) {
    const Tensor out = test::evaluate(graph, source.sample(i))[0];
    const auto channels = static_cast<std::size_t>(out.shape()[1]);
    const std::size_t each = static_cast<std::size_t>(out.size()) / channels;
    means.resize(channels);
    for (std::size_t k = 0; k < channels * each; ++k)
      means[k / each] += static_cast<double>(out.data<float>()[k]) / static_cast<double>(each) /
                         static_cast<double>(source.count);
  }
  return means;
}

TEST(MeanOutputs, AreThoseOfTheFloatNetwork) {
  for (const bool with_bias : {false, true}) {
    const OneConv n(with_bias);
    const auto source = test::random_samples(n.graph, 4, 0, 2);
    const auto c = test::calibrate(n.graph, test::settings_for("esp32s3"), source);
    const std::vector<float> factors(n.graph.value_count(), 1.0F);
    const MeanOutputs means = mean_outputs(n.graph, c.plan, c.calibration.inputs, factors);
    ASSERT_EQ(means.size(), 1u);
    const auto expected = mean_channels(n.graph, source);
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(means.at(0)[i], expected[i], 1e-5);
  }
}

TEST(CorrectBias, MakesTheMeanWhatIsWanted) {
  for (const bool with_bias : {false, true}) {
    const OneConv n(with_bias);
    const auto source = test::random_samples(n.graph, 4, 0, 2);
    const auto c = test::calibrate(n.graph, test::settings_for("esp32s3"), source);
    const auto wanted = mean_channels(n.graph, source);
    Graph coarse = n.graph;
    for (float& w : coarse.value(coarse.node(0).inputs[1]).constant.mutable_data<float>())
      w = std::floor(w * 4) / 4;
    correct_bias(coarse, 0, wanted, c.calibration.inputs.at(0).mean);
    verify(coarse, "correct_bias");
    const auto corrected = mean_channels(coarse, source);
    for (std::size_t i = 0; i < wanted.size(); ++i)
      EXPECT_NEAR(corrected[i], wanted[i], 1e-5) << "with bias: " << with_bias;
  }
}

TEST(CorrectBias, GivesNoBiasForAShiftThatNobodySees) {
  OneConv n(false);
  const std::vector<double> mean_input(3 * 3 * 3, 0.0);
  const double lsb = std::exp2(-4);
  correct_bias(n.graph, 0, std::vector<double>(4, 0.04 * lsb), mean_input);
  EXPECT_EQ(n.graph.node(0).input(2), kNone);
  correct_bias(n.graph, 0, std::vector<double>(4, 0.06 * lsb), mean_input);
  EXPECT_NE(n.graph.node(0).input(2), kNone);
}

}  // namespace
}  // namespace espquant::quant
