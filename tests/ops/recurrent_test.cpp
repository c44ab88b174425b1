#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "tests/ops/one_node.h"

namespace espquant::ops {
namespace {

using ops::test::OneNode;
using ops::test::refusal;
using ops::test::values;

constexpr std::int64_t kSteps = 4, kBatch = 2, kInput = 3, kHidden = 5;

Tensor random(Shape shape, std::uint64_t seed) {
  Random generator(seed);
  Tensor t(DType::Float32, std::move(shape));
  for (float& x : t.mutable_data<float>()) x = generator.uniform(-1, 1);
  return t;
}

OneNode cell(const std::string& op, const char* direction, Tensor x) {
  const std::int64_t rows = (op == "GRU" ? 3 : 4) * kHidden,
                     d = std::string(direction) == "bidirectional" ? 2 : 1;
  return {op,
          {std::move(x), random({d, rows, kInput}, 1), random({d, rows, kHidden}, 2),
           random({d, 2 * rows}, 3)},
          {{"direction", std::string(direction)}}};
}

/// The same tensor with axis 0 in the other order.
Tensor reversed(const Tensor& t) {
  return OneNode("Slice", {t, ops::test::ints({-1}), ops::test::ints({INT64_MIN}),
                           ops::test::ints({0}), ops::test::ints({-1})})
      .result();
}

class Recurrent : public testing::TestWithParam<const char*> {};

TEST_P(Recurrent, ReverseIsForwardOverTheReversedSequence) {
  const Tensor x = random({kSteps, kBatch, kInput}, 4);
  const auto backward = cell(GetParam(), "reverse", x).with_outputs(2).run();
  const auto forward = cell(GetParam(), "forward", reversed(x)).with_outputs(2).run();
  EXPECT_TRUE(backward[0].equals(reversed(forward[0])));
  EXPECT_TRUE(backward[1].equals(forward[1]));
}

TEST_P(Recurrent, TheFirstOfTwoDirectionsIsForward) {
  const Tensor x = random({kSteps, kBatch, kInput}, 4);
  const OneNode both = cell(GetParam(), "bidirectional", x);
  const Tensor y = both.result();
  EXPECT_EQ(y.shape(), (Shape{kSteps, 2, kBatch, kHidden}));
  OneNode one = cell(GetParam(), "forward", x);
  for (std::size_t i = 1; i < 4; ++i)
    one.inputs[i] = OneNode("Split", {both.inputs[i]}).with_outputs(2).result();
  EXPECT_TRUE(OneNode("Split", {y}, {{"axis", std::int64_t{1}}})
                  .with_outputs(2)
                  .result()
                  .equals(one.result()));
}

TEST_P(Recurrent, BeyondASequencesEndTheOutputIsZero) {
  OneNode node = cell(GetParam(), "forward", random({kSteps, kBatch, kInput}, 4));
  node.inputs.push_back(Tensor::of<std::int32_t>({kBatch}, {kSteps, 1}));
  const auto y = values(node.result());
  EXPECT_NE(y[kHidden], 0) << "step 0 of the short sequence";
  EXPECT_EQ(y[(1 * kBatch + 1) * kHidden], 0) << "its step 1";
  EXPECT_NE(y[(1 * kBatch + 0) * kHidden], 0) << "step 1 of the long one";
}

TEST_P(Recurrent, RefusesWeightsOfAnotherShape) {
  OneNode node = cell(GetParam(), "forward", random({kSteps, kBatch, kInput + 1}, 4));
  EXPECT_EQ(refusal(node), ErrorCode::Malformed);
}

TEST_P(Recurrent, RefusesActivationsThatItDoesNotKnow) {
  OneNode node = cell(GetParam(), "forward", random({kSteps, kBatch, kInput}, 4));
  const std::size_t count = std::string(GetParam()) == "GRU" ? 2 : 3;
  node.set("activations", std::vector<std::string>(count, "Gauss"));
  EXPECT_EQ(refusal(node), ErrorCode::Unsupported);
}

INSTANTIATE_TEST_SUITE_P(Cells, Recurrent, testing::Values("GRU", "LSTM"),
                         [](const auto& p) { return std::string(p.param); });

TEST(Gru, TheResetGateActsBeforeOrAfterTheRecurrentProduct) {
  // One unit, weights zero but for the candidate's: r = 1/2, z = 1/2, h0 = 1, Rb_h = 2, R_h = 3.
  const auto run = [](std::int64_t after) {
    OneNode node(
        "GRU",
        {Tensor(DType::Float32, {1, 1, 1}), Tensor(DType::Float32, {1, 3, 1}),
         ops::test::floats({1, 3, 1}, {0, 0, 3}), ops::test::floats({1, 6}, {0, 0, 0, 0, 0, 2}),
         Tensor(), ops::test::floats({1, 1, 1}, {1})},
        {{"linear_before_reset", after}});
    return values(node.result())[0];
  };
  EXPECT_FLOAT_EQ(run(0), 0.5F * std::tanh(3 * 0.5F + 2) + 0.5F);
  EXPECT_FLOAT_EQ(run(1), 0.5F * std::tanh((3 + 2) * 0.5F) + 0.5F);
}

}  // namespace
}  // namespace espquant::ops
