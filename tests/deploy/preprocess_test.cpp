#include "deploy/templates/main/preprocess.hpp"

#include <gtest/gtest.h>

#include <array>

#include "tests/deploy/draw_pictures.h"

/// The preprocessing of generated applications.
namespace espquant::test {
namespace {

using firmware::PixelFormat;
using firmware::Preprocessor;

TEST(GeneratedPreprocess, IsThatOfTheProgram) {
  // pictures_fuzz draws more.
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    const std::string difference = prepare_drawn_picture(seed);
    ASSERT_EQ(difference, "");
  }
}

TEST(GeneratedPreprocess, RefusesFramesThatItCannotPrepare) {
  std::array<std::int16_t, 256> values{};
  firmware::PreprocessSettings settings{};
  settings.width = settings.height = 8;
  settings.fit = firmware::Fit::CenterCrop;
  settings.short_side = 4;
  settings.values = values.data();
  Preprocessor crops(settings);
  EXPECT_STREQ(crops.prepare(20, 20, PixelFormat::Gray), "the frame is too small to cut from");
  EXPECT_FALSE(crops.ready_for(20, 20, PixelFormat::Gray));
  settings.fit = firmware::Fit::Stretch;
  Preprocessor stretches(settings);
  EXPECT_STREQ(stretches.prepare(0, 20, PixelFormat::Gray), "a frame without pixels");
  EXPECT_STREQ(stretches.prepare(20000, 20, PixelFormat::Gray), "the frame is too large");
  EXPECT_STREQ(stretches.prepare(7, 20, PixelFormat::Yuyv), "YUV422 needs an even width");
  EXPECT_STREQ(stretches.prepare(7, 20, static_cast<PixelFormat>(9)),
               "an unknown format of pixels");
  EXPECT_EQ(stretches.prepare(7, 20, PixelFormat::Gray), nullptr);
  EXPECT_TRUE(stretches.ready_for(7, 20, PixelFormat::Gray));
  EXPECT_FALSE(stretches.ready_for(7, 21, PixelFormat::Gray));
}

}  // namespace
}  // namespace espquant::test
