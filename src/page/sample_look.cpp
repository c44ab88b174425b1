#include "page/sample_look.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "data/png.h"
#include "data/resize.h"
#include "page/model_part.h"

namespace espquant::page {
namespace {

using Json = nlohmann::ordered_json;

/// A page holds dozens of them and stays small.
constexpr std::int64_t kSide = 64;
constexpr std::int64_t kCurves = 6, kPoints = 96;

std::string base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto at = [&](std::size_t k) {
      return i + k < bytes.size() ? std::to_integer<unsigned>(bytes[i + k]) : 0U;
    };
    const unsigned three = at(0) << 16 | at(1) << 8 | at(2);
    for (std::size_t k = 0; k < 4; ++k)
      text += i + k > bytes.size() ? '=' : kDigits[three >> (18 - 6 * k) & 63];
  }
  return text;
}

/// (H,W,1) or (H,W,3), no side longer than kSide.
Json picture_json(const Tensor& pixels) {
  const std::int64_t height = pixels.shape()[0], width = pixels.shape()[1];
  const std::int64_t longest = std::max(height, width);
  const auto scaled = [&](std::int64_t side) {
    return longest <= kSide ? side
                            : std::max<std::int64_t>(1, (side * kSide + longest / 2) / longest);
  };
  const Tensor small =
      data::resize_image(pixels, scaled(width), scaled(height), data::Resize::PillowBilinear);
  return {{"picture", "data:image/png;base64," + base64(data::encode_png(small))}};
}

/// An input as rows and columns of one or three numbers.
struct Plane {
  std::int64_t height = 0, width = 0, channels = 0;
  /// Channels stand last.
  bool interleaved = false;
};

std::optional<Plane> plane_of(const Shape& shape) {
  constexpr std::int64_t kLeast = 8, kLeastWithoutChannels = 24;
  if (shape.size() == 4 && data::is_channel_count(shape[1]) &&
      std::min(shape[2], shape[3]) >= kLeast)
    return Plane{shape[2], shape[3], shape[1], false};
  if (shape.size() == 4 && data::is_channel_count(shape[3]) &&
      std::min(shape[1], shape[2]) >= kLeast)
    return Plane{shape[1], shape[2], shape[3], true};
  // A few channels over time are curves.
  if (shape.size() == 3 && std::min(shape[1], shape[2]) >= kLeastWithoutChannels)
    return Plane{shape[1], shape[2], 1, false};
  return std::nullopt;
}

/// From the least value, black, to the largest, white.
Tensor pixels_of(std::span<const float> values, const Plane& plane) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double scale = *high > *low ? 255 / (static_cast<double>(*high) - *low) : 0;
  Tensor pixels(DType::UInt8, {plane.height, plane.width, plane.channels});
  auto into = pixels.mutable_data<std::uint8_t>();
  const auto area = static_cast<std::size_t>(plane.height * plane.width);
  const auto channels = static_cast<std::size_t>(plane.channels);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t place = plane.interleaved ? i : i % area * channels + i / area;
    into[place] =
        static_cast<std::uint8_t>(std::lround((static_cast<double>(values[i]) - *low) * scale));
  }
  return pixels;
}

/// Over the longest axis; the others are channels.
Json curves_json(std::span<const float> values, const Shape& shape) {
  std::size_t time = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    if (shape[axis] > shape[time]) time = axis;
  std::int64_t inner = 1;
  for (std::size_t axis = time + 1; axis < shape.size(); ++axis) inner *= shape[axis];
  const std::int64_t length = shape.empty() ? 1 : shape[time];
  const std::int64_t channels = static_cast<std::int64_t>(values.size()) / length;
  const std::int64_t points = std::min(length, kPoints);
  Json curves = Json::array();
  for (std::int64_t c = 0; c < std::min(channels, kCurves); ++c) {
    const std::int64_t first = c / inner * length * inner + c % inner;
    Json& curve = curves.emplace_back(Json::array());
    for (std::int64_t p = 0; p < points; ++p) {
      const std::int64_t begin = p * length / points, end = (p + 1) * length / points;
      double sum = 0;
      for (std::int64_t t = begin; t < end; ++t)
        sum += static_cast<double>(values[static_cast<std::size_t>(first + t * inner)]);
      curve.push_back(rounded(sum / static_cast<double>(end - begin)));
    }
  }
  return {{"curves", std::move(curves)}, {"length", length}, {"channels", channels}};
}

}  // namespace

Json look_of(const Tensor& input) {
  const Tensor real = input.dtype() == DType::Float32 ? input : input.cast(DType::Float32);
  const auto values = real.data<float>();
  if (values.empty()) return Json::object();
  if (const auto plane = plane_of(input.shape())) return picture_json(pixels_of(values, *plane));
  return curves_json(values, input.shape());
}

Json look_of(const data::Dataset& dataset, std::size_t index) try {
  if (dataset.holds_pictures()) return picture_json(dataset.picture(index));
  return look_of(dataset.sample(index).front());
} catch (const Error&) {  // what was there when it was measured has gone since
  return Json::object();
}

}  // namespace espquant::page
