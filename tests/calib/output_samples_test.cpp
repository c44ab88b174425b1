#include "calib/output_samples.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/network.h"

namespace espquant::calib {
namespace {

using test::Ints;
using test::Network;

TEST(PositionChoice, SeesEveryPositionInSomeSample) {
  const PositionChoice choice = choose_positions(100, 40, 400);
  EXPECT_EQ(choice.per_sample, 10);
  std::set<std::int64_t> seen;
  for (std::int64_t s = 0; s < 40; ++s)
    for (std::int64_t i = 0; i < choice.per_sample; ++i) seen.insert(choice.position(i, s));
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(*seen.rbegin(), 99);
}

TEST(PositionChoice, TakesAllWhereThereAreFew) {
  const PositionChoice choice = choose_positions(4, 10, 1000);
  EXPECT_EQ(choice.per_sample, 4);
  EXPECT_EQ(choice.position(3, 7), 3);
  EXPECT_EQ(choose_positions(0, 10, 1000).per_sample, 0);
}

/// A convolution (16 positions) and, behind it, a matrix.
struct Small {
  Small() {
    const ValueId x = net.input("x", {1, 3, 4, 4});
    conv = net.node("Conv", {x, net.random({5, 3, 3, 3}), net.random({5})},
                    {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
    const ValueId flat = net.node("Flatten", {net.node("Relu", {conv})});
    gemm = net.node("Gemm", {flat, net.random({80, 7}), net.random({7})});
    graph = net.finish({gemm});
  }
  NodeId layer(ValueId v) const { return graph.value(v).producer; }

  Network net;
  ValueId conv = kNone, gemm = kNone;
  Graph graph;
};

TEST(OutputSamples, KeepWhatALayerPutsOutBeforeItsActivation) {
  const Small small;
  const std::vector<NodeId> layers{small.layer(small.conv), small.layer(small.gemm)};
  LayerOutputs kept = room_for_outputs(small.graph, layers, 2);
  ASSERT_EQ(kept.size(), 2u);
  const ops::Executor executor(small.graph);
  ops::Executor::Workspace workspace(executor);
  for (std::int64_t s = 0; s < 2; ++s) {
    const std::vector<Tensor> x{
        test::random_tensor({1, 3, 4, 4}, static_cast<std::uint64_t>(s) + 1)};
    Tensor conv(DType::Float32, {1, 5, 4, 4});
    const std::vector<Tensor> outputs =
        executor.run(x, workspace, [&](const ops::Executor::View& view) {
          keep_outputs(small.graph, view, s, kept);
          if (view.value != small.conv) return;
          for (std::int64_t c = 0; c < 5; ++c)
            for (std::int64_t p = 0; p < 16; ++p)
              conv.mutable_data<float>()[static_cast<std::size_t>(c * 16 + p)] =
                  view.data[static_cast<std::size_t>(view.channels_last ? p * 5 + c : c * 16 + p)];
        });
    const OutputSamples& of_conv = kept.at(layers[0]);
    ASSERT_EQ(of_conv.choice.per_sample, 16) << "all of them are not too many";
    for (std::int64_t i = 0; i < 16; ++i)
      for (std::int64_t c = 0; c < 5; ++c)
        EXPECT_EQ(
            of_conv.at(s, i)[c],
            conv.data<float>()[static_cast<std::size_t>(c * 16 + of_conv.choice.position(i, s))]);
    const OutputSamples& of_gemm = kept.at(layers[1]);
    ASSERT_EQ(of_gemm.channels, 7);
    for (std::int64_t c = 0; c < 7; ++c)
      EXPECT_EQ(of_gemm.at(s, 0)[c], outputs[0].data<float>()[static_cast<std::size_t>(c)]);
  }
}

TEST(OutputSamples, FiltersThatAreTooWideAreNotFollowed) {
  Network net;
  const ValueId x = net.input("x", {1, kMostFollowedColumns + 1});
  const ValueId y = net.node("Gemm", {x, net.random({kMostFollowedColumns + 1, 2})});
  const Graph graph = net.finish({y});
  const std::vector<NodeId> layers{graph.value(y).producer};
  EXPECT_TRUE(room_for_outputs(graph, layers, 16).empty());
}

TEST(Patches, OfIntegersAreThoseOfTheSameFloats) {
  const Small small;
  const Patches patches(small.graph, small.graph.node(small.layer(small.conv)));
  std::vector<std::int8_t> bytes;
  for (int i = 0; i < 48; ++i) bytes.push_back(static_cast<std::int8_t>(i * 5 - 120));
  const std::vector<std::int16_t> words(bytes.begin(), bytes.end());
  const std::vector<float> floats(bytes.begin(), bytes.end());
  const auto width = static_cast<std::size_t>(patches.width());
  std::vector<float> a(width), b(width), c(width);
  for (const bool channels_last : {false, true}) {
    for (std::int64_t p = 0; p < patches.positions(); ++p) {
      patches.copy(floats.data(), channels_last, p, a.data());
      patches.copy(bytes.data(), channels_last, p, b.data());
      patches.copy(words.data(), channels_last, p, c.data());
      EXPECT_EQ(a, b);
      EXPECT_EQ(a, c);
    }
  }
}

}  // namespace
}  // namespace espquant::calib
