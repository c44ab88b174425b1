#include "train/distill.h"

#include <gtest/gtest.h>

#include "tests/support/network.h"
#include "train/adam.h"

namespace espquant::train {
namespace {

Graph classifier() {
  test::Network net;
  const ValueId x = net.input("x", {1, 2, 6, 6});
  const ValueId y =
      net.node("Relu", {net.node("Conv", {x, net.random({4, 2, 3, 3}), net.random({4})})});
  const ValueId pooled = net.node("Flatten", {net.node("GlobalAveragePool", {y})});
  const ValueId scores = net.node("Gemm", {pooled, net.random({4, 3}), net.random({3})});
  return net.finish({net.node("Softmax", {scores})});
}

calib::SampleSource random_source(std::int64_t count) {
  return {count, [](std::int64_t i) {
            return std::vector<Tensor>{
                test::random_tensor({1, 2, 6, 6}, static_cast<std::uint64_t>(i) + 9)};
          }};
}

Graph disturbed(Graph graph) {
  for (ValueId v : weights_of(graph))
    for (float& w : graph.value(v).constant.mutable_data<float>()) w *= 0.7F;
  return graph;
}

TEST(Distill, BringsTheStudentBackToItsTeacher) {
  for (const Distance distance : {Distance::Squares, Distance::Scores}) {
    DistillSettings settings;
    settings.steps = 150;
    settings.rate = 0.03;
    settings.distance = distance;
    settings.features = 0.1;
    const Distilled made =
        distill(classifier(), {disturbed(classifier())}, random_source(64), settings);
    EXPECT_EQ(made.steps, 150);
    EXPECT_LT(made.loss_after, 0.1 * made.loss_before);
  }
}

TEST(Distill, KeepsZeros) {
  Graph graph = disturbed(classifier());
  const ValueId w = weights_of(graph)[0], bias = weights_of(graph).back();
  for (std::size_t k = 0; k < 20; ++k) graph.value(w).constant.mutable_data<float>()[k] = 0;
  graph.value(bias).constant.mutable_data<float>()[0] = 0;
  DistillSettings settings;
  settings.steps = 5;
  settings.keep_zeros = true;
  const Distilled made = distill(classifier(), {graph}, random_source(16), settings);
  for (std::size_t k = 0; k < 20; ++k)
    EXPECT_EQ(made.graph.value(w).constant.data<float>()[k], 0) << k;
  EXPECT_NE(made.graph.value(w).constant.data<float>()[20],
            graph.value(w).constant.data<float>()[20]);
  // A bias is no weight.
  EXPECT_NE(made.graph.value(bias).constant.data<float>()[0], 0);
}

TEST(Distill, StopsWhereItIsToldTo) {
  DistillSettings settings;
  settings.steps = 50;
  settings.progress = [](std::int64_t done, std::int64_t, double) { return done < 7; };
  EXPECT_EQ(distill(classifier(), {disturbed(classifier())}, random_source(16), settings).steps, 7);
}

TEST(Distill, LeavesWeightsOnTheirGrid) {
  Student student{classifier()};
  const ValueId w = weights_of(student.graph)[0];
  TensorQuant quant;
  quant.exponents = {-5};
  student.weights.emplace(w, TensorGrids::of(quant, Rounding::HalfUp));
  DistillSettings settings;
  settings.steps = 5;
  const Distilled made = distill(classifier(), student, random_source(16), settings);
  for (float x : made.graph.value(w).constant.data<float>()) EXPECT_EQ(x * 32, std::round(x * 32));
}

TEST(FakeQuant, RoundsAndSaturatesAsTheChipDoes) {
  const Grid up = Grid::of(8, -1, Rounding::HalfUp), even = Grid::of(8, -1, Rounding::HalfEven);
  EXPECT_EQ(up.nearest(0.25F), 0.5F);
  EXPECT_EQ(even.nearest(0.25F), 0.0F);
  EXPECT_EQ(up.nearest(-0.25F), 0.0F);
  EXPECT_EQ(up.nearest(1000), 63.5F);
  EXPECT_EQ(up.nearest(-1000), -64.0F);
  std::vector<float> row{0.25F, 0.3F, -70};
  round_to(up, row);
  EXPECT_EQ(row, (std::vector<float>{0.5F, 0.5F, -64}));
}

TEST(Augmentation, ChangesPicturesAsTold) {
  Tensor picture(DType::Float32, {1, 1, 2, 3});
  float next = 0;
  for (float& x : picture.mutable_data<float>()) x = next++;
  Random random(3);
  bool flipped = false, kept = false;
  for (int i = 0; i < 20; ++i) {
    const auto made = augmented({picture}, {}, {.flip = true}, random);
    flipped |= made[0].data<float>()[0] == 2;
    kept |= made[0].data<float>()[0] == 0;
  }
  EXPECT_TRUE(flipped && kept);
  Augmentation brightness;
  brightness.brightness = 0.5;
  const float last = augmented({picture}, {}, brightness, random)[0].data<float>()[5];
  EXPECT_GE(last, 2.5F);
  EXPECT_LE(last, 7.5F);
  EXPECT_TRUE(augmented({picture}, {}, {}, random)[0].equals(picture));
}

TEST(Augmentation, KeepsColoursOfPicturesWithChannelsLast) {
  Tensor picture(DType::Float32, {1, 6, 6, 3});
  float next = 0;
  for (float& x : picture.mutable_data<float>()) x = next++;
  Random random(3);
  bool flipped = false;
  for (int i = 0; i < 20; ++i) {
    const auto made = augmented({picture}, {}, {.flip = true}, random);
    const auto pixels = made[0].data<float>();
    EXPECT_EQ(pixels[1], pixels[0] + 1);
    EXPECT_EQ(pixels[2], pixels[0] + 2);
    flipped |= pixels[0] == 15;
  }
  EXPECT_TRUE(flipped);
}

}  // namespace
}  // namespace espquant::train
