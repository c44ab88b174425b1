#include "calib/covariance.h"

#include <gtest/gtest.h>

#include "base/parallel.h"
#include "tests/support/network.h"

namespace espquant::calib {
namespace {

using test::Ints;
using test::Network;

struct OneLayer {
  const char* what;
  Graph graph;
};

OneLayer conv(const char* what, Shape input, Shape weights, const test::AttributeList& attributes) {
  Network net;
  const ValueId x = net.input("x", std::move(input));
  return {what, net.finish({net.node("Conv", {x, net.random(weights)}, attributes)})};
}

std::vector<OneLayer> layers() {
  std::vector<OneLayer> all;
  all.push_back(conv("plain", {1, 3, 6, 5}, {4, 3, 3, 2}, {}));
  all.push_back(conv("strided and padded", {1, 3, 7, 7}, {4, 3, 3, 3},
                     {{"strides", Ints{2, 3}}, {"pads", Ints{1, 0, 2, 1}}}));
  all.push_back(conv("dilated", {1, 2, 9, 9}, {4, 2, 3, 2}, {{"dilations", Ints{2, 3}}}));
  all.push_back(conv("in groups", {1, 6, 5, 5}, {4, 3, 2, 2}, {{"group", std::int64_t{2}}}));
  all.push_back(conv("depthwise", {1, 5, 6, 6}, {5, 1, 3, 3},
                     {{"group", std::int64_t{5}}, {"pads", Ints{1, 1, 1, 1}}}));
  all.push_back(conv("1-D", {1, 3, 9}, {4, 3, 3}, {{"strides", Ints{2}}, {"pads", Ints{1, 1}}}));
  {
    Network net;
    const ValueId x = net.input("x", {1, 7});
    all.push_back({"Gemm", net.finish({net.node("Gemm", {x, net.random({7, 4})})})});
  }
  {
    Network net;
    const ValueId x = net.input("x", {1, 3, 7});
    all.push_back({"MatMul of rank 3", net.finish({net.node("MatMul", {x, net.random({7, 4})})})});
  }
  return all;
}

SampleSource samples_of(const Graph& graph, std::int64_t count) {
  const Shape shape = *graph.value(graph.inputs()[0]).shape;
  return {count, [shape](std::int64_t i) {
            return std::vector<Tensor>{
                test::random_tensor(shape, static_cast<std::uint64_t>(i) + 50, -1, 2)};
          }};
}

/// The patches of a layer, one after another, found without knowing windows: a filter that is one
/// at a single weight shows what that weight multiplies at every position.
/// [group][column][position]
std::vector<std::vector<std::vector<double>>> patches(const Graph& graph, const Tensor& x) {
  const Node& n = graph.node(0);
  const Tensor& weights = graph.value(n.inputs[1]).constant;
  const bool is_conv = n.op == "Conv";
  const std::int64_t groups = is_conv ? n.attributes.get_int("group", 1) : 1;
  const std::int64_t outputs = is_conv ? weights.shape()[0] : weights.shape()[1];
  const std::int64_t columns = weights.size() / outputs;
  std::vector<std::vector<std::vector<double>>> found(static_cast<std::size_t>(groups));
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::int64_t filter = g * outputs / groups;
    for (std::int64_t k = 0; k < columns; ++k) {
      Graph one = graph;
      Tensor w(DType::Float32, weights.shape());
      w.mutable_data<float>()[static_cast<std::size_t>(is_conv ? filter * columns + k
                                                               : k * outputs + filter)] = 1;
      one.value(n.inputs[1]).constant = w;
      const Tensor y = test::evaluate(one, {x})[0];
      std::vector<double> seen;
      const auto data = y.data<float>();
      if (is_conv) {
        const auto each = static_cast<std::int64_t>(data.size()) / outputs;
        seen.assign(data.begin() + filter * each, data.begin() + (filter + 1) * each);
      } else {
        for (std::size_t i = 0; i < data.size(); i += static_cast<std::size_t>(outputs))
          seen.push_back(data[i]);
      }
      found[static_cast<std::size_t>(g)].push_back(seen);
    }
  }
  return found;
}

const std::vector<NodeId> kFirst = {0};

TEST(Covariance, EqualsThePlainLoop) {
  constexpr std::int64_t kSamples = 3;
  for (const OneLayer& l : layers()) {
    const SampleSource source = samples_of(l.graph, kSamples);
    const Covariance c = gather_covariance(ops::Executor(l.graph), source, kFirst, kSamples).at(0);
    std::vector<std::vector<std::vector<std::vector<double>>>> seen;
    for (std::int64_t i = 0; i < kSamples; ++i)
      seen.push_back(patches(l.graph, source.sample(i)[0]));
    const std::size_t groups = seen[0].size(), columns = seen[0][0].size(),
                      positions = seen[0][0][0].size();
    ASSERT_EQ(c.groups, static_cast<std::int64_t>(groups)) << l.what;
    ASSERT_EQ(c.columns, static_cast<std::int64_t>(columns)) << l.what;
    EXPECT_EQ(c.positions, static_cast<std::int64_t>(positions) * kSamples) << l.what;
    const double count = static_cast<double>(positions) * kSamples;
    for (std::size_t g = 0; g < groups; ++g) {
      for (std::size_t i = 0; i < columns; ++i) {
        double mean = 0;
        for (const auto& s : seen)
          for (std::size_t p = 0; p < positions; ++p) mean += s[g][i][p];
        EXPECT_NEAR(c.mean_of(static_cast<std::int64_t>(g))[i], mean / count, 1e-5) << l.what;
        for (std::size_t j = 0; j < columns; ++j) {
          double product = 0;
          for (const auto& s : seen)
            for (std::size_t p = 0; p < positions; ++p) product += s[g][i][p] * s[g][j][p];
          EXPECT_NEAR(c.moment_of(static_cast<std::int64_t>(g))[i * columns + j], product / count,
                      1e-5)
              << l.what << " " << i << ", " << j;
        }
      }
    }
  }
}

TEST(Covariance, TakesNoMorePositionsThanItNeeds) {
  Network net;
  const ValueId x = net.input("x", {1, 2, 64, 64});
  const Graph graph = net.finish({net.node("Conv", {x, net.random({4, 2, 1, 1})})});
  const Covariance c =
      gather_covariance(ops::Executor(graph), samples_of(graph, 4), kFirst, 4).at(0);
  EXPECT_EQ(c.positions, 4096);
}

TEST(Covariance, SpreadsSamplesOverTheData) {
  Network net;
  const ValueId x = net.input("x", {1, 1});
  const Graph graph = net.finish({net.node("Gemm", {x, net.random({1, 4})})});
  const SampleSource counting{
      100, [](std::int64_t i) {
        return std::vector<Tensor>{Tensor::of<float>({1, 1}, {static_cast<float>(i)})};
      }};
  const Covariance c = gather_covariance(ops::Executor(graph), counting, kFirst, 4).at(0);
  EXPECT_EQ(c.positions, 4);
  EXPECT_DOUBLE_EQ(c.mean[0], (0 + 25 + 50 + 75) / 4.0);
}

TEST(Covariance, LeavesOutLayersOfTooManyColumns) {
  Network net;
  const ValueId x = net.input("x", {1, kMostColumns + 1});
  const Graph graph = net.finish({net.node("Gemm", {x, net.random({kMostColumns + 1, 2})})});
  EXPECT_TRUE(gather_covariance(ops::Executor(graph), samples_of(graph, 2), kFirst, 2).empty());
}

TEST(Covariance, DoesNotDependOnTheNumberOfThreads) {
  for (const OneLayer& l : layers()) {
    const auto gathered = [&](int threads) {
      set_thread_count(threads);
      auto c = gather_covariance(ops::Executor(l.graph), samples_of(l.graph, 20), kFirst, 20).at(0);
      set_thread_count(0);
      return c;
    };
    const Covariance one = gathered(1), three = gathered(3);
    EXPECT_EQ(one.mean, three.mean) << l.what;
    EXPECT_EQ(one.second_moment, three.second_moment) << l.what;
  }
}

}  // namespace
}  // namespace espquant::calib
