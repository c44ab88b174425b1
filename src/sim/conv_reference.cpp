#include "sim/conv_reference.h"

#include <algorithm>

#include "base/fixed_point.h"

namespace espquant::sim {
namespace {

/// A sum in a register of limited width.
class Register {
 public:
  Register(const Accumulator& rule, std::int64_t start) : rule_(rule), sum_(start) {}

  void add(std::int64_t products) {
    // Unsigned: an int64 bias of a broken file must not overflow.
    sum_ = static_cast<std::int64_t>(static_cast<std::uint64_t>(sum_) +
                                     static_cast<std::uint64_t>(products));
    if (rule_.wraps) {
      sum_ = wrap_bits(sum_, rule_.bits);
    } else if (rule_.clips()) {
      peak_ = std::max(peak_, sum_ < 0 ? -sum_ : sum_);
      const std::int64_t clipped = saturate_bits(sum_, rule_.bits);
      clipped_ |= clipped != sum_;
      sum_ = clipped;
    }
  }

  std::int64_t sum() const { return sum_; }
  void report(Workspace::Saturation& to) const {
    if (!rule_.clips()) return;
    ++to.outputs;
    to.saturated += clipped_ ? 1 : 0;
    to.peak = std::max(to.peak, peak_);
  }

 private:
  const Accumulator& rule_;
  std::int64_t sum_, peak_ = 0;
  bool clipped_ = false;
};

}  // namespace

template <typename T>
T conv_reference_element(const ConvGeometry& g, const MacArithmetic& arithmetic, const T* x,
                         const T* w, std::int64_t oy, std::int64_t ox, std::int64_t channel,
                         Workspace::Saturation* saturation) {
  const Accumulator& rule = arithmetic.accumulator(channel);
  Register accumulator(rule, arithmetic.bias[static_cast<std::size_t>(channel)]);
  const T* filter = w + channel * g.kernel_h * g.kernel_w * g.filter_c();
  for (std::int64_t ky = 0; ky < g.kernel_h; ++ky) {
    const std::int64_t iy = oy * g.stride_h - g.pad_top + ky * g.dilation_h;
    if (iy < 0 || iy >= g.in_h) continue;
    for (std::int64_t kx = 0; kx < g.kernel_w; ++kx) {
      const std::int64_t ix = ox * g.stride_w - g.pad_left + kx * g.dilation_w;
      if (ix < 0 || ix >= g.in_w) continue;
      const T* tap = filter + (ky * g.kernel_w + kx) * g.filter_c();
      const T* pixel = x + (iy * g.in_w + ix) * g.in_c + (g.depthwise ? channel : 0);
      for (std::int64_t c = 0; c < g.filter_c(); c += rule.products_per_step) {
        const std::int64_t end = std::min(c + rule.products_per_step, g.filter_c());
        std::int64_t products = 0;
        for (std::int64_t i = c; i < end; ++i) products += std::int64_t{pixel[i]} * tap[i];
        accumulator.add(products);
      }
    }
  }
  if (saturation != nullptr) accumulator.report(*saturation);
  return static_cast<T>(finish_sum(arithmetic, channel, accumulator.sum()));
}

template <typename T>
void conv_reference(const ConvGeometry& g, const MacArithmetic& arithmetic, const T* x, const T* w,
                    T* y, std::int64_t first_channel, std::int64_t last_channel,
                    Workspace::Saturation* saturation) {
  for (std::int64_t oy = 0; oy < g.out_h; ++oy)
    for (std::int64_t ox = 0; ox < g.out_w; ++ox)
      for (std::int64_t n = first_channel; n < last_channel; ++n)
        y[(oy * g.out_w + ox) * g.out_c + n] =
            conv_reference_element(g, arithmetic, x, w, oy, ox, n, saturation);
}

template std::int8_t conv_reference_element(const ConvGeometry&, const MacArithmetic&,
                                            const std::int8_t*, const std::int8_t*, std::int64_t,
                                            std::int64_t, std::int64_t, Workspace::Saturation*);
template std::int16_t conv_reference_element(const ConvGeometry&, const MacArithmetic&,
                                             const std::int16_t*, const std::int16_t*, std::int64_t,
                                             std::int64_t, std::int64_t, Workspace::Saturation*);
template void conv_reference(const ConvGeometry&, const MacArithmetic&, const std::int8_t*,
                             const std::int8_t*, std::int8_t*, std::int64_t, std::int64_t,
                             Workspace::Saturation*);
template void conv_reference(const ConvGeometry&, const MacArithmetic&, const std::int16_t*,
                             const std::int16_t*, std::int16_t*, std::int64_t, std::int64_t,
                             Workspace::Saturation*);

}  // namespace espquant::sim
