#include "train/augment.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace espquant::train {
namespace {

/// How the pixels of a picture stand: planes of rows, or channels side by side.
struct PictureLayout {
  std::int64_t planes = 1, height = 0, width = 0, channels = 1;
};

/// Nothing for what is no picture. Few channels behind many columns are those of N,H,W,C.
std::optional<PictureLayout> picture_layout(const Tensor& t) {
  if (t.rank() != 4) return std::nullopt;
  const Shape& s = t.shape();
  constexpr std::int64_t kMostColours = 4;
  const bool last = s[1] > kMostColours && s[2] > kMostColours && s[3] <= kMostColours;
  const PictureLayout layout =
      last ? PictureLayout{1, s[1], s[2], s[3]} : PictureLayout{s[1], s[2], s[3], 1};
  if (layout.height < 2 || layout.width < 2) return std::nullopt;
  return layout;
}

void move_pixels(Tensor& picture, const PictureLayout& layout, bool flip, std::int64_t down,
                 std::int64_t right) {
  const Tensor before = picture;
  const auto from = before.data<float>();
  float* to = picture.mutable_data<float>().data();
  for (std::int64_t plane = 0; plane < layout.planes; ++plane)
    for (std::int64_t y = 0; y < layout.height; ++y) {
      const std::int64_t row = std::clamp<std::int64_t>(y - down, 0, layout.height - 1);
      for (std::int64_t x = 0; x < layout.width; ++x) {
        const std::int64_t moved = std::clamp<std::int64_t>(x - right, 0, layout.width - 1);
        const std::int64_t column = flip ? layout.width - 1 - moved : moved;
        const std::int64_t at = ((plane * layout.height + row) * layout.width + column);
        to = std::copy_n(from.data() + at * layout.channels, layout.channels, to);
      }
    }
}

float deviation(std::span<const float> x) {
  double sum = 0, squares = 0;
  for (float v : x) {
    sum += static_cast<double>(v);
    squares += static_cast<double>(v) * static_cast<double>(v);
  }
  const auto count = static_cast<double>(std::max<std::size_t>(x.size(), 1));
  return static_cast<float>(
      std::sqrt(std::max(squares / count - sum / count * (sum / count), 0.0)));
}

}  // namespace

std::vector<Tensor> augmented(std::vector<Tensor> sample, const std::vector<Tensor>& other,
                              const Augmentation& how, Random& random) {
  const bool mixes = how.mix > 0 && static_cast<double>(random.uniform()) < how.mix;
  const float part = 0.5F * random.uniform();
  for (std::size_t i = 0; i < sample.size(); ++i) {
    Tensor& t = sample[i];
    if (t.dtype() != DType::Float32) continue;
    if (mixes && other[i].shape() == t.shape()) {
      auto x = t.mutable_data<float>();
      const auto y = other[i].data<float>();
      for (std::size_t k = 0; k < x.size(); ++k) x[k] += part * (y[k] - x[k]);
    }
    if (const auto layout = picture_layout(t)) {
      const bool flip = how.flip && random.uniform() < 0.5F;
      const std::int64_t down = how.shift > 0 ? random.between(-how.shift, how.shift) : 0;
      const std::int64_t right = how.shift > 0 ? random.between(-how.shift, how.shift) : 0;
      if (flip || down != 0 || right != 0) move_pixels(t, *layout, flip, down, right);
      const auto range = static_cast<float>(how.brightness);
      if (range > 0) {
        const float factor = random.uniform(1 - range, 1 + range);
        for (float& x : t.mutable_data<float>()) x *= factor;
      }
    }
    if (how.noise > 0) {
      const float reach = static_cast<float>(how.noise) * deviation(t.data<float>());
      for (float& x : t.mutable_data<float>()) x += random.uniform(-reach, reach);
    }
  }
  return sample;
}

}  // namespace espquant::train
