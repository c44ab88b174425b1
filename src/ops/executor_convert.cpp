#include "ops/executor_convert.h"

#include <algorithm>
#include <cstring>

namespace espquant::ops::exec {
namespace {

/// to[c][r] = from[r][c], in tiles that stay in the cache.
void transpose(const float* from, float* to, std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kTile = 16;
  for (std::int64_t r0 = 0; r0 < rows; r0 += kTile) {
    const std::int64_t r1 = std::min(r0 + kTile, rows);
    for (std::int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const std::int64_t c1 = std::min(c0 + kTile, columns);
      for (std::int64_t c = c0; c < c1; ++c)
        for (std::int64_t r = r0; r < r1; ++r) to[c * rows + r] = from[r * columns + c];
    }
  }
}

class Conversion final : public Kernel {
 public:
  Conversion(const Shape& shape, Form from, Form to) : shape_(shape), count_(element_count(shape)) {
    if ((from == Form::ChannelsLast) == (to == Form::ChannelsLast) || layouts_coincide(shape))
      return;
    images_ = shape[0];
    rows_ = shape[1];
    columns_ = count_ / std::max<std::int64_t>(images_ * rows_, 1);
    if (from == Form::ChannelsLast) std::swap(rows_, columns_);
  }

  std::function<void()> bind(const Binding& binding) const override {
    const Operand in = binding.inputs[0];
    const Result out = binding.outputs[0];
    return [this, in, out] {
      if (out.tensor != nullptr) *out.tensor = Tensor(DType::Float32, shape_);
      const float* from = in.tensor != nullptr ? in.tensor->data<float>().data() : in.data;
      float* to = out.tensor != nullptr ? out.tensor->mutable_data<float>().data() : out.data;
      convert(from, to);
    };
  }

  std::string name() const override { return images_ == 0 ? "copy" : "transpose"; }

 private:
  void convert(const float* from, float* to) const {
    if (images_ == 0) {
      std::memcpy(to, from, static_cast<std::size_t>(count_) * sizeof(float));
      return;
    }
    const std::int64_t image = rows_ * columns_;
    for (std::int64_t i = 0; i < images_; ++i)
      transpose(from + i * image, to + i * image, rows_, columns_);
  }

  Shape shape_;
  std::int64_t count_;
  std::int64_t images_ = 0;  ///< 0: a copy without change of order
  std::int64_t rows_ = 0, columns_ = 0;
};

}  // namespace

std::shared_ptr<const Kernel> make_conversion(const Shape& shape, Form from, Form to) {
  return std::make_shared<Conversion>(shape, from, to);
}

}  // namespace espquant::ops::exec
