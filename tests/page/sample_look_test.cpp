#include "page/sample_look.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/png.h"

namespace espquant::page {
namespace {

std::vector<std::byte> decoded(const std::string& url) {
  const std::string begin = "data:image/png;base64,";
  EXPECT_EQ(url.substr(0, begin.size()), begin);
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::byte> bytes;
  unsigned bits = 0, count = 0;
  for (const char c : url.substr(begin.size())) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<unsigned>(digits.find(c));
    if ((count += 6) < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<std::byte>(bits >> count & 255));
  }
  return bytes;
}

Tensor ramp(const Shape& shape) {
  Tensor tensor(DType::Float32, shape);
  auto values = tensor.mutable_data<float>();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  return tensor;
}

Tensor picture_of(const Tensor& input) {
  return data::decode_png(decoded(look_of(input)["picture"].get<std::string>()));
}

TEST(SampleLook, OfAPlaneIsAPictureFromItsLeastToItsLargestValue) {
  const Tensor gray = picture_of(ramp({1, 1, 8, 10}));
  EXPECT_EQ(gray.shape(), (Shape{8, 10, 1}));
  const auto pixels = gray.data<std::uint8_t>();
  EXPECT_EQ(pixels.front(), 0);
  EXPECT_EQ(pixels.back(), 255);
}

TEST(SampleLook, TakesChannelsFirstOrLast) {
  const Tensor first = picture_of(ramp({1, 3, 8, 8})), last = picture_of(ramp({1, 8, 8, 3}));
  EXPECT_EQ(first.shape(), (Shape{8, 8, 3}));
  EXPECT_EQ(last.shape(), (Shape{8, 8, 3}));
  // The second channel of the first pixel: 64 places on, or one.
  EXPECT_EQ(first.data<std::uint8_t>()[1], 85);
  EXPECT_EQ(last.data<std::uint8_t>()[1], 1);
}

TEST(SampleLook, IsSmall) {
  EXPECT_EQ(picture_of(ramp({1, 1, 300, 150})).shape(), (Shape{64, 32, 1}));
}

TEST(SampleLook, OfChannelsOverTimeIsCurves) {
  const auto look = look_of(ramp({1, 9, 192}));
  EXPECT_EQ(look["length"], 192);
  EXPECT_EQ(look["channels"], 9);
  ASSERT_EQ(look["curves"].size(), 6U);
  // Means of pairs of neighbours.
  EXPECT_EQ(look["curves"][1].size(), 96U);
  EXPECT_EQ(look["curves"][1][0], 192.5);
  const auto last = look_of(ramp({1, 192, 9}));
  EXPECT_EQ(last["channels"], 9);
  EXPECT_EQ(last["curves"][1][0], (1 + 10) / 2.0);
}

TEST(SampleLook, OfAFewNumbersIsACurve) {
  const auto look = look_of(ramp({1, 4}));
  EXPECT_EQ(look["curves"], nlohmann::ordered_json::parse("[[0.0,1.0,2.0,3.0]]"));
}

}  // namespace
}  // namespace espquant::page
