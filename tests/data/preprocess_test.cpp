#include "data/preprocess.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/data/patterns.h"

namespace espquant::data {
namespace {

const InputSpec kGray = {"input", {1, 1, 96, 96}};
const InputSpec kRgb = {"input", {1, 3, 2, 4}};

Error error_of(const InputSpec& input, const Settings& settings) {
  try {
    preprocess_for(input, settings);
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::Internal, "no error"};
}

std::vector<float> preprocess_values(const Tensor& t) {
  return {t.data<float>().begin(), t.data<float>().end()};
}

TEST(Preprocess, FollowsTheShapeOfTheInput) {
  const Preprocess gray = default_preprocess(kGray);
  EXPECT_EQ(gray.width, 96);
  EXPECT_EQ(gray.color, Color::Gray);
  EXPECT_EQ(gray.layout, Layout::Nchw);
  EXPECT_EQ(gray.scale, 1.0 / 255);

  const Preprocess rgb = default_preprocess({"x", {1, 24, 32, 3}});
  EXPECT_EQ(rgb.width, 32);
  EXPECT_EQ(rgb.height, 24);
  EXPECT_EQ(rgb.color, Color::Rgb);
  EXPECT_EQ(rgb.layout, Layout::Nhwc);

  EXPECT_EQ(default_preprocess({"x", {1, 28, 30}}).color, Color::Gray);
  EXPECT_EQ(default_preprocess({"x", {1, 42}}).width, 0);
  EXPECT_EQ(default_preprocess({"x", {1, 16, 8, 8}}).width, 0);
}

TEST(Preprocess, AnExplicitLayoutMovesTheAxes) {
  const Preprocess p = preprocess_for({"x", {1, 3, 40, 1}}, {{"layout", "NHWC"}});
  EXPECT_EQ(p.height, 3);
  EXPECT_EQ(p.width, 40);
  EXPECT_EQ(p.color, Color::Gray);
}

TEST(Preprocess, NormalizesLikeTorchvision) {
  Preprocess p = preprocess_for({"x", {1, 3, 1, 1}},
                                {{"mean", "0.485,0.456,0.406"}, {"std", "0.229, 0.224, 0.225"}});
  const auto out = preprocess_values(apply(p, Tensor::of<std::uint8_t>({1, 1, 3}, {255, 0, 51})));
  EXPECT_FLOAT_EQ(out[0], (1.0F - 0.485F) / 0.229F);
  EXPECT_FLOAT_EQ(out[1], -0.456F / 0.224F);
  EXPECT_FLOAT_EQ(out[2], (0.2F - 0.406F) / 0.225F);
}

TEST(Preprocess, ScaledPixelsAreTheQuotientsRounded) {
  const Preprocess p = default_preprocess({"x", {1, 1, 1, 256}});
  Tensor ramp(DType::UInt8, {1, 256, 1});
  for (std::size_t i = 0; i < 256; ++i)
    ramp.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i);
  const auto out = preprocess_values(apply(p, ramp));
  for (int i = 0; i < 256; ++i)
    EXPECT_EQ(out[static_cast<std::size_t>(i)], static_cast<float>(i) / 255.0F);
}

TEST(Preprocess, OrdersChannelsAndAxes) {
  const Tensor pixels = Tensor::of<std::uint8_t>({1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const Settings raw = {{"scale", "1"}};
  const auto with = [&](const Shape& shape, Settings more) {
    more.insert(more.end(), raw.begin(), raw.end());
    return preprocess_values(apply(preprocess_for({"x", shape}, more), pixels));
  };
  EXPECT_EQ(with({1, 3, 1, 2}, {}), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(with({1, 1, 2, 3}, {{"layout", "NHWC"}}), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(with({1, 3, 1, 2}, {{"color", "bgr"}}), (std::vector<float>{3, 6, 2, 5, 1, 4}));
}

// cv2: (9798 R + 19235 G + 3735 B + 2^14) >> 15.
TEST(Preprocess, ConvertsToGrayAsOpenCv) {
  const Preprocess p = preprocess_for({"x", {1, 1, 1, 3}}, {{"scale", "1"}});
  const Tensor pixels = Tensor::of<std::uint8_t>({1, 3, 3}, {255, 0, 0, 0, 255, 0, 10, 20, 250});
  EXPECT_EQ(preprocess_values(apply(p, pixels)), (std::vector<float>{76, 150, 43}));
}

TEST(Preprocess, RepeatsGrayForThreeChannels) {
  const Preprocess p = preprocess_for({"x", {1, 3, 1, 2}}, {{"scale", "1"}});
  EXPECT_EQ(preprocess_values(apply(p, Tensor::of<std::uint8_t>({1, 2, 1}, {7, 9}))),
            (std::vector<float>{7, 9, 7, 9, 7, 9}));
}

TEST(Preprocess, LetterboxKeepsTheWholePictureCentred) {
  const Preprocess p =
      preprocess_for({"x", {1, 1, 4, 4}}, {{"scale", "1"}, {"fit", "letterbox"}, {"pad", "9"}});
  const Tensor wide = Tensor::of<std::uint8_t>({1, 2, 1}, {100, 100});
  EXPECT_EQ(preprocess_values(apply(p, wide)),
            (std::vector<float>{9, 9, 9, 9, 100, 100, 100, 100, 100, 100, 100, 100, 9, 9, 9, 9}));
}

TEST(Preprocess, CenterCropFillsTheSizeAndCutsBothSides) {
  const Preprocess p =
      preprocess_for({"x", {1, 1, 2, 2}}, {{"scale", "1"}, {"fit", "center-crop"}});
  const Tensor wide = Tensor::of<std::uint8_t>({2, 4, 1}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(preprocess_values(apply(p, wide)), (std::vector<float>{2, 3, 6, 7}));
}

TEST(Preprocess, CenterCropFromAShortSideIsTorchvisions) {
  Settings settings = {
      {"scale", "1"}, {"fit", "center-crop"}, {"short_side", "4"}, {"resize", "nearest"}};
  const InputSpec input = {"x", {1, 1, 2, 2}};
  const Tensor same_size = test::pattern(4, 5, 1);
  // offsets round((4 - 2) / 2) = 1 and round((5 - 2) / 2) = 2: ties to even
  EXPECT_EQ(preprocess_values(apply(preprocess_for(input, settings), same_size)),
            (std::vector<float>{37 * 2 + 91 + 14, 37 * 3 + 91 + 21, (37 * 2 + 182 + 28) % 256,
                                (37 * 3 + 182 + 42) % 256}));
  settings[2].second = "1";
  EXPECT_THROW(apply(preprocess_for(input, settings), same_size), Error);
}

TEST(Preprocess, RefusesEmptyPictures) {
  EXPECT_THROW(apply(default_preprocess(kGray), Tensor(DType::UInt8, {0, 5, 1})), Error);
}

TEST(PreprocessSettings, RoundTripExactly) {
  const Settings settings = {
      {"resize", "pillow"}, {"fit", "center-crop"}, {"short_side", "256"},    {"pad", "3"},
      {"color", "bgr"},     {"scale", "1/127.5"},   {"mean", "1,0.1,1e-300"}, {"std", "0.3"},
      {"layout", "NCHW"}};
  const Preprocess p = preprocess_for(kRgb, settings);
  EXPECT_EQ(p.scale, 1 / 127.5);
  EXPECT_EQ(preprocess_for(kRgb, to_settings(p)), p);
  const Preprocess plain = default_preprocess(kGray);
  EXPECT_EQ(preprocess_for(kGray, to_settings(plain)), plain);
}

TEST(PreprocessSettings, UnknownKeysNameTheNearest) {
  const Error error = error_of(kGray, {{"collor", "gray"}});
  EXPECT_EQ(error.code(), ErrorCode::Usage);
  EXPECT_NE(error.remedy().find("'color'"), std::string::npos);
}

TEST(PreprocessSettings, RefuseValuesThatMakeNoSense) {
  for (const Settings& settings : std::vector<Settings>{{{"width", "0"}},
                                                        {{"width", "96x"}},
                                                        {{"resize", "bicubic"}},
                                                        {{"scale", "1/0"}},
                                                        {{"scale", "nan"}},
                                                        {{"mean",
                                                          "0.5,"
                                                          "b"}},
                                                        {{"std", "0"}},
                                                        {{"pad", "256"}},
                                                        {{"width", "95"}},
                                                        {{"color", "rgb"}},
                                                        {{"mean", "1,2"}},
                                                        {{"layout", "nchw"}},
                                                        {{"scale", "1"}, {"scale", "2"}},
                                                        {{"scale", "0"}},
                                                        {{"scale", ""}}})
    EXPECT_EQ(error_of(kGray, settings).code(), ErrorCode::Usage)
        << settings[0].first << "=" << settings[0].second;
}

TEST(PreprocessSettings, ComeFromACommandLine) {
  const std::vector<std::string> good = {"color=gray", "mean = 0.5, 0.5"}, bad = {"color"};
  EXPECT_EQ(parse_settings(good), (Settings{{"color", "gray"}, {"mean", "0.5, 0.5"}}));
  EXPECT_THROW(parse_settings(bad), Error);
}

TEST(PreprocessSettings, LaterOnesOverride) {
  const Settings stored = {{"color", "gray"}, {"scale", "1"}};
  const Preprocess p = preprocess_for(kGray, overridden(stored, {{"scale", "2"}}));
  EXPECT_EQ(p.scale, 2);
  EXPECT_THROW(overridden(stored, {{"scale", "2"}, {"scale", "3"}}), Error);
}

TEST(PreprocessSettings, AreWrittenAsAFileThatReadsTheSame) {
  const Preprocess p =
      preprocess_for(kRgb, {{"fit", "letterbox"}, {"mean", "0.485,0.456,0.406"}, {"std", "0.229"}});
  EXPECT_EQ(preprocess_for(kRgb, parse_settings_toml(to_toml(p))), p);
  const Preprocess plain = default_preprocess(kGray);
  EXPECT_EQ(preprocess_for(kGray, parse_settings_toml(to_toml(plain))), plain);
}

TEST(PreprocessSettings, AreDescribedInALine) {
  EXPECT_EQ(describe(preprocess_for({"x", {1, 1, 96, 64}}, {})),
            "gray, stretched to 64x96 (opencv), pixel / 255");
  EXPECT_EQ(describe(preprocess_for(kRgb, {{"scale", "1"},
                                           {"mean", "123,116,103"},
                                           {"std", "58"},
                                           {"resize", "pillow"},
                                           {"fit", "center-crop"},
                                           {"short_side", "256"}})),
            fmt::format("rgb, {}x{} cut from the center behind a short side of 256 (pillow), "
                        "(pixel - (123, 116, 103)) / 58",
                        kRgb.shape[3], kRgb.shape[2]));
}

TEST(PreprocessSettings, OfAnotherScaleAreDoubted) {
  const auto doubted = [](const Settings& s) { return doubts(preprocess_for(kRgb, s)).size(); };
  EXPECT_EQ(doubted({{"mean", "123.675,116,103"}, {"std", "58"}}), 1U);
  EXPECT_EQ(doubted({{"std", "127.5"}}), 1U);
  EXPECT_EQ(doubted({{"mean", "123.675"}, {"std", "58"}, {"scale", "1"}}), 0U);
  EXPECT_EQ(doubted({{"mean", "0.485"}, {"std", "0.229"}}), 0U);
}

TEST(PreprocessSettings, ComeFromToml) {
  const Settings settings = parse_settings_toml(
      "scale = 1.0\nmean = [123.675, 116, 103.53]\nfit = 'letterbox'\npad = 0\n");
  const Preprocess p = preprocess_for(kRgb, settings);
  EXPECT_EQ(p.mean, (std::vector<double>{123.675, 116, 103.53}));
  EXPECT_EQ(p.fit, Fit::Letterbox);
  EXPECT_EQ(p.pad, 0);
}

TEST(PreprocessSettings, TomlErrorsSayWhere) {
  try {
    parse_settings_toml("scale = 1\nmean = [\n");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Usage);
    EXPECT_NE(error.message().find("line"), std::string::npos);
  }
  for (const char* text :
       {"scales = 1", "[preprocess]\nscale = 1", "scale = true", "mean = [[1]]"}) {
    EXPECT_THROW(parse_settings_toml(text), Error) << text;
  }
}

}  // namespace
}  // namespace espquant::data
