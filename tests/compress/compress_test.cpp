#include "compress/compress.h"

#include <gtest/gtest.h>

#include "compress/refit.h"
#include "tests/support/network.h"

namespace espquant::compress {
namespace {

using test::Ints;
using test::Network;

calib::SampleSource random_samples(const Shape& shape, std::int64_t count) {
  return {
      count, [shape](std::int64_t i) {
        return std::vector<Tensor>{test::random_tensor(shape, static_cast<std::uint64_t>(i) + 1)};
      }};
}

/// Two products, `inner` channels between them.
Graph two_products(std::int64_t inner) {
  Network net;
  const ValueId x = net.input("x", {1, 6});
  const ValueId a = net.node("Gemm", {x, net.random({6, inner}), net.random({inner})});
  const ValueId relu = net.node("Relu", {a});
  return net.finish({net.node("Gemm", {relu, net.random({inner, 3}), net.random({3})})});
}

std::map<NodeId, calib::Covariance> covariances_of(const Graph& graph, const Channels& channels,
                                                   const calib::SampleSource& source) {
  return calib::gather_covariance(ops::Executor(graph), source, channels.groups()[0].readers, 512);
}

/// The mean square of what two networks put out more or less of.
double mean_square_difference(const Graph& a, const Graph& b, const calib::SampleSource& source) {
  double sum = 0;
  for (std::int64_t i = 0; i < source.count; ++i) {
    const auto x = test::evaluate(a, source.sample(i))[0],
               y = test::evaluate(b, source.sample(i))[0];
    for (std::size_t k = 0; k < x.data<float>().size(); ++k) {
      const double d =
          static_cast<double>(x.data<float>()[k]) - static_cast<double>(y.data<float>()[k]);
      sum += d * d;
    }
  }
  return sum / static_cast<double>(source.count);
}

TEST(RemovalCurves, SayWhatRefittingLeaves) {
  const Graph graph = two_products(5);
  const auto source = random_samples({1, 6}, 512);
  const Channels channels(graph);
  // Every output counts one.
  const NodeId reader = channels.groups()[0].readers[0];
  const auto curves = removal_curves(graph, channels, covariances_of(graph, channels, source),
                                     {{reader, {1, 1, 1}}}, Importance::Refitted);
  ASSERT_EQ(curves.size(), 1U);
  ASSERT_EQ(curves[0].loss.size(), 6U);
  EXPECT_EQ(curves[0].loss[0], 0);
  for (std::size_t gone = 1; gone < 4; ++gone) {
    const std::vector<std::size_t> all{gone};
    const std::vector<bool> kept = kept_classes(channels, curves, all);
    Graph smaller = without_channels(graph, channels, kept);
    refit(
        smaller, graph,
        [&](ValueId v) {
          std::vector<std::size_t> left;
          for (std::size_t i = 0; i < channels.classes_of(v).size(); ++i)
            if (kept[static_cast<std::size_t>(channels.classes_of(v)[i])]) left.push_back(i);
          return left;
        },
        source, 512);
    EXPECT_NEAR(curves[0].loss[gone] / mean_square_difference(graph, smaller, source), 1, 0.05)
        << gone;
  }
}

TEST(RemovalCurves, BeginWithWhatOthersMakeUpFor) {
  // Channel 2 is channel 4, twice as large: either may go for nothing. Its weights are the largest.
  Graph graph = two_products(5);
  const Channels channels(graph);
  const Node& writer = graph.node(channels.groups()[0].writers[0]);
  auto w = graph.value(writer.inputs[1]).constant.mutable_data<float>();
  auto b = graph.value(writer.inputs[2]).constant.mutable_data<float>();
  for (std::size_t k = 0; k < 6; ++k) w[k * 5 + 2] = 2 * w[k * 5 + 4];
  b[2] = 2 * b[4];
  const auto source = random_samples({1, 6}, 256);
  const auto covariances = covariances_of(graph, channels, source);
  const Sensitivities sensitivities{{channels.groups()[0].readers[0], {1, 1, 1}}};
  const auto curves =
      removal_curves(graph, channels, covariances, sensitivities, Importance::Refitted);
  const Channels::Class first = curves[0].order[0];
  EXPECT_TRUE(first == channels.groups()[0].classes[2] || first == channels.groups()[0].classes[4]);
  EXPECT_LT(curves[0].loss[1], 0.05 * curves[0].loss[2]);
  // By the size of weights another would go.
  const auto by_size =
      removal_curves(graph, channels, covariances, sensitivities, Importance::Magnitude);
  EXPECT_GT(by_size[0].loss[1], curves[0].loss[1]);
}

TEST(Sensitivities, AreWhatAnErrorDoesToTheOutputs) {
  const Graph graph = two_products(5);
  const auto source = random_samples({1, 6}, 64);
  const NodeId last = graph.value(graph.outputs()[0]).producer;
  const auto found = output_sensitivities(graph, std::vector<NodeId>{last}, source, 64);
  double signal = 0;
  for (std::int64_t i = 0; i < source.count; ++i) {
    const std::vector<Tensor> outputs = test::evaluate(graph, source.sample(i));
    for (float y : outputs[0].data<float>())
      signal += static_cast<double>(y) * static_cast<double>(y);
  }
  ASSERT_EQ(found.at(last).size(), 3U);
  // Of an output itself: an error of one is one.
  for (double s : found.at(last)) EXPECT_NEAR(s * signal / 64, 1, 0.01);
}

/// One millisecond for each output channel of the first layer, in steps of `step`.
PriceOf price_in_steps(std::int64_t step) {
  return [step](const Graph& graph) {
    double sum = 0;
    for (NodeId id : graph.topological_order()) {
      const Node& n = graph.node(id);
      if (!has_weights(graph, n)) continue;
      const std::int64_t channels = graph.value(n.outputs[0]).shape->at(1);
      sum += static_cast<double>((channels + step - 1) / step * step);
    }
    return Price{sum, sum, sum};
  };
}

TEST(ChooseChannels, StopsAtTheLeastLossThatTheBudgetAllows) {
  const Graph graph = two_products(32);
  const Channels channels(graph);
  RemovalCurve curve;
  for (std::size_t i = 0; i < 32; ++i) {
    curve.order.push_back(channels.groups()[0].classes[i]);
    curve.loss.push_back(static_cast<double>(i));
  }
  curve.loss.push_back(32);
  const std::vector<RemovalCurve> curves{curve};
  // A chip that computes 16 channels at once gains nothing from 12 less.
  const auto choose = [&](double milliseconds, std::int64_t step) {
    return choose_channels(graph, channels, curves, price_in_steps(step),
                           {{milliseconds, {}, {}}, 16});
  };
  EXPECT_EQ(choose(40, 16).gone, std::vector<std::size_t>{16});
  EXPECT_TRUE(choose(40, 16).met);
  EXPECT_EQ(choose(30, 4).gone, std::vector<std::size_t>{8});
  EXPECT_EQ(choose(100, 4).gone, std::vector<std::size_t>{0});
  const ChannelChoice nearest = choose(1, 4);
  EXPECT_FALSE(nearest.met);
  EXPECT_EQ(nearest.gone, std::vector<std::size_t>{28});
}

TEST(Compress, KeepsWhatCountsUnderABudget) {
  // Six of the eight channels say the same as the other two.
  Network net;
  const ValueId image = net.input("x", {1, 2, 5, 5});
  Tensor w({DType::Float32, {8, 2, 1, 1}});
  for (std::size_t c = 0; c < 8; ++c)
    w.mutable_data<float>()[2 * c + c % 2] = 1 + static_cast<float>(c);
  const ValueId a =
      net.node("Conv", {image, net.constant(w), net.constant(Tensor(DType::Float32, {8}))});
  const ValueId b = net.node("Conv", {a, net.random({4, 8, 3, 3}), net.random({4})},
                             {{"kernel_shape", Ints{3, 3}}});
  const Graph graph = net.finish({b});
  CompressOptions options;
  options.choice = {{7.0, {}, {}}, 4};
  const auto source = random_samples({1, 2, 5, 5}, 64);
  const Compressed made = compress(graph, source, price_in_steps(1), options);
  EXPECT_TRUE(made.met);
  ASSERT_EQ(made.removed.size(), 1U);
  EXPECT_EQ(made.removed[0].after, 3);
  EXPECT_EQ(made.before.milliseconds, 12);
  EXPECT_EQ(made.after.milliseconds, 7);
  Graph nothing = graph;
  for (ValueId v : graph.node(graph.value(graph.outputs()[0]).producer).inputs)
    if (v != a)
      for (float& x : nothing.value(v).constant.mutable_data<float>()) x = 0;
  const double signal = mean_square_difference(graph, nothing, source);
  EXPECT_LT(mean_square_difference(graph, made.graph, source), 1e-4 * signal);
}

}  // namespace
}  // namespace espquant::compress
