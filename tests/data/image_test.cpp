#include "data/image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/png.h"
#include "tests/data/image_fixtures.h"
#include "tests/data/patterns.h"

namespace espquant::data {
namespace {

std::span<const std::byte> file(std::span<const std::uint8_t> bytes) {
  return std::as_bytes(bytes);
}

ErrorCode image_code_of(std::span<const std::byte> bytes) {
  try {
    decode_image(bytes);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::Internal;
}

void expect_pixels(const Tensor& image, const Shape& shape, std::span<const std::uint8_t> pixels) {
  ASSERT_EQ(image.shape(), shape);
  EXPECT_TRUE(std::ranges::equal(image.data<std::uint8_t>(), pixels));
}

TEST(Image, DecodesJpegAsPillowDoes) {
  expect_pixels(decode_image(file(fixtures::kJpegRgb)), {6, 16, 3}, fixtures::kJpegRgbPixels);
  expect_pixels(decode_image(file(fixtures::kJpegProgressive)), {6, 16, 3},
                fixtures::kJpegRgbPixels);
  expect_pixels(decode_image(file(fixtures::kJpegGray)), {4, 8, 1}, fixtures::kJpegGrayPixels);
}

TEST(Image, DecodesPngAndDropsAlpha) {
  EXPECT_TRUE(decode_image(file(fixtures::kPngRgb)).equals(test::pattern(2, 3, 3)));
  EXPECT_TRUE(decode_image(file(fixtures::kPngRgba)).equals(test::pattern(2, 3, 3)));
  EXPECT_TRUE(decode_image(file(fixtures::kPngGrayAlpha)).equals(test::pattern(2, 3, 1)));
}

TEST(Image, TakesTheHighByteOf16Bits) {
  EXPECT_TRUE(decode_image(file(fixtures::kPngGray16)).equals(test::pattern(2, 3, 1)));
}

TEST(Image, ResolvesPalettesAndSingleBits) {
  const std::vector<std::uint8_t> colours = {10, 20, 30, 40, 50, 60, 70, 80, 90,
                                             70, 80, 90, 40, 50, 60, 10, 20, 30};
  expect_pixels(decode_image(file(fixtures::kPngPalette)), {2, 3, 3}, colours);
  const std::vector<std::uint8_t> bits = {0, 255, 0, 255, 255, 0};
  expect_pixels(decode_image(file(fixtures::kPngOneBit)), {2, 3, 1}, bits);
}

TEST(Image, WritesPngsThatDecodeToTheSamePixels) {
  for (const std::int64_t channels : {1, 3}) {
    Tensor pixels(DType::UInt8, {5, 7, channels});
    auto values = pixels.mutable_data<std::uint8_t>();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(37 * i);
    const std::vector<std::byte> written = encode_png(pixels);
    const Tensor back = decode_png(written);
    EXPECT_EQ(back.shape(), pixels.shape());
    EXPECT_TRUE(std::ranges::equal(back.bytes(), pixels.bytes()));
    EXPECT_EQ(encode_png(pixels), written);
  }
}

TEST(Image, RefusesOtherFormatsAndColours) {
  EXPECT_EQ(image_code_of(file(fixtures::kJpegCmyk)), ErrorCode::Unsupported);
  const std::string gif = "GIF89a...";
  EXPECT_EQ(image_code_of(std::as_bytes(std::span(gif))), ErrorCode::Unsupported);
  EXPECT_EQ(image_code_of({}), ErrorCode::Unsupported);
}

TEST(Image, RefusesEveryTruncation) {
  for (const auto whole :
       {file(fixtures::kJpegRgb), file(fixtures::kJpegProgressive), file(fixtures::kPngRgb)}) {
    const std::size_t signature = 8;
    // The last two bytes of a JPEG file mark its end; every pixel stands before them.
    for (std::size_t n = signature; n < whole.size() - 2; ++n)
      EXPECT_EQ(image_code_of(whole.first(n)), ErrorCode::Malformed) << n << " of " << whole.size();
  }
}

TEST(Image, SurvivesEveryFlippedByte) {
  for (const auto whole :
       {file(fixtures::kJpegRgb), file(fixtures::kJpegProgressive), file(fixtures::kPngPalette)}) {
    for (std::size_t i = 0; i < whole.size(); ++i) {
      std::vector<std::byte> damaged(whole.begin(), whole.end());
      damaged[i] ^= std::byte{0x55};
      try {
        decode_image(damaged);
      } catch (const Error& error) {
        EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
      }
    }
  }
}

TEST(Image, RefusesHugeImagesBeforeTakingMemory) {
  std::vector<std::byte> jpeg(file(fixtures::kJpegGray).begin(), file(fixtures::kJpegGray).end());
  const std::string frame = "\xFF\xC0";
  const auto found =
      std::ranges::search(jpeg, std::as_bytes(std::span(frame.data(), frame.size())));
  ASSERT_FALSE(found.empty());
  std::fill_n(found.begin() + 5, 4, std::byte{0xFE});
  EXPECT_EQ(image_code_of(jpeg), ErrorCode::BadData);
  EXPECT_THROW(check_image_size(kMaxImageSide, kMaxImageSide), Error);
  EXPECT_NO_THROW(check_image_size(8192, 8192));
}

TEST(Image, KnowsItsExtensions) {
  EXPECT_TRUE(has_image_extension("a/b.JPG"));
  EXPECT_TRUE(has_image_extension("b.jpeg"));
  EXPECT_TRUE(has_image_extension("b.Png"));
  EXPECT_FALSE(has_image_extension("b.gif"));
  EXPECT_FALSE(has_image_extension("png"));
}

}  // namespace
}  // namespace espquant::data
