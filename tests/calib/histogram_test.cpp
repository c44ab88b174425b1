#include "calib/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "calib/calibrate.h"
#include "tests/support/errors.h"
#include "tests/support/network.h"

namespace espquant::calib {
namespace {

std::vector<float> uniform_values(std::size_t count, float low, float high,
                                  std::uint64_t seed = 1) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& v : values) v = random.uniform(low, high);
  return values;
}

Histogram histogram_of(std::span<const float> values) {
  Histogram histogram;
  histogram.add(values, extent_of(values));
  return histogram;
}

TEST(Histogram, CountsEveryMagnitudeInTheBinThatHoldsIt) {
  const std::vector<float> values = uniform_values(5003, -3, 7);
  const Histogram histogram = histogram_of(values);
  std::vector<std::uint64_t> expected(Histogram::kBins);
  std::uint64_t below = 0;
  for (float v : values) {
    const auto x = static_cast<double>(std::abs(v));
    if (x < histogram.edge(0)) ++below;
    for (int i = 0; i < Histogram::kBins; ++i)
      if (x >= histogram.edge(i) && x < histogram.edge(i + 1))
        ++expected[static_cast<std::size_t>(i)];
  }
  EXPECT_EQ(std::vector(histogram.counts().begin(), histogram.counts().end()), expected);
  EXPECT_EQ(histogram.below(), below);
  EXPECT_EQ(histogram.count() + histogram.below(), values.size());
}

TEST(Histogram, BinsAreNarrowerThanOnePercent) {
  const Histogram histogram = histogram_of(uniform_values(10, 1, 3));
  for (int i = 0; i < Histogram::kBins; ++i) {
    EXPECT_GT(histogram.edge(i + 1), histogram.edge(i));
    EXPECT_LT(histogram.edge(i + 1), histogram.edge(i) * 1.01);
  }
  EXPECT_EQ(histogram.edge(Histogram::kBins), 4);
  EXPECT_EQ(histogram.edge(0), std::ldexp(4.0, -Histogram::kOctaves));
}

TEST(Histogram, ZerosAreBelowTheBins) {
  const Histogram histogram = histogram_of(std::vector<float>{0.0F, -0.0F, 1.0F, 0.0F, 1e-9F});
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.below(), 4U);
}

TEST(Histogram, AnOutlierThatComesLateChangesNothing) {
  std::vector<float> bulk = uniform_values(4000, -0.01F, 0.01F);
  const std::vector<float> outlier = {-300.0F};
  Histogram late = histogram_of(bulk);
  late.add(outlier, extent_of(outlier));
  Histogram early = histogram_of(outlier);
  early.add(bulk, extent_of(bulk));
  bulk.push_back(outlier[0]);
  EXPECT_EQ(late, histogram_of(bulk));
  EXPECT_EQ(early, histogram_of(bulk));
}

TEST(Histogram, AWindowThatMovesFarDropsNoCount) {
  Histogram histogram = histogram_of(uniform_values(100, 1, 2));
  const std::vector<float> huge = {1e30F};
  histogram.add(huge, extent_of(huge));
  EXPECT_EQ(histogram.below(), 100U);
  EXPECT_EQ(histogram.count(), 1U);
}

TEST(Histogram, AddingPartsEqualsOneOfTheWhole) {
  std::vector<float> values;
  for (int octave = -12; octave <= 8; ++octave)
    for (float v : uniform_values(300, -1, 1, static_cast<std::uint64_t>(octave + 20)))
      values.push_back(std::ldexp(v, octave));
  const Histogram whole = histogram_of(values);
  for (bool ascending : {true, false}) {
    Histogram sum;
    for (std::size_t part = 0; part < 7; ++part) {
      const std::size_t begin = (ascending ? part : 6 - part) * values.size() / 7;
      const std::size_t end = ((ascending ? part : 6 - part) + 1) * values.size() / 7;
      sum.add(histogram_of(std::span(values).subspan(begin, end - begin)));
    }
    EXPECT_EQ(sum, whole);
  }
}

TEST(Histogram, WithoutAnyValueOtherThanZeroHasNoBins) {
  Histogram histogram = histogram_of(std::vector<float>(9, 0.0F));
  histogram.add(Histogram());
  EXPECT_TRUE(histogram.counts().empty());
  EXPECT_EQ(histogram.below(), 9U);
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.quantile(0.5), 0);
  EXPECT_EQ(histogram.edge(3), 0);
}

TEST(Histogram, TheSmallestAndLargestFloatsAreCounted) {
  const float least = std::numeric_limits<float>::denorm_min(),
              most = std::numeric_limits<float>::max();
  Histogram histogram = histogram_of(std::vector<float>{least, -least});
  EXPECT_EQ(histogram.below(), 2U);
  const std::vector<float> normal = {std::numeric_limits<float>::min()};
  histogram.add(normal, extent_of(normal));
  EXPECT_EQ(histogram.count(), 1U);
  histogram.add(std::vector<float>{most}, Extent{0, most, true});
  EXPECT_EQ(histogram.count(), 1U);
  EXPECT_EQ(histogram.below(), 3U);
}

TEST(Histogram, LeavesOutTensorsThatAreNotFinite) {
  for (float bad : {std::nanf(""), INFINITY, -INFINITY}) {
    const std::vector<float> values = {1.0F, bad};
    EXPECT_EQ(histogram_of(values), Histogram());
  }
}

TEST(Histogram, IsGatheredWhereAskedForWhateverTheNumberOfThreads) {
  test::Network net;
  const ValueId x = net.input("x", {1, 2, 8, 8});
  const ValueId y = net.node("Relu", {net.node("Conv", {x, net.random({3, 2, 3, 3})})});
  const Graph graph = net.finish({y});
  const SampleSource source{
      30, [](std::int64_t i) {
        const auto seed = static_cast<std::uint64_t>(i);
        const float magnitude = std::ldexp(1.0F, static_cast<int>(i) - 15);
        return std::vector<Tensor>{test::random_tensor({1, 2, 8, 8}, seed, -magnitude, magnitude)};
      }};
  const ops::Executor executor(graph);
  std::vector<Request> requests(graph.value_count());
  requests[static_cast<std::size_t>(y)].histogram = true;

  Histogram expected;
  ops::Executor::Workspace workspace(executor);
  for (std::int64_t i = 0; i < source.count; ++i) {
    const Tensor out = executor.run(source.sample(i), workspace)[0];
    expected.add(out.data<float>(), extent_of(out.data<float>()));
  }
  for (int threads : {1, 2, 5}) {
    set_thread_count(threads);
    const Statistics statistics = gather(executor, source, requests);
    EXPECT_EQ(statistics.of(y).histogram, expected) << threads;
    EXPECT_EQ(statistics.of(x).histogram, Histogram());
  }
  set_thread_count(0);
}

TEST(Quantile, OfUniformValuesIsTheShareOfTheRange) {
  const Histogram histogram = histogram_of(uniform_values(200'000, -5, 5));
  for (double fraction : {0.1, 0.5, 0.9, 0.999})
    EXPECT_NEAR(histogram.quantile(fraction), 5 * fraction, 0.02) << fraction;
}

TEST(Quantile, IsExactToABinBesideAnOutlierAThousandTimesLarger) {
  std::vector<float> values = uniform_values(100'000, -1, 1);
  values[500] = 1000;
  EXPECT_NEAR(histogram_of(values).quantile(0.999), 0.999, 0.01);
}

TEST(Quantile, RefusesWhatIsNoFraction) {
  EXPECT_EQ(test::error_of([] { (void)Histogram().quantile(99.99); }).code(), ErrorCode::Internal);
}

}  // namespace
}  // namespace espquant::calib
