#include "preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace firmware {
namespace {

constexpr int32_t kLargestSide = 16384;
constexpr int64_t kMostPixels = int64_t{1} << 26;
constexpr int32_t kLinearBits = 11;    // OpenCV's weights
constexpr int32_t kTriangleBits = 22;  // Pillow's: what 32 bits leave beside a pixel and a sign

uint8_t byte_of(int32_t v) { return static_cast<uint8_t>(v < 0 ? 0 : v > 255 ? 255 : v); }

// OpenCV's 0.299 R + 0.587 G + 0.114 B.
uint8_t gray_of(const uint8_t* rgb) {
  return static_cast<uint8_t>((9798 * rgb[0] + 19235 * rgb[1] + 3735 * rgb[2] + 16384) >> 15);
}

// JFIF: R = Y + 1.402 Cr, G = Y - 0.344136 Cb - 0.714136 Cr, B = Y + 1.772 Cb, rounded half-up.
void rgb_of_yuv(int32_t y, int32_t u, int32_t v, uint8_t* rgb) {
  constexpr int32_t kOne = 1000000, kAbove = 512;  // keeps what is divided positive
  const int32_t b = u - 128, r = v - 128;
  const auto rounded = [](int32_t millionths) {
    return (millionths + kAbove * kOne + kOne / 2) / kOne - kAbove;
  };
  rgb[0] = byte_of(y + rounded(1402000 * r));
  rgb[1] = byte_of(y + rounded(-344136 * b - 714136 * r));
  rgb[2] = byte_of(y + rounded(1772000 * b));
}

void rgb_of_565(uint32_t v, uint8_t* rgb) {
  const uint32_t r = v >> 11, g = (v >> 5) & 63, b = v & 31;
  rgb[0] = static_cast<uint8_t>(r << 3 | r >> 2);
  rgb[1] = static_cast<uint8_t>(g << 2 | g >> 4);
  rgb[2] = static_cast<uint8_t>(b << 3 | b >> 2);
}

// Python's round(): ties to even.
int32_t rounded(double v) { return static_cast<int32_t>(std::nearbyint(v)); }

bool is_gray(PixelFormat format) { return format == PixelFormat::Gray; }

}  // namespace

size_t Preprocessor::frame_bytes(int32_t width, int32_t height, PixelFormat format) {
  const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
  switch (format) {
    case PixelFormat::Gray:
      return pixels;
    case PixelFormat::Rgb888:
    case PixelFormat::Bgr888:
      return 3 * pixels;
    default:
      return 2 * pixels;
  }
}

const char* Preprocessor::prepare(int32_t width, int32_t height, PixelFormat format) {
  ready_ = false;
  if (width < 1 || height < 1) return "a frame without pixels";
  if (width > kLargestSide || height > kLargestSide || int64_t{width} * height > kMostPixels)
    return "the frame is too large";
  if (format > PixelFormat::Uyvy) return "an unknown format of pixels";
  if ((format == PixelFormat::Yuyv || format == PixelFormat::Uyvy) && width % 2 != 0)
    return "YUV422 needs an even width";
  width_ = width;
  height_ = height;
  format_ = format;
  channels_ = is_gray(format) || settings_.color == Color::Gray ? 1 : 3;
  if (const char* reason = place()) return reason;
  make_axes();
  ready_ = true;
  return nullptr;
}

// Where the picture lies after resizing.
const char* Preprocessor::place() {
  const PreprocessSettings& s = settings_;
  const double w = width_, h = height_;
  resized_width_ = s.width;
  resized_height_ = s.height;
  left_ = top_ = 0;
  if (s.fit == Fit::Letterbox) {
    const double factor = std::min(s.height / h, s.width / w);
    resized_height_ = std::clamp<int32_t>(rounded(h * factor), 1, s.height);
    resized_width_ = std::clamp<int32_t>(rounded(w * factor), 1, s.width);
    left_ = -((s.width - resized_width_) / 2);
    top_ = -((s.height - resized_height_) / 2);
  } else if (s.fit == Fit::CenterCrop) {
    int64_t height = 0, width = 0;
    if (s.short_side > 0) {  // torchvision cuts the fraction off the longer side
      height = height_ <= width_ ? s.short_side : int64_t{s.short_side} * height_ / width_;
      width = width_ <= height_ ? s.short_side : int64_t{s.short_side} * width_ / height_;
    } else {
      const double factor = std::max(s.height / h, s.width / w);
      height = std::max(s.height, rounded(h * factor));
      width = std::max(s.width, rounded(w * factor));
    }
    if (height < s.height || width < s.width) return "the frame is too small to cut from";
    if (height > kLargestSide || width > kLargestSide || height * width > kMostPixels)
      return "the frame is too long and narrow";
    resized_height_ = static_cast<int32_t>(height);
    resized_width_ = static_cast<int32_t>(width);
    left_ = rounded((resized_width_ - s.width) / 2.0);
    top_ = rounded((resized_height_ - s.height) / 2.0);
  }
  x0_ = std::max(-left_, 0);
  x1_ = std::min(resized_width_ - left_, s.width);
  y0_ = std::max(-top_, 0);
  y1_ = std::min(resized_height_ - top_, s.height);
  return nullptr;
}

void Preprocessor::make_axes() {
  const int32_t left = left_ + x0_, right = left_ + x1_, top = top_ + y0_, bottom = top_ + y1_;
  const auto columns_by = [&](auto make) { return make(width_, resized_width_, left, right); };
  const auto rows_by = [&](auto make) { return make(height_, resized_height_, top, bottom); };
  const bool same = width_ == resized_width_ && height_ == resized_height_;
  const size_t samples = static_cast<size_t>((x1_ - x0_) * channels_);
  size_t slots = 0, sums = 0;
  if (same || settings_.resize == Resize::Nearest) {
    method_ = Method::Pick;
    columns_ = columns_by(picked);
    rows_ = rows_by(picked);
  } else if (settings_.resize == Resize::PillowBilinear) {
    method_ = Method::Triangle;
    columns_ = columns_by(triangle);
    rows_ = rows_by(triangle);
    for (const Tap& tap : rows_.taps) slots = std::max(slots, static_cast<size_t>(tap.count));
  } else if (width_ == 2 * resized_width_ && height_ == 2 * resized_height_) {
    method_ = Method::Halve;  // OpenCV takes its averaging kernel there
    columns_ = columns_by(picked);
    rows_ = rows_by(picked);
    sums = samples;
  } else {
    method_ = Method::Linear;
    columns_ = linear(width_, resized_width_, left, right, true);
    rows_ = linear(height_, resized_height_, top, bottom, false);
    slots = 2;
    sums = slots * samples;
  }
  source_.assign(static_cast<size_t>(width_ * channels_), 0);
  row_.assign(samples, 0);
  filtered_.assign(method_ == Method::Triangle ? slots * samples : 0, 0);
  interpolated_.assign(sums, 0);
  kept_.assign(slots, -1);
}

// A running sum, as Pillow's: where a centre falls on the edge between two pixels, the sum's
// rounding decides.
Preprocessor::Axis Preprocessor::picked(int32_t in, int32_t out, int32_t begin, int32_t end) {
  Axis axis;
  const double step = static_cast<double>(in) / out;
  double centre = 0.5 * step;
  for (int32_t i = 0; i < end; ++i, centre += step)
    if (i >= begin) axis.taps.push_back({std::min(static_cast<int32_t>(centre), in - 1), 1, 0});
  return axis;
}

// cv::resize with INTER_LINEAR: two neighbours, weights of 11 bits. `clamp`: beyond the first and
// the last centre one neighbour counts in whole (columns); rows are clamped where they are read.
Preprocessor::Axis Preprocessor::linear(int32_t in, int32_t out, int32_t begin, int32_t end,
                                        bool clamp) {
  Axis axis;
  const double scale = 1.0 / (static_cast<double>(out) / in);
  for (int32_t i = begin; i < end; ++i) {
    float part = static_cast<float>((i + 0.5) * scale - 0.5);
    int32_t first = static_cast<int32_t>(std::floor(part));
    part -= static_cast<float>(first);
    if (clamp && first < 0) first = 0, part = 0;
    if (clamp && first >= in - 1) first = in - 1, part = 0;
    constexpr float kOne = 1 << kLinearBits;
    axis.taps.push_back({first, 2, static_cast<int32_t>(axis.weights.size())});
    axis.weights.push_back(static_cast<int32_t>(std::nearbyint((1.0F - part) * kOne)));
    axis.weights.push_back(static_cast<int32_t>(std::nearbyint(part * kOne)));
  }
  return axis;
}

// Pillow's BILINEAR: a triangle as wide as two input pixels, or two output pixels when the axis
// shrinks.
Preprocessor::Axis Preprocessor::triangle(int32_t in, int32_t out, int32_t begin, int32_t end) {
  Axis axis;
  if (in == out) {
    axis = picked(in, out, begin, end);
    axis.same = true;
    return axis;
  }
  const double scale = static_cast<double>(in) / out;
  const double support = std::max(scale, 1.0), inverse = 1.0 / support;
  std::vector<double> exact;
  for (int32_t i = begin; i < end; ++i) {
    const double centre = (i + 0.5) * scale;
    const int32_t first = std::max(static_cast<int32_t>(centre - support + 0.5), 0);
    const int32_t last = std::min(static_cast<int32_t>(centre + support + 0.5), in);
    exact.clear();
    double sum = 0;
    for (int32_t x = first; x < last; ++x) {
      const double distance = std::abs((x - centre + 0.5) * inverse);
      exact.push_back(distance < 1.0 ? 1.0 - distance : 0.0);
      sum += exact.back();
    }
    axis.taps.push_back({first, last - first, static_cast<int32_t>(axis.weights.size())});
    for (const double w : exact)
      axis.weights.push_back(static_cast<int32_t>(0.5 + w / sum * (1 << kTriangleBits)));
  }
  return axis;
}

// One row of the frame, gray or RGB.
const uint8_t* Preprocessor::source_row(const uint8_t* pixels, int32_t y) {
  const size_t stride = frame_bytes(width_, 1, format_);
  const uint8_t* from = pixels + static_cast<size_t>(y) * stride;
  if (is_gray(format_) || (format_ == PixelFormat::Rgb888 && channels_ == 3)) return from;
  uint8_t* to = source_.data();
  const bool yuv = format_ == PixelFormat::Yuyv || format_ == PixelFormat::Uyvy;
  const int32_t luma = format_ == PixelFormat::Uyvy ? 1 : 0, chroma = 1 - luma;
  for (int32_t x = 0; x < width_; ++x) {
    uint8_t rgb[3];
    if (yuv && channels_ == 1) {
      *to++ = from[2 * x + luma];
      continue;
    }
    switch (format_) {
      case PixelFormat::Rgb565BigEndian:
        rgb_of_565(static_cast<uint32_t>(from[2 * x] << 8 | from[2 * x + 1]), rgb);
        break;
      case PixelFormat::Rgb565LittleEndian:
        rgb_of_565(static_cast<uint32_t>(from[2 * x + 1] << 8 | from[2 * x]), rgb);
        break;
      case PixelFormat::Bgr888:
        rgb[0] = from[3 * x + 2], rgb[1] = from[3 * x + 1], rgb[2] = from[3 * x];
        break;
      case PixelFormat::Yuyv:
      case PixelFormat::Uyvy: {
        const uint8_t* pair = from + 4 * (x / 2);
        rgb_of_yuv(from[2 * x + luma], pair[chroma], pair[chroma + 2], rgb);
        break;
      }
      default:
        std::memcpy(rgb, from + 3 * x, 3);
    }
    if (channels_ == 1) {
      *to++ = gray_of(rgb);
    } else {
      std::memcpy(to, rgb, 3);
      to += 3;
    }
  }
  return source_.data();
}

// A row of the frame, resized along x and rounded to bytes, as Pillow does between its two passes.
const uint8_t* Preprocessor::triangle_row(const uint8_t* pixels, int32_t y) {
  const size_t slot = static_cast<size_t>(y) % kept_.size();
  uint8_t* to = filtered_.data() + slot * row_.size();
  if (kept_[slot] == y) return to;
  kept_[slot] = y;
  const uint8_t* row = source_row(pixels, y);
  const uint8_t* filtered = to;
  for (const Tap& tap : columns_.taps) {
    const uint8_t* from = row + tap.first * channels_;
    if (columns_.same) {
      for (int32_t c = 0; c < channels_; ++c) *to++ = from[c];
      continue;
    }
    const int32_t* weights = columns_.weights.data() + tap.weights;
    for (int32_t c = 0; c < channels_; ++c) {
      uint32_t sum = 1U << (kTriangleBits - 1);
      for (int32_t i = 0; i < tap.count; ++i)
        sum += static_cast<uint32_t>(weights[i]) * from[i * channels_ + c];
      *to++ = static_cast<uint8_t>(std::min<uint32_t>(sum >> kTriangleBits, 255));
    }
  }
  return filtered;
}

// A row of the frame, interpolated along x, in 2^-11.
const int32_t* Preprocessor::linear_row(const uint8_t* pixels, int32_t y) {
  const size_t slot = static_cast<size_t>(y) % kept_.size();
  int32_t* to = interpolated_.data() + slot * row_.size();
  if (kept_[slot] == y) return to;
  kept_[slot] = y;
  const uint8_t* row = source_row(pixels, y);
  const int32_t* interpolated = to;
  for (const Tap& tap : columns_.taps) {
    const uint8_t* from = row + tap.first * channels_;
    const int32_t* weights = columns_.weights.data() + tap.weights;
    const int32_t next = tap.first + 1 < width_ ? channels_ : 0;
    for (int32_t c = 0; c < channels_; ++c, ++from)
      *to++ = weights[0] * from[0] + weights[1] * from[next];
  }
  return interpolated;
}

// The sum of 2 x 2 pixels, where a picture shrinks to half its size along both axes.
void Preprocessor::halved_row(const uint8_t* pixels, int32_t row) {
  const size_t channels = static_cast<size_t>(channels_);
  const int32_t y = 2 * (top_ + y0_ + row), x = 2 * (left_ + x0_);
  std::fill(interpolated_.begin(), interpolated_.end(), 2);
  for (int32_t below = 0; below < 2; ++below) {
    const uint8_t* from = source_row(pixels, y + below) + x * channels_;
    for (size_t i = 0; i < row_.size(); i += channels, from += 2 * channels)
      for (size_t c = 0; c < channels; ++c) interpolated_[i + c] += from[c] + from[channels + c];
  }
  for (size_t i = 0; i < row_.size(); ++i) row_[i] = static_cast<uint8_t>(interpolated_[i] >> 2);
}

void Preprocessor::triangle_rows(const uint8_t* pixels, const Tap& tap) {
  for (int32_t i = 0; i < tap.count; ++i) triangle_row(pixels, tap.first + i);
  if (rows_.same) {
    std::memcpy(row_.data(), triangle_row(pixels, tap.first), row_.size());
    return;
  }
  const int32_t* weights = rows_.weights.data() + tap.weights;
  const size_t slots = kept_.size();
  for (size_t i = 0; i < row_.size(); ++i) {
    uint32_t sum = 1U << (kTriangleBits - 1);
    size_t slot = static_cast<size_t>(tap.first) % slots;
    for (int32_t t = 0; t < tap.count; ++t) {
      sum += static_cast<uint32_t>(weights[t]) * filtered_[slot * row_.size() + i];
      slot = slot + 1 == slots ? 0 : slot + 1;
    }
    row_[i] = static_cast<uint8_t>(std::min<uint32_t>(sum >> kTriangleBits, 255));
  }
}

void Preprocessor::linear_rows(const uint8_t* pixels, const Tap& tap) {
  const int32_t* weights = rows_.weights.data() + tap.weights;
  const int32_t* a = linear_row(pixels, std::clamp(tap.first, 0, height_ - 1));
  const int32_t* b = linear_row(pixels, std::clamp(tap.first + 1, 0, height_ - 1));
  for (size_t i = 0; i < row_.size(); ++i)  // the roundings of OpenCV's kernel
    row_[i] = static_cast<uint8_t>(
        (((weights[0] * (a[i] >> 4)) >> 16) + ((weights[1] * (b[i] >> 4)) >> 16) + 2) >> 2);
}

// Row number `row` of the window into row_.
void Preprocessor::resized_row(const uint8_t* pixels, int32_t row) {
  const Tap& tap = rows_.taps[static_cast<size_t>(row)];
  switch (method_) {
    case Method::Pick: {
      const uint8_t* from = source_row(pixels, tap.first);
      uint8_t* to = row_.data();
      for (const Tap& column : columns_.taps)
        for (int32_t c = 0; c < channels_; ++c) *to++ = from[column.first * channels_ + c];
      break;
    }
    case Method::Halve:
      halved_row(pixels, row);
      break;
    case Method::Linear:
      linear_rows(pixels, tap);
      break;
    case Method::Triangle:
      triangle_rows(pixels, tap);
      break;
  }
}

// `inside`: row_ holds what the picture has of this row; else all of it is letterbox.
template <typename T>
void Preprocessor::write_row(int32_t y, bool inside, T* input) const {
  const PreprocessSettings& s = settings_;
  const int32_t x0 = inside ? x0_ : s.width, x1 = inside ? x1_ : s.width;
  for (int32_t c = 0; c < (s.color == Color::Gray ? 1 : 3); ++c) {
    const int16_t* values = s.values + 256 * c;
    T* to = input + y * s.row_stride + c * s.channel_stride;
    int32_t from = channels_ == 1 ? 0 : s.color == Color::Bgr ? 2 - c : c;
    for (int32_t x = 0; x < s.width; ++x, to += s.column_stride) {
      if (x < x0 || x >= x1) {
        *to = static_cast<T>(values[s.pad]);
      } else {
        *to = static_cast<T>(values[row_[static_cast<size_t>(from)]]);
        from += channels_;
      }
    }
  }
}

template <typename T>
void Preprocessor::run_as(const uint8_t* pixels, T* input) {
  std::fill(kept_.begin(), kept_.end(), -1);
  for (int32_t y = 0; y < settings_.height; ++y) {
    const bool inside = y >= y0_ && y < y1_;
    if (inside) resized_row(pixels, y - y0_);
    write_row(y, inside, input);
  }
}

void Preprocessor::run(const uint8_t* pixels, void* input) {
  if (settings_.wide)
    run_as(pixels, static_cast<int16_t*>(input));
  else
    run_as(pixels, static_cast<int8_t*>(input));
}

}  // namespace firmware
