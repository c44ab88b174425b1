#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "base/error.h"

namespace espquant::data {
namespace {

struct View {
  std::int64_t height, width, channels;
};

View view_of(const Tensor& image) {
  ESPQUANT_ASSERT(image.rank() == 3 && image.dtype() == DType::UInt8, "an image is uint8 (H,W,C)");
  return {image.shape()[0], image.shape()[1], image.shape()[2]};
}

Tensor resize_opencv(const Tensor& image, std::int64_t width, std::int64_t height) {
  const View in = view_of(image);
  Tensor out(DType::UInt8, {height, width, in.channels});
  const int type = CV_8UC(static_cast<int>(in.channels));
  const cv::Mat from(static_cast<int>(in.height), static_cast<int>(in.width), type,
                     const_cast<std::uint8_t*>(image.data<std::uint8_t>().data()));
  cv::Mat to(static_cast<int>(height), static_cast<int>(width), type,
             out.mutable_data<std::uint8_t>().data());
  cv::resize(from, to, to.size(), 0, 0, cv::INTER_LINEAR);
  return out;
}

/// What one output position takes from an axis: `weights` from `first` on.
struct Tap {
  std::int64_t first;
  std::vector<std::int32_t> weights;
};

constexpr int kWeightBits = 22;  // Pillow's: what 32 bits leave beside a pixel and a sign

/// A triangle as wide as two input pixels, or two output pixels when the axis shrinks.
std::vector<Tap> triangle_taps(std::int64_t in, std::int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double support = std::max(scale, 1.0), inverse = 1.0 / support;
  std::vector<Tap> taps;
  std::vector<double> exact;
  for (std::int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(centre - support + 0.5), 0);
    const auto last = std::min<std::int64_t>(static_cast<std::int64_t>(centre + support + 0.5), in);
    exact.clear();
    double sum = 0;
    for (std::int64_t x = first; x < last; ++x) {
      const double distance = std::abs((static_cast<double>(x) - centre + 0.5) * inverse);
      exact.push_back(distance < 1.0 ? 1.0 - distance : 0.0);
      sum += exact.back();
    }
    Tap& tap = taps.emplace_back(Tap{first, {}});
    for (const double w : exact)
      tap.weights.push_back(static_cast<std::int32_t>(0.5 + w / sum * (1 << kWeightBits)));
  }
  return taps;
}

std::uint8_t weighted(const std::uint8_t* from, std::int64_t step,
                      const std::vector<std::int32_t>& weights) {
  std::int64_t sum = std::int64_t{1} << (kWeightBits - 1);
  for (const std::int32_t w : weights) {
    sum += std::int64_t{w} * *from;
    from += step;
  }
  return static_cast<std::uint8_t>(std::min<std::int64_t>(sum >> kWeightBits, 255));
}

Tensor filter_rows(const Tensor& image, std::int64_t width) {
  const View in = view_of(image);
  const auto taps = triangle_taps(in.width, width);
  Tensor out(DType::UInt8, {in.height, width, in.channels});
  const auto* from = image.data<std::uint8_t>().data();
  auto* to = out.mutable_data<std::uint8_t>().data();
  for (std::int64_t y = 0; y < in.height; ++y)
    for (const Tap& tap : taps)
      for (std::int64_t c = 0; c < in.channels; ++c)
        *to++ =
            weighted(from + (y * in.width + tap.first) * in.channels + c, in.channels, tap.weights);
  return out;
}

Tensor filter_columns(const Tensor& image, std::int64_t height) {
  const View in = view_of(image);
  const std::int64_t row = in.width * in.channels;
  Tensor out(DType::UInt8, {height, in.width, in.channels});
  const auto* from = image.data<std::uint8_t>().data();
  auto* to = out.mutable_data<std::uint8_t>().data();
  for (const Tap& tap : triangle_taps(in.height, height))
    for (std::int64_t x = 0; x < row; ++x)
      *to++ = weighted(from + tap.first * row + x, row, tap.weights);
  return out;
}

/// Rounds to uint8 between the two passes, as Pillow does.
Tensor resize_pillow(const Tensor& image, std::int64_t width, std::int64_t height) {
  const View in = view_of(image);
  Tensor out = width == in.width ? image : filter_rows(image, width);
  return height == in.height ? out : filter_columns(out, height);
}

/// The input position of each output position. A running sum, as Pillow's: where a centre falls on
/// the edge between two pixels, the sum's rounding decides.
std::vector<std::int64_t> nearest_positions(std::int64_t in, std::int64_t out) {
  const double step = static_cast<double>(in) / static_cast<double>(out);
  double centre = 0.5 * step;
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < out; ++i, centre += step)
    positions.push_back(std::min(static_cast<std::int64_t>(centre), in - 1));
  return positions;
}

Tensor resize_nearest(const Tensor& image, std::int64_t width, std::int64_t height) {
  const View in = view_of(image);
  Tensor out(DType::UInt8, {height, width, in.channels});
  const auto from = image.data<std::uint8_t>();
  auto to = out.mutable_data<std::uint8_t>().begin();
  const auto columns = nearest_positions(in.width, width);
  for (const std::int64_t y : nearest_positions(in.height, height))
    for (const std::int64_t x : columns)
      to = std::copy_n(from.begin() + (y * in.width + x) * in.channels, in.channels, to);
  return out;
}

}  // namespace

Tensor resize_image(const Tensor& image, std::int64_t width, std::int64_t height, Resize method) {
  const View in = view_of(image);
  ESPQUANT_ASSERT(image.size() > 0 && width > 0 && height > 0, "an image without pixels");
  if (in.width == width && in.height == height) return image;
  switch (method) {
    case Resize::OpenCvBilinear:
      return resize_opencv(image, width, height);
    case Resize::PillowBilinear:
      return resize_pillow(image, width, height);
    case Resize::Nearest:
      return resize_nearest(image, width, height);
  }
  ESPQUANT_ASSERT(false, "an unknown way to resize");
}

}  // namespace espquant::data
