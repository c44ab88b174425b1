#include "data/resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/data/image_fixtures.h"
#include "tests/data/patterns.h"

namespace espquant::data {
namespace {

struct PillowCase {
  std::int64_t width, height;
  std::span<const std::uint8_t> pixels;
};

class PillowBilinear : public testing::TestWithParam<PillowCase> {};

TEST_P(PillowBilinear, EqualsPillow) {
  const auto& [width, height, pixels] = GetParam();
  const Tensor out = resize_image(test::pattern(5, 7, 3), width, height, Resize::PillowBilinear);
  ASSERT_EQ(out.shape(), (Shape{height, width, 3}));
  EXPECT_TRUE(std::ranges::equal(out.data<std::uint8_t>(), pixels));
}

INSTANTIATE_TEST_SUITE_P(Resize, PillowBilinear,
                         testing::Values(PillowCase{3, 2, fixtures::kPillow3x2},
                                         PillowCase{11, 8, fixtures::kPillow11x8},
                                         PillowCase{10, 3, fixtures::kPillow10x3},
                                         PillowCase{7, 2, fixtures::kPillow7x2}));

TEST(Resize, PillowBilinearEqualsPillowWhereManyPixelsBecomeOne) {
  const Tensor out = resize_image(test::pattern(61, 83, 1), 4, 3, Resize::PillowBilinear);
  EXPECT_TRUE(std::ranges::equal(out.data<std::uint8_t>(), fixtures::kPillowGray4x3));
}

TEST(Resize, NearestEqualsPillow) {
  const Tensor out = resize_image(test::pattern(5, 7, 3), 3, 8, Resize::Nearest);
  EXPECT_TRUE(std::ranges::equal(out.data<std::uint8_t>(), fixtures::kPillowNearest3x8));
}

TEST(Resize, OpenCvBilinearReadsTwoNeighboursAtAnyFactor) {
  const Tensor row = Tensor::of<std::uint8_t>({1, 8, 1}, {0, 10, 30, 0, 200, 100, 50, 0});
  const auto by = [&](std::int64_t width, Resize method) {
    const Tensor out = resize_image(row, width, 1, method);
    return std::vector<int>(out.data<std::uint8_t>().begin(), out.data<std::uint8_t>().end());
  };
  EXPECT_EQ(by(2, Resize::OpenCvBilinear), (std::vector{20, 75}));  // pixels 1, 2 and 5, 6
  EXPECT_NE(by(2, Resize::PillowBilinear), (std::vector{20, 75}));
  const Tensor pair = Tensor::of<std::uint8_t>({1, 2, 1}, {0, 100});
  const Tensor wide = resize_image(pair, 4, 1, Resize::OpenCvBilinear);
  EXPECT_TRUE(wide.equals(Tensor::of<std::uint8_t>({1, 4, 1}, {0, 25, 75, 100})));
}

TEST(Resize, KeepsAnImageOfTheRightSize) {
  for (const Resize method : {Resize::OpenCvBilinear, Resize::PillowBilinear, Resize::Nearest})
    EXPECT_TRUE(resize_image(test::pattern(5, 7, 3), 7, 5, method).equals(test::pattern(5, 7, 3)));
}

}  // namespace
}  // namespace espquant::data
