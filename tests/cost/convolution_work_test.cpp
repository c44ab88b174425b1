#include "cost/convolution_work.h"

#include <gtest/gtest.h>

#include "cost/board.h"

namespace espquant::cost {
namespace {

struct TileCase {
  const char* target;
  double kernel, in, out, pixels;
  int bits = 8, weight_bits = 8;
  const char* release = "3.3.15";
};

std::optional<Tiles> tiles(const TileCase& c) {
  ConvolutionShape s;
  s.kernel_height = s.kernel_width = c.kernel;
  s.taps = c.kernel * c.kernel;
  s.in_channels = c.in;
  s.out_channels = c.out;
  s.in_width = s.out_width = c.pixels;
  s.bits = c.bits;
  s.weight_bits = c.weight_bits;
  const Target& target = find_target(c.target).under(find_release(c.release));
  return tiles_of(s, target, board_of(target).tile_bytes);
}

TEST(Tiles, OfPointwiseConvolutionsFollowTheRule) {
  // 16 KiB / 96 = 170.6: 160 channels, and 320 needed.
  const auto some = tiles({"esp32s3", 1, 96, 576, 196});
  ASSERT_TRUE(some);
  EXPECT_EQ(some->channels, 160);
  EXPECT_EQ(some->count, 4);
  EXPECT_EQ(some->passes, 7);
  EXPECT_TRUE(tiles({"esp32s3", 1, 96, 320, 196}));
  EXPECT_FALSE(tiles({"esp32s3", 1, 96, 304, 196})) << "less than two tiles";
  EXPECT_TRUE(tiles({"esp32s3", 1, 1024, 512, 196}));
  EXPECT_FALSE(tiles({"esp32s3", 1, 1040, 512, 196})) << "no 16 channels in 16 KiB";
  EXPECT_EQ(tiles({"esp32p4", 1, 1040, 512, 196})->channels, 16) << "32 KiB";
  EXPECT_FALSE(tiles({"esp32s31", 1, 1040, 512, 196}));
  EXPECT_FALSE(tiles({"esp32s3", 1, 96, 576, 1})) << "one pixel";
  EXPECT_FALSE(tiles({"esp32s3", 1, 97, 576, 196})) << "lanes are not filled";
  EXPECT_FALSE(tiles({"esp32s3", 1, 96, 577, 196}));
  EXPECT_FALSE(tiles({"esp32c3", 1, 96, 576, 196}));
}

TEST(Tiles, CountBytesOfWeights) {
  EXPECT_EQ(tiles({"esp32s3", 1, 96, 576, 196, 16, 16})->channels, 80);
  EXPECT_EQ(tiles({"esp32s3", 1, 96, 576, 196, 16, 8})->channels, 168) << "lanes of 8";
}

TEST(Tiles, OfLargerKernelsHoldAtLeastOneVector) {
  // 9 * 64 * 16 = 9 KiB fit; 9 * 256 * 16 = 36 KiB do not, and are a tile all the same.
  EXPECT_EQ(tiles({"esp32s3", 3, 64, 64, 100})->channels, 16);
  EXPECT_EQ(tiles({"esp32s3", 3, 256, 256, 100})->channels, 16);
  EXPECT_FALSE(tiles({"esp32s3", 3, 256, 16, 100}));
}

TEST(Tiles, ComeWithReleases) {
  EXPECT_FALSE(tiles({"esp32s3", 1, 96, 576, 196, 8, 8, "3.3.11"}));
  EXPECT_TRUE(tiles({"esp32s3", 1, 96, 576, 196, 8, 8, "3.3.12"}));
  EXPECT_FALSE(tiles({"esp32s3", 3, 64, 64, 100, 8, 8, "3.3.13"}));
  EXPECT_TRUE(tiles({"esp32s3", 3, 64, 64, 100, 8, 8, "3.3.14"}));
}

TEST(Tiles, NeedAKnownActivationAndOnTheS3NoLeftShift) {
  ConvolutionShape s;
  s.in_channels = 96;
  s.out_channels = 576;
  s.out_width = 196;
  const auto cut = [&](const char* target) {
    return tiles_of(s, find_target(target), 16 * 1024).has_value();
  };
  EXPECT_TRUE(cut("esp32s3"));
  s.shifts_left = true;
  EXPECT_FALSE(cut("esp32s3"));
  EXPECT_TRUE(cut("esp32p4"));
  s.plain_activation = false;
  EXPECT_FALSE(cut("esp32p4"));
}

TEST(Tiles, OfProductsNeedNotFillTheLastLanes) {
  ConvolutionShape s;
  s.product = true;
  s.in_channels = 80;
  s.out_channels = 6906;
  s.out_width = 40;
  EXPECT_TRUE(tiles_of(s, find_target("esp32p4"), 32 * 1024));
  EXPECT_FALSE(tiles_of(s, find_target("esp32p4").under(find_release("3.3.13")), 32 * 1024));
}

}  // namespace
}  // namespace espquant::cost
