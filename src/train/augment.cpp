#include "train/augment.h"

#include <algorithm>
#include <cmath>

namespace espquant::train {
namespace {

bool is_picture(const Tensor& t) { return t.rank() == 4 && t.shape()[2] > 1 && t.shape()[3] > 1; }

void move_pixels(Tensor& picture, bool flip, std::int64_t down, std::int64_t right) {
  const Tensor before = picture;
  const std::int64_t height = picture.shape()[2], width = picture.shape()[3];
  const auto from = before.data<float>();
  auto to = picture.mutable_data<float>();
  for (std::size_t at = 0; at < to.size(); ++at) {
    const auto i = static_cast<std::int64_t>(at);
    const std::int64_t plane = i / (height * width), y = i / width % height, x = i % width;
    const std::int64_t row = std::clamp<std::int64_t>(y - down, 0, height - 1);
    const std::int64_t moved = std::clamp<std::int64_t>(x - right, 0, width - 1);
    const std::int64_t column = flip ? width - 1 - moved : moved;
    to[at] = from[static_cast<std::size_t>((plane * height + row) * width + column)];
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
    if (is_picture(t)) {
      const bool flip = how.flip && random.uniform() < 0.5F;
      const std::int64_t down = how.shift > 0 ? random.between(-how.shift, how.shift) : 0;
      const std::int64_t right = how.shift > 0 ? random.between(-how.shift, how.shift) : 0;
      if (flip || down != 0 || right != 0) move_pixels(t, flip, down, right);
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
