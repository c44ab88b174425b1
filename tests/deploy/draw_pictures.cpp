#include "tests/deploy/draw_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/fixed_point.h"
#include "base/random.h"
#include "data/preprocess.h"
#include "deploy/facts.h"
#include "deploy/templates/main/preprocess.hpp"
#include "target/target.h"

namespace espquant::test {
namespace {

using firmware::PixelFormat;

struct Drawn {
  data::Preprocess preprocess;
  espdl::ValueInfo input;
  const Target* target = nullptr;
  /// The frame as a camera gives it, and its pixels as the program takes them.
  int width = 0, height = 0;
  PixelFormat format = PixelFormat::Gray;
  std::vector<std::uint8_t> frame;
  Tensor pixels;
};

int between(Random& random, int least, int most) {
  return static_cast<int>(random.between(least, most));
}

template <typename T, std::size_t kCount>
T one_of(Random& random, const std::array<T, kCount>& choices) {
  return choices[random.below(kCount)];
}

std::uint8_t rounded_byte(double v) {
  // What is meant to be a half may come out a little less.
  return static_cast<std::uint8_t>(std::clamp(std::floor(v + 0.5 + 1e-9), 0.0, 255.0));
}

using Rgb = std::array<std::uint8_t, 3>;

Rgb from_565(unsigned v) {
  const auto widened = [](unsigned bits, unsigned field) {
    // The bits again behind themselves: the largest becomes 255.
    return static_cast<std::uint8_t>(field << (8 - bits) | field >> (2 * bits - 8));
  };
  return {widened(5, v / 2048), widened(6, v / 32 % 64), widened(5, v % 32)};
}

Rgb from_yuv(int y, int cb, int cr) {
  const double b = cb - 128, r = cr - 128;
  return {rounded_byte(y + 1.402 * r), rounded_byte(y - 0.344136 * b - 0.714136 * r),
          rounded_byte(y + 1.772 * b)};
}

/// Pixel (x, y) of the frame as the format means it.
Rgb pixel_of(const Drawn& d, int x, int y) {
  const auto at = [&](int bytes_per_pixel, int pixel, int byte) {
    return d.frame[static_cast<std::size_t>((y * d.width + pixel) * bytes_per_pixel + byte)];
  };
  switch (d.format) {
    case PixelFormat::Gray:
      return {at(1, x, 0), at(1, x, 0), at(1, x, 0)};
    case PixelFormat::Rgb888:
      return {at(3, x, 0), at(3, x, 1), at(3, x, 2)};
    case PixelFormat::Bgr888:
      return {at(3, x, 2), at(3, x, 1), at(3, x, 0)};
    case PixelFormat::Rgb565BigEndian:
      return from_565(256U * at(2, x, 0) + at(2, x, 1));
    case PixelFormat::Rgb565LittleEndian:
      return from_565(256U * at(2, x, 1) + at(2, x, 0));
    case PixelFormat::Yuyv:
    case PixelFormat::Uyvy: {
      const int luma = d.format == PixelFormat::Yuyv ? 0 : 1, first = x - x % 2;
      if (d.preprocess.color == data::Color::Gray)
        return {at(2, x, luma), at(2, x, luma), at(2, x, luma)};
      return from_yuv(at(2, x, luma), at(2, first, 1 - luma), at(2, first + 1, 1 - luma));
    }
  }
  return {};
}

/// Gray frames are gray to the program, and of YUV only the luma counts for a gray network.
bool has_one_channel(const Drawn& d) {
  const bool yuv = d.format == PixelFormat::Yuyv || d.format == PixelFormat::Uyvy;
  return d.format == PixelFormat::Gray || (yuv && d.preprocess.color == data::Color::Gray);
}

data::Preprocess draw_settings(Random& random) {
  data::Preprocess p;
  p.width = between(random, 1, 40);
  p.height = between(random, 1, 40);
  p.resize = one_of(random, std::array{data::Resize::OpenCvBilinear, data::Resize::PillowBilinear,
                                       data::Resize::Nearest});
  p.fit =
      one_of(random, std::array{data::Fit::Stretch, data::Fit::Letterbox, data::Fit::CenterCrop});
  if (p.fit == data::Fit::CenterCrop && random.below(2) == 0)
    p.short_side = std::max(p.width, p.height) + between(random, -2, 9);
  p.short_side = std::max<std::int64_t>(p.short_side, 0);
  p.pad = between(random, 0, 255);
  p.color = one_of(random, std::array{data::Color::Gray, data::Color::Rgb, data::Color::Bgr});
  p.layout = one_of(random, std::array{data::Layout::Nchw, data::Layout::Nhwc});
  if (random.below(2) == 0)
    for (std::int64_t c = 0; c < p.channels(); ++c) {
      p.mean.push_back(random.uniform(0, 1));
      p.std.push_back(random.uniform(0.1F, 2));
    }
  return p;
}

Drawn draw(std::uint64_t seed) {
  Random random(seed);
  Drawn d;
  d.preprocess = draw_settings(random);
  d.input = {"x", one_of(random, std::array{DType::Int8, DType::Int16}), {}, {}};
  d.input.exponents = {-between(random, 3, d.input.dtype == DType::Int8 ? 8 : 15)};
  d.target = &find_target(
      one_of(random, std::array<std::string_view, 3>{"esp32s3", "esp32p4", "esp32c3"}));
  d.format = static_cast<PixelFormat>(random.below(7));
  const data::Preprocess& p = d.preprocess;
  // Sizes that are special: the same, twice, one axis the same.
  const auto side = [&](std::int64_t network) {
    const int n = static_cast<int>(network);
    return one_of(random, std::array{n, 2 * n, between(random, 1, 90), between(random, 1, 90)});
  };
  d.width = side(p.width);
  d.height = side(p.height);
  if (random.below(6) == 0)
    d.width = static_cast<int>(2 * p.width), d.height = 2 * static_cast<int>(p.height);
  if (d.format >= PixelFormat::Yuyv) d.width += d.width % 2;
  d.frame.resize(firmware::Preprocessor::frame_bytes(d.width, d.height, d.format));
  for (auto& byte : d.frame) byte = static_cast<std::uint8_t>(random.below(256));
  const bool one = has_one_channel(d);
  d.pixels = Tensor(DType::UInt8, {d.height, d.width, one ? 1 : 3});
  auto to = d.pixels.mutable_data<std::uint8_t>().begin();
  for (int y = 0; y < d.height; ++y)
    for (int x = 0; x < d.width; ++x) {
      const Rgb rgb = pixel_of(d, x, y);
      to = std::copy_n(rgb.begin(), one ? 1 : 3, to);
    }
  return d;
}

firmware::PreprocessSettings settings_of(const Drawn& d, const std::vector<std::int16_t>& values) {
  const data::Preprocess& p = d.preprocess;
  firmware::PreprocessSettings s{};
  s.width = static_cast<std::int32_t>(p.width);
  s.height = static_cast<std::int32_t>(p.height);
  s.resize = static_cast<firmware::Resize>(p.resize);
  s.fit = static_cast<firmware::Fit>(p.fit);
  s.short_side = static_cast<std::int32_t>(p.short_side);
  s.pad = static_cast<std::uint8_t>(p.pad);
  s.color = static_cast<firmware::Color>(p.color);
  const auto channels = static_cast<std::int32_t>(p.channels());
  const bool planes = p.layout == data::Layout::Nchw;
  s.column_stride = planes ? 1 : channels;
  s.row_stride = s.column_stride * s.width;
  s.channel_stride = planes ? s.width * s.height : 1;
  s.wide = d.input.dtype == DType::Int16;
  s.values = values.data();
  return s;
}

std::optional<std::vector<std::int16_t>> as_the_program(const Drawn& d) try {
  const Tensor values = data::apply(d.preprocess, d.pixels);
  std::vector<std::int16_t> integers;
  const float inverse = pow2(-d.input.exponent());
  for (const float v : values.data<float>())
    integers.push_back(d.input.dtype == DType::Int8
                           ? quantize_value<std::int8_t>(v, inverse, d.target->rounding)
                           : quantize_value<std::int16_t>(v, inverse, d.target->rounding));
  return integers;
} catch (const Error&) {
  return std::nullopt;
}

std::optional<std::vector<std::int16_t>> as_the_application(const Drawn& d) {
  const auto values = deploy::pixel_integers(d.preprocess, d.input, *d.target);
  firmware::Preprocessor preprocessor(settings_of(d, values));
  if (preprocessor.prepare(d.width, d.height, d.format) != nullptr) return std::nullopt;
  const auto elements =
      static_cast<std::size_t>(d.preprocess.width * d.preprocess.height * d.preprocess.channels());
  std::vector<std::int16_t> wide(elements);
  std::vector<std::int8_t> narrow(elements);
  // The second frame finds what the first left behind.
  for (int frame = 0; frame < 2; ++frame)
    preprocessor.run(d.frame.data(), d.input.dtype == DType::Int16
                                         ? static_cast<void*>(wide.data())
                                         : static_cast<void*>(narrow.data()));
  if (d.input.dtype == DType::Int8) std::copy(narrow.begin(), narrow.end(), wide.begin());
  return wide;
}

}  // namespace

std::string prepare_drawn_picture(std::uint64_t seed) {
  const Drawn d = draw(seed);
  const auto expected = as_the_program(d), got = as_the_application(d);
  if (got == expected) return "";
  const std::string what =
      fmt::format("seed {}: {} x {} pixels, format {}: {}", seed, d.width, d.height,
                  static_cast<int>(d.format), data::describe(d.preprocess));
  if (!got || !expected) return what + (got ? ": not refused" : ": refused");
  const auto differs = std::mismatch(got->begin(), got->end(), expected->begin());
  return fmt::format("{}: element {} is {}, expected {}", what, differs.first - got->begin(),
                     *differs.first, *differs.second);
}

}  // namespace espquant::test
