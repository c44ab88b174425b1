#include "compress/sparsity.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/network.h"

namespace espquant::compress {
namespace {

using test::Ints;
using test::Network;

Graph network_to_thin() {
  Network net;
  const ValueId x = net.input("x", {1, 3, 6, 6});
  const ValueId a = net.node("Conv", {x, net.random({8, 3, 3, 3}), net.random({8})},
                             {{"kernel_shape", Ints{3, 3}}});
  const ValueId deep =
      net.node("Conv", {net.node("Relu", {a}), net.random({8, 1, 3, 3}), net.random({8})},
               {{"kernel_shape", Ints{3, 3}}, {"group", std::int64_t{8}}});
  const ValueId flat = net.node("Flatten", {net.node("Relu", {deep})});
  return net.finish({net.node("Gemm", {flat, net.random({32, 4}), net.random({4})})});
}

const calib::SampleSource& samples_to_thin_by() {
  static const calib::SampleSource source{64, [](std::int64_t i) {
                                            return std::vector<Tensor>{test::random_tensor(
                                                {1, 3, 6, 6}, static_cast<std::uint64_t>(i) + 1)};
                                          }};
  return source;
}

double noise_to_signal(const Graph& graph, const Graph& other) {
  double noise = 0, signal = 0;
  for (std::int64_t i = 0; i < 32; ++i) {
    const Tensor a = test::evaluate(graph, samples_to_thin_by().sample(i))[0];
    const Tensor b = test::evaluate(other, samples_to_thin_by().sample(i))[0];
    for (std::size_t k = 0; k < a.data<float>().size(); ++k) {
      const auto x = static_cast<double>(a.data<float>()[k]);
      const auto y = static_cast<double>(b.data<float>()[k]);
      noise += (x - y) * (x - y);
      signal += x * x;
    }
  }
  return noise / signal;
}

Graph without_small_weights(Graph graph, double share) {
  std::vector<float> all;
  for (NodeId id : graph.topological_order())
    if (graph.node(id).op != "Relu" && graph.node(id).op != "Flatten")
      for (float w : graph.value(graph.node(id).inputs[1]).constant.data<float>())
        all.push_back(std::abs(w));
  std::sort(all.begin(), all.end());
  const float limit = all[static_cast<std::size_t>(share * static_cast<double>(all.size()))];
  for (NodeId id : graph.topological_order())
    if (graph.node(id).op != "Relu" && graph.node(id).op != "Flatten")
      for (float& w : graph.value(graph.node(id).inputs[1]).constant.mutable_data<float>())
        if (std::abs(w) < limit) w = 0;
  return graph;
}

TEST(Sparsify, ZerosTheShareThatIsAskedForAtTheLeastLoss) {
  const Graph graph = network_to_thin();
  const Sparsified made = sparsify(graph, samples_to_thin_by(), {.share = 0.5});
  const auto [zeros, all] = count_zeros(made.graph);
  EXPECT_EQ(all, made.weights);
  EXPECT_EQ(zeros, made.zeros);
  EXPECT_NEAR(static_cast<double>(zeros) / static_cast<double>(all), 0.5, 0.01);
  EXPECT_LT(noise_to_signal(graph, made.graph),
            0.5 * noise_to_signal(graph, without_small_weights(graph, 0.5)));
  EXPECT_EQ(made.layers.size(), 3U);
}

TEST(Sparsify, StopsAtTheLossThatIsAllowed) {
  const Graph graph = network_to_thin();
  const Sparsified little =
      sparsify(graph, samples_to_thin_by(), {.share = 0.9, .most_loss = 0.01});
  const Sparsified more = sparsify(graph, samples_to_thin_by(), {.share = 0.9, .most_loss = 0.2});
  EXPECT_LE(little.loss, 0.01);
  EXPECT_LE(more.loss, 0.2);
  EXPECT_LT(little.zeros, more.zeros);
}

TEST(Sparsify, TakesBlocksOfChannelsTogether) {
  const Graph graph = network_to_thin();
  const Sparsified made = sparsify(graph, samples_to_thin_by(), {.share = 0.4, .block = 4});
  const auto first = graph.topological_order().front();
  const auto w = made.graph.value(made.graph.node(first).inputs[1]).constant.data<float>();
  std::size_t zeros = 0;
  for (std::size_t k = 0; k < 27; ++k)
    for (std::size_t block = 0; block < 2; ++block) {
      std::size_t mine = 0;
      for (std::size_t r = 4 * block; r < 4 * block + 4; ++r) mine += w[r * 27 + k] == 0 ? 1 : 0;
      EXPECT_TRUE(mine == 0 || mine == 4);
      zeros += mine;
    }
  EXPECT_GT(zeros, 0U);
}

}  // namespace
}  // namespace espquant::compress
