#include "quant/weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/network.h"

namespace espquant::quant {
namespace {

using test::Network;

/// A node of one layer whose weights count 0, 1, 2, ...
struct WeightsLayer {
  Graph graph;
  const Node& node() const { return graph.node(0); }
};

WeightsLayer layer_of(const std::string& op, Shape input, Shape weights,
                      const test::AttributeList& attributes = {}) {
  Network net;
  Tensor w(DType::Float32, std::move(weights));
  float next = 0;
  for (float& v : w.mutable_data<float>()) v = next++;
  const ValueId y = net.node(op, {net.input("x", std::move(input)), net.constant(w)}, attributes);
  return {net.finish({y})};
}

TEST(WeightRows, AreTheFiltersOfAConv) {
  const WeightsLayer l = layer_of("Conv", {1, 4, 5, 5}, {6, 2, 1, 3}, {{"group", std::int64_t{2}}});
  const WeightRows rows = weight_rows(l.graph, l.node());
  EXPECT_EQ(rows.rows, 6);
  EXPECT_EQ(rows.columns, 6);
  EXPECT_EQ(rows.rows_per_group, 3);
  EXPECT_EQ(rows.row(1)[0], 6);
  EXPECT_EQ(output_axis(l.graph, l.node()), 0);
}

TEST(WeightRows, AreColumnsOfAGemmUnlessItIsTransposed) {
  const WeightsLayer plain = layer_of("Gemm", {1, 3}, {3, 2});
  EXPECT_EQ(weight_rows(plain.graph, plain.node()).values, (std::vector<float>{0, 2, 4, 1, 3, 5}));
  const WeightsLayer transposed = layer_of("Gemm", {1, 2}, {3, 2}, {{"transB", std::int64_t{1}}});
  EXPECT_EQ(weight_rows(transposed.graph, transposed.node()).values,
            (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(weight_rows(transposed.graph, transposed.node()).rows, 3);
}

TEST(WeightRows, AreColumnsOfAMatMul) {
  const WeightsLayer l = layer_of("MatMul", {1, 4, 3}, {3, 2});
  EXPECT_EQ(weight_rows(l.graph, l.node()).values, (std::vector<float>{0, 2, 4, 1, 3, 5}));
}

TEST(WeightRows, OfAConvTransposeCollectAllInputsOfAnOutputChannel) {
  const WeightsLayer l = layer_of("ConvTranspose", {1, 2, 4, 4}, {2, 3, 1, 2});
  EXPECT_EQ(weight_rows(l.graph, l.node()).values,
            (std::vector<float>{0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11}));
}

TEST(WeightRows, SetIsTheInverseOfGet) {
  const std::vector<WeightsLayer> layers = {
      layer_of("Conv", {1, 2, 5, 5}, {4, 2, 3, 3}), layer_of("Gemm", {1, 3}, {3, 2}),
      layer_of("Gemm", {1, 2}, {3, 2}, {{"transB", std::int64_t{1}}}),
      layer_of("MatMul", {1, 4, 3}, {3, 2}), layer_of("ConvTranspose", {1, 2, 4, 4}, {2, 3, 2, 2})};
  for (const WeightsLayer& l : layers) {
    Graph copy = l.graph;
    const Tensor before = copy.value(l.node().inputs[1]).constant;
    std::vector<float> values = weight_rows(copy, l.node()).values;
    set_weight_rows(copy, l.node(), values);
    EXPECT_TRUE(copy.value(l.node().inputs[1]).constant.equals(before)) << l.node().op;
    for (float& v : values) v += 100;
    set_weight_rows(copy, l.node(), values);
    EXPECT_EQ(weight_rows(copy, l.node()).values, values) << l.node().op;
    EXPECT_EQ(l.graph.value(l.node().inputs[1]).constant.data<float>()[1], 1) << "the original";
  }
}

TEST(WeightRows, ImportanceIsTheMeanSquareUnderEachWeight) {
  // One pixel of 2 channels beside one of padding: a tap over padding counts half as often.
  const WeightsLayer l =
      layer_of("Conv", {1, 2, 1, 2}, {1, 2, 1, 2}, {{"pads", test::Ints{0, 1, 0, 0}}});
  calib::Statistics statistics;
  statistics.values.resize(l.graph.value_count());
  calib::ValueStatistics& input = statistics.values[static_cast<std::size_t>(l.node().inputs[0])];
  input.mean = {1, 1, 3, 5};
  input.mean_square = {1, 3, 10, 30};
  const LayerInputs inputs = layer_inputs(l.graph, statistics);
  EXPECT_EQ(inputs.at(0).mean, (std::vector<double>{0.5, 1, 1.5, 4}));
  const WeightRows rows = weight_rows(l.graph, 0, inputs);
  EXPECT_EQ(rows.importance, (std::vector<double>{0.5, 2, 5, 20}));
  EXPECT_DOUBLE_EQ(weight_signal(rows), 0 * 0.5 + 1 * 2 + 4 * 5 + 9 * 20);
}

/// Squared error of factor * values at 2^exponent, in units of `values`.
double plain_error(std::span<const float> values, std::span<const double> importance, double factor,
                   int exponent, int max_q) {
  const double step = std::ldexp(1.0, exponent) / factor;
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double q = std::clamp(std::nearbyint(values[i] / step), -max_q - 1.0, max_q + 0.0);
    sum += (importance.empty() ? 1 : importance[i]) * std::pow(values[i] - q * step, 2);
  }
  return sum;
}

/// The best of all exponents that are anywhere near.
int brute_force(std::span<const float> values, std::span<const double> importance, double factor,
                int max_q) {
  int best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int e = 20; e >= -40; --e) {
    const double error = plain_error(values, importance, factor, e, max_q);
    if (error < least) {
      least = error;
      best = e;
    }
  }
  return best;
}

std::vector<float> with_outliers(std::uint64_t seed, std::size_t count) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& v : values) v = random.uniform(-1, 1) * std::pow(random.uniform(), 4.0F);
  return values;
}

TEST(BestExponent, IsThatOfBruteForce) {
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    for (const float factor : {1.0F, 1.4F, 8.0F}) {
      const auto values = with_outliers(seed, 500);
      const ExponentChoice choice = best_exponent(values, factor, 127);
      ASSERT_EQ(choice.exponents.size(), 1u);
      EXPECT_EQ(choice.exponents[0], brute_force(values, {}, factor, 127)) << seed;
      const double error = plain_error(values, {}, factor, choice.exponents[0], 127);
      EXPECT_NEAR(choice.error, error, 1e-4 * error);
    }
}

TEST(BestExponent, ClipsWhereTheRestGainsByIt) {
  std::vector<float> values(10000, 0.01F);
  values[0] = 1.05F;
  EXPECT_EQ(best_exponent(values, 1, 127).exponents[0], brute_force(values, {}, 1, 127));
  EXPECT_LT(best_exponent(values, 1, 127).exponents[0], -6);
}

TEST(BestExponent, DoesNotGoBelowItsFloor) {
  EXPECT_EQ(best_exponent(with_outliers(1, 100), 1, 127, -3).exponents[0], -3);
  EXPECT_EQ(best_exponent(std::vector<float>(4, 0.0F), 1, 127, -5).exponents[0], -5);
}

WeightRows rows_of(std::int64_t rows, std::int64_t columns, std::uint64_t seed) {
  WeightRows w;
  w.rows = w.rows_per_group = rows;
  w.columns = columns;
  w.values = with_outliers(seed, static_cast<std::size_t>(rows * columns));
  // Rows of quite different ranges.
  for (std::size_t i = 0; i < w.values.size(); ++i)
    w.values[i] *= std::exp2(static_cast<float>(static_cast<std::int64_t>(i) / columns));
  return w;
}

TEST(BestWeightExponents, PerChannelAreTheBestOfEachRow) {
  const WeightRows rows = rows_of(5, 60, 3);
  const ExponentChoice choice = best_weight_exponents(rows, 1, 127, true);
  ASSERT_EQ(choice.exponents.size(), 5u);
  double error = 0;
  for (std::int64_t r = 0; r < 5; ++r) {
    const ExponentChoice one = best_exponent(rows.row(r), 1, 127);
    EXPECT_EQ(choice.exponents[static_cast<std::size_t>(r)], one.exponents[0]);
    error += one.error;
  }
  EXPECT_DOUBLE_EQ(choice.error, error);
}

TEST(BestWeightExponents, CountErrorsByTheirImportance) {
  WeightRows rows = rows_of(1, 400, 4);
  // Only what is small matters.
  for (const float v : rows.values) rows.importance.push_back(std::abs(v) < 0.1F ? 1 : 0);
  EXPECT_EQ(best_weight_exponents(rows, 1, 127, false).exponents[0],
            brute_force(rows.values, rows.importance, 1, 127));
  EXPECT_LT(best_weight_exponents(rows, 1, 127, false).exponents[0],
            best_exponent(rows.values, 1, 127).exponents[0]);
}

TEST(BestWeightExponents, KeepTheFloorOfEachRowOrTheHighestOfAll) {
  const WeightRows rows = rows_of(2, 40, 5);
  const std::vector<int> floors = {3, -2};
  EXPECT_EQ(best_weight_exponents(rows, 1, 127, true, floors).exponents, floors);
  EXPECT_EQ(best_weight_exponents(rows, 1, 127, false, floors).exponents, std::vector<int>{3});
}

}  // namespace
}  // namespace espquant::quant
