#include "data/preprocess.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "base/error.h"
#include "data/image.h"

namespace espquant::data {
namespace {

Tensor to_gray(const Tensor& rgb) {
  Tensor gray(DType::UInt8, {rgb.shape()[0], rgb.shape()[1], 1});
  const int height = static_cast<int>(rgb.shape()[0]), width = static_cast<int>(rgb.shape()[1]);
  const cv::Mat from(height, width, CV_8UC3,
                     const_cast<std::uint8_t*>(rgb.data<std::uint8_t>().data()));
  cv::Mat to(height, width, CV_8UC1, gray.mutable_data<std::uint8_t>().data());
  cv::cvtColor(from, to, cv::COLOR_RGB2GRAY);
  return gray;
}

Tensor to_three_channels(const Tensor& gray) {
  Tensor out(DType::UInt8, {gray.shape()[0], gray.shape()[1], 3});
  auto to = out.mutable_data<std::uint8_t>().begin();
  for (const std::uint8_t v : gray.data<std::uint8_t>()) to = std::fill_n(to, 3, v);
  return out;
}

Tensor swap_red_and_blue(Tensor image) {
  auto v = image.mutable_data<std::uint8_t>();
  for (std::size_t i = 0; i < v.size(); i += 3) std::swap(v[i], v[i + 2]);
  return image;
}

Tensor convert_color(const Tensor& pixels, Color color) {
  const bool gray = pixels.shape()[2] == 1;
  if (color == Color::Gray) return gray ? pixels : to_gray(pixels);
  if (gray) return to_three_channels(pixels);
  return color == Color::Bgr ? swap_red_and_blue(pixels) : pixels;
}

/// The part of `from` at (left, top) in from's frame, of size width x height; what lies outside it
/// is `pad`.
Tensor window(const Tensor& from, std::int64_t left, std::int64_t top, std::int64_t width,
              std::int64_t height, std::uint8_t pad) {
  const std::int64_t rows = from.shape()[0], columns = from.shape()[1], channels = from.shape()[2];
  Tensor out(DType::UInt8, {height, width, channels});
  auto to = out.mutable_data<std::uint8_t>();
  std::ranges::fill(to, pad);
  const std::int64_t x0 = std::max<std::int64_t>(-left, 0), x1 = std::min(columns - left, width);
  const std::int64_t y0 = std::max<std::int64_t>(-top, 0), y1 = std::min(rows - top, height);
  for (std::int64_t y = y0; y < y1; ++y)
    std::copy_n(from.data<std::uint8_t>().begin() + ((y + top) * columns + x0 + left) * channels,
                (x1 - x0) * channels, to.begin() + (y * width + x0) * channels);
  return out;
}

/// Python's round(): ties to even, as the training code that this repeats.
std::int64_t rounded(double v) { return static_cast<std::int64_t>(std::nearbyint(v)); }

Tensor letterbox(const Preprocess& p, const Tensor& image) {
  const auto h = static_cast<double>(image.shape()[0]), w = static_cast<double>(image.shape()[1]);
  const double factor =
      std::min(static_cast<double>(p.height) / h, static_cast<double>(p.width) / w);
  const std::int64_t height = std::clamp<std::int64_t>(rounded(h * factor), 1, p.height);
  const std::int64_t width = std::clamp<std::int64_t>(rounded(w * factor), 1, p.width);
  return window(resize_image(image, width, height, p.resize), -((p.width - width) / 2),
                -((p.height - height) / 2), p.width, p.height, static_cast<std::uint8_t>(p.pad));
}

Tensor center_crop(const Preprocess& p, const Tensor& image) {
  const std::int64_t h = image.shape()[0], w = image.shape()[1];
  std::int64_t height = 0, width = 0;
  if (p.short_side > 0) {  // torchvision cuts the fraction off the longer side
    height = h <= w ? p.short_side : p.short_side * h / w;
    width = w <= h ? p.short_side : p.short_side * w / h;
  } else {
    const double factor = std::max(static_cast<double>(p.height) / static_cast<double>(h),
                                   static_cast<double>(p.width) / static_cast<double>(w));
    height = std::max(p.height, rounded(static_cast<double>(h) * factor));
    width = std::max(p.width, rounded(static_cast<double>(w) * factor));
  }
  check_image_size(width, height);
  if (height < p.height || width < p.width)
    throw Error(ErrorCode::BadData, fmt::format("no {}x{} pixels to cut out of an image of {}x{}",
                                                p.width, p.height, width, height))
        .remedy("raise short_side or drop it");
  const std::int64_t left = rounded(static_cast<double>(width - p.width) / 2);
  const std::int64_t top = rounded(static_cast<double>(height - p.height) / 2);
  return window(resize_image(image, width, height, p.resize), left, top, p.width, p.height, 0);
}

Tensor bring_to_size(const Preprocess& p, const Tensor& image) {
  switch (p.fit) {
    case Fit::Letterbox:
      return letterbox(p, image);
    case Fit::CenterCrop:
      return center_crop(p, image);
    case Fit::Stretch:
      break;
  }
  return resize_image(image, p.width, p.height, p.resize);
}

/// The network's value of each of a channel's 256 pixel values.
std::array<float, 256> value_table(const Preprocess& p, std::size_t channel) {
  const auto pick = [channel](const std::vector<double>& v, double otherwise) {
    return v.empty() ? otherwise : v[v.size() == 1 ? 0 : channel];
  };
  const double mean = pick(p.mean, 0), std = pick(p.std, 1);
  std::array<float, 256> table;
  for (std::size_t v = 0; v < table.size(); ++v)
    table[v] = static_cast<float>((static_cast<double>(v) * p.scale - mean) / std);
  return table;
}

}  // namespace

Preprocess default_preprocess(const InputSpec& input) {
  Preprocess p;
  const Shape& s = input.shape;
  std::int64_t channels = 0;
  if (s.size() == 4 && is_channel_count(s[1])) {
    channels = s[1], p.height = s[2], p.width = s[3];
  } else if (s.size() == 4 && is_channel_count(s[3])) {
    channels = s[3], p.height = s[1], p.width = s[2];
    p.layout = Layout::Nhwc;
  } else if (s.size() == 3) {
    channels = 1, p.height = s[1], p.width = s[2];
  }
  if (p.height < 1 || p.width < 1 || p.height > kMaxImageSide || p.width > kMaxImageSide)
    p.height = p.width = 0;
  p.color = channels == 1 ? Color::Gray : Color::Rgb;
  if (input.integers) p.scale = 1;
  return p;
}

Tensor apply(const Preprocess& p, const Tensor& pixels) {
  ESPQUANT_ASSERT(
      pixels.dtype() == DType::UInt8 && pixels.rank() == 3 && is_channel_count(pixels.shape()[2]),
      "pixels are uint8 (H,W,1) or (H,W,3)");
  ESPQUANT_ASSERT(p.width > 0 && p.height > 0, "the network takes no pictures");
  if (pixels.size() == 0) throw Error(ErrorCode::BadData, "an image without pixels");
  const Tensor image = bring_to_size(p, convert_color(pixels, p.color));
  const auto channels = static_cast<std::size_t>(p.channels());
  const bool nchw = p.layout == Layout::Nchw;
  Tensor out(DType::Float32, nchw ? Shape{1, p.channels(), p.height, p.width}
                                  : Shape{1, p.height, p.width, p.channels()});
  const auto from = image.data<std::uint8_t>();
  auto to = out.mutable_data<float>();
  const std::size_t area = from.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    const auto table = value_table(p, c);
    for (std::size_t i = 0; i < area; ++i)
      to[nchw ? c * area + i : i * channels + c] = table[from[i * channels + c]];
  }
  return out;
}

}  // namespace espquant::data
