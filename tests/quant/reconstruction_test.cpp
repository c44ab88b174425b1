#include "quant/reconstruction.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace espquant::quant {
namespace {

WeightRows reconstruction_random_rows(Random& random, std::int64_t rows, std::int64_t columns,
                                      std::int64_t rows_per_group) {
  WeightRows w;
  w.rows = rows;
  w.columns = columns;
  w.rows_per_group = rows_per_group;
  w.values.resize(static_cast<std::size_t>(rows * columns));
  for (float& v : w.values) v = random.uniform(-1, 1);
  return w;
}

LayerEvidence random_inputs(Random& random, std::int64_t positions, std::int64_t taps,
                            std::int64_t channels) {
  LayerEvidence e;
  e.positions = positions;
  e.first_half = positions / 2;
  e.taps = taps;
  e.channels = channels;
  e.inputs.resize(static_cast<std::size_t>(positions * taps * channels));
  for (float& v : e.inputs) v = random.uniform(-1, 2);
  return e;
}

/// What the weights (in rows' order: channel, tap) make of the inputs, in groups;
/// [positions][rows].
std::vector<float> outputs_of(const WeightRows& rows, const LayerEvidence& e) {
  std::vector<float> outputs;
  const std::int64_t groups = rows.rows / rows.rows_per_group, per_group = e.channels / groups;
  for (std::int64_t i = 0; i < e.positions; ++i)
    for (std::int64_t r = 0; r < rows.rows; ++r) {
      float sum = 0;
      for (std::int64_t c = 0; c < per_group; ++c)
        for (std::int64_t t = 0; t < e.taps; ++t) {
          const std::int64_t channel = r / rows.rows_per_group * per_group + c;
          sum += rows.row(r)[static_cast<std::size_t>(c * e.taps + t)] *
                 e.inputs[static_cast<std::size_t>((i * e.taps + t) * e.channels + channel)];
        }
      outputs.push_back(sum);
    }
  return outputs;
}

/// Mean square of what the fitted weights leave of the outputs, around the means.
double error_left(const WeightRows& fitted, const LayerEvidence& e) {
  WeightRows by_channel_rows = fitted;
  by_channel_rows.values = by_channel(fitted, fitted.values, e.taps);
  const std::vector<float> actual = outputs_of(by_channel_rows, e);
  const auto rows = static_cast<std::size_t>(fitted.rows);
  std::vector<double> mean(rows, 0.0);
  const auto n = static_cast<double>(e.positions);
  for (std::size_t i = 0; i < actual.size(); ++i)
    mean[i % rows] += static_cast<double>(e.outputs[i] - actual[i]) / n;
  double sum = 0;
  for (std::size_t i = 0; i < actual.size(); ++i)
    sum += std::pow(static_cast<double>(e.outputs[i] - actual[i]) - mean[i % rows], 2) / n;
  return sum;
}

/// Layers: one of several channels, a depthwise one, one in groups.
struct Kind {
  const char* name;
  std::int64_t rows, rows_per_group, taps, channels;
};

class ReconstructionOf : public testing::TestWithParam<Kind> {
 protected:
  WeightRows rows(Random& random) const {
    const Kind& k = GetParam();
    const std::int64_t groups = k.rows / k.rows_per_group;
    return reconstruction_random_rows(random, k.rows, k.taps * k.channels / groups,
                                      k.rows_per_group);
  }
  LayerEvidence inputs(Random& random, std::int64_t positions = 600) const {
    return random_inputs(random, positions, GetParam().taps, GetParam().channels);
  }
};

TEST_P(ReconstructionOf, MakesUpForWhatTheInputsHaveLost) {
  Random random(1);
  const WeightRows rows = this->rows(random);
  LayerEvidence evidence = inputs(random);
  evidence.outputs = outputs_of(rows, evidence);
  // The chip's inputs: a fifth is missing, and some noise is in them.
  for (float& v : evidence.inputs) v = 0.8F * v + random.uniform(-0.01F, 0.01F);
  WeightRows before = rows;
  before.values = by_tap(rows, evidence.taps);
  const double lost = error_left(before, evidence);
  const Reconstruction fitted = reconstruct(rows, evidence);
  EXPECT_LT(error_left(fitted.rows, evidence), 0.02 * lost);
  for (std::size_t i = 0; i < before.values.size(); ++i)
    EXPECT_NEAR(fitted.rows.values[i], before.values[i] / 0.8F, 0.02) << i;
}

TEST_P(ReconstructionOf, StaysWhereNothingIsLost) {
  Random random(2);
  const WeightRows rows = this->rows(random);
  LayerEvidence evidence = inputs(random);
  evidence.outputs = outputs_of(rows, evidence);
  const std::vector<float> before = by_tap(rows, evidence.taps);
  const Reconstruction fitted = reconstruct(rows, std::move(evidence));
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_NEAR(fitted.rows.values[i], before[i], 1e-4) << i;
}

TEST_P(ReconstructionOf, DoesNotFollowNoiseOfTheOutputs) {
  Random random(3);
  const WeightRows rows = this->rows(random);
  LayerEvidence evidence = inputs(random, 40);
  evidence.outputs = outputs_of(rows, evidence);
  LayerEvidence others = inputs(random, 4000);
  others.outputs = outputs_of(rows, others);
  const double signal = error_left({rows.rows,
                                    rows.columns,
                                    std::vector<float>(rows.values.size(), 0.0F),
                                    {},
                                    rows.rows_per_group},
                                   others);
  for (float& v : evidence.outputs) v += random.uniform(-0.3F, 0.3F);
  const Reconstruction fitted = reconstruct(rows, std::move(evidence));
  EXPECT_LT(error_left(fitted.rows, others), 0.01 * signal);
}

TEST_P(ReconstructionOf, KnowsHowTheInputsVary) {
  Random random(4);
  const WeightRows rows = this->rows(random);
  LayerEvidence evidence = inputs(random, 1000);
  evidence.outputs = outputs_of(rows, evidence);
  const LayerEvidence kept = evidence;
  const calib::Covariance inputs = reconstruct(rows, std::move(evidence)).inputs;
  const std::int64_t groups = rows.rows / rows.rows_per_group, per_group = kept.channels / groups;
  ASSERT_EQ(inputs.columns, rows.columns);
  for (std::int64_t g = 0; g < groups; ++g) {
    const auto x = [&](std::int64_t i, std::int64_t k) {
      const std::int64_t tap = k / per_group, channel = g * per_group + k % per_group;
      return static_cast<double>(
          kept.inputs[static_cast<std::size_t>((i * kept.taps + tap) * kept.channels + channel)]);
    };
    for (std::int64_t a = 0; a < rows.columns; ++a) {
      double mean = 0;
      for (std::int64_t i = 0; i < kept.positions; ++i)
        mean += x(i, a) / static_cast<double>(kept.positions);
      EXPECT_NEAR(inputs.mean_of(g)[static_cast<std::size_t>(a)], mean, 1e-5);
      for (std::int64_t b = 0; b < rows.columns; ++b) {
        double moment = 0;
        for (std::int64_t i = 0; i < kept.positions; ++i)
          moment += x(i, a) * x(i, b) / static_cast<double>(kept.positions);
        // The halves' means differ by chance, which is no variance within them.
        EXPECT_NEAR(inputs.moment_of(g)[static_cast<std::size_t>(a * rows.columns + b)], moment,
                    0.01);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, ReconstructionOf,
                         testing::Values(Kind{"dense", 5, 5, 4, 6}, Kind{"depthwise", 6, 1, 9, 6},
                                         Kind{"grouped", 6, 3, 4, 8}),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST(Reconstruction, OfADepthwiseLayerIsThatOfEachChannelByItself) {
  Random random(5);
  const WeightRows rows = reconstruction_random_rows(random, 4, 9, 1);
  LayerEvidence evidence = random_inputs(random, 300, 9, 4);
  evidence.outputs = outputs_of(rows, evidence);
  for (float& v : evidence.inputs) v = 0.9F * v + random.uniform(-0.05F, 0.05F);
  const Reconstruction all = reconstruct(rows, evidence);
  for (std::int64_t c = 0; c < 4; ++c) {
    WeightRows one;
    one.rows = one.rows_per_group = 1;
    one.columns = 9;
    one.values.assign(rows.row(c).begin(), rows.row(c).end());
    LayerEvidence mine = evidence;
    mine.channels = 1;
    mine.inputs.clear();
    mine.outputs.clear();
    for (std::int64_t i = 0; i < evidence.positions; ++i) {
      for (std::int64_t t = 0; t < 9; ++t)
        mine.inputs.push_back(evidence.inputs[static_cast<std::size_t>((i * 9 + t) * 4 + c)]);
      mine.outputs.push_back(evidence.outputs[static_cast<std::size_t>(i * 4 + c)]);
    }
    const Reconstruction alone = reconstruct(one, std::move(mine));
    for (std::size_t t = 0; t < 9; ++t)
      EXPECT_NEAR(alone.rows.values[t], all.rows.row(c)[t], 2e-3) << c << " " << t;
  }
}

TEST(Reconstruction, OrdersColumnsByTapAndBack) {
  WeightRows rows;
  rows.rows = rows.rows_per_group = 1;
  rows.columns = 6;
  rows.values = {11, 12, 13, 21, 22, 23};
  const std::vector<float> turned = by_tap(rows, 3);
  EXPECT_EQ(turned, (std::vector<float>{11, 21, 12, 22, 13, 23}));
  EXPECT_EQ(by_channel(rows, turned, 3), rows.values);
}

}  // namespace
}  // namespace espquant::quant
