#include "measure/output_noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace espquant::measure {
namespace {

using Part = OutputNoise::Part;

Part part(std::size_t output, std::string name, double noise, double signal, double elements = 1) {
  return {output, "out" + std::to_string(output), std::move(name), {noise, signal}, elements, {}};
}

TEST(OutputNoise, OutputsStandApartAndTheWorstCounts) {
  const OutputNoise noise({part(0, "", 1, 1000), part(1, "", 1, 10)});
  ASSERT_EQ(noise.groups().size(), 2U);
  EXPECT_DOUBLE_EQ(noise.ratio(), 0.1);
  EXPECT_DOUBLE_EQ(noise.mean_ratio(), (0.1 + 0.001) / 2);
}

TEST(OutputNoise, PartsOfOneSizeAreOneGroup) {
  const OutputNoise noise({part(0, "a", 1, 100), part(0, "b", 9, 300)});
  ASSERT_EQ(noise.groups().size(), 1U);
  EXPECT_EQ(noise.groups()[0].name, "") << "there is nothing beside it";
  EXPECT_DOUBLE_EQ(noise.ratio(), 10.0 / 400);
}

TEST(OutputNoise, SizesAreOfElementsNotOfParts) {
  const OutputNoise noise({part(0, "many", 0, 1e6, 1e6), part(0, "few", 0, 4, 4)});
  EXPECT_EQ(noise.groups().size(), 1U);
}

TEST(OutputNoise, APartOfZerosHasNoSizeOfItsOwn) {
  const OutputNoise noise({part(0, "zeros", 1, 0), part(0, "rest", 1, 100)});
  ASSERT_EQ(noise.groups().size(), 1U);
  EXPECT_DOUBLE_EQ(noise.ratio(), 2.0 / 100);
}

TEST(OutputNoise, AnOutputOfZerosDoesNotOutweighTheOthers) {
  const OutputNoise noise({part(0, "", 1, 0), part(1, "", 1, 100)});
  EXPECT_DOUBLE_EQ(noise.ratio(), 0.01);
  EXPECT_DOUBLE_EQ(OutputNoise({part(0, "", 1, 0)}).ratio(), 1.0) << "unless there is no other";
}

TEST(OutputNoise, SamplesAddUp) {
  OutputNoise sum;
  sum.add(OutputNoise({part(0, "", 1, 10)}));
  sum.add(OutputNoise({part(0, "", 2, 20)}));
  EXPECT_DOUBLE_EQ(sum.ratio(), 0.1);
}

TEST(OutputNoise, LessIsLessOfTheWorstOrOfTheOthersBesideAnEqualWorst) {
  const OutputNoise base({part(0, "", 10, 100), part(1, "", 5, 100)});
  EXPECT_TRUE(OutputNoise({part(0, "", 8, 100), part(1, "", 7, 100)}).is_below(0.9, base));
  EXPECT_TRUE(OutputNoise({part(0, "", 10, 100), part(1, "", 1, 100)}).is_below(0.9, base));
  EXPECT_FALSE(OutputNoise({part(0, "", 11, 100), part(1, "", 0, 100)}).is_below(0.9, base));
  EXPECT_FALSE(base.is_below(1, base));
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_FALSE(OutputNoise({part(0, "", infinity, 100)}).is_below(1, base));
  EXPECT_FALSE(OutputNoise({part(0, "", infinity, 100)}).is_finite());
}

}  // namespace
}  // namespace espquant::measure
