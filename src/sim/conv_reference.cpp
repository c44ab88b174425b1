#include "sim/conv_reference.h"

#include <algorithm>

#include "base/fixed_point.h"

namespace espquant::sim {
namespace {

/// A sum in a register of limited width.
class Register {
 public:
  Register(const Accumulator& rule, std::int64_t start)
      : rule_(rule), sum_(start), unclipped_(start), peak_(magnitude(start)) {}

  void add(std::int64_t products) {
    sum_ = plus(sum_, products);
    if (rule_.wraps) {
      sum_ = wrap_bits(sum_, rule_.bits);
    } else if (rule_.clips()) {
      sum_ = saturate_bits(sum_, rule_.bits);
      unclipped_ = plus(unclipped_, products);
      peak_ = std::max(peak_, magnitude(unclipped_));
    }
  }

  std::int64_t sum() const { return sum_; }
  /// Of the sum if it had never been clipped; beyond the limit exactly when it was.
  std::int64_t peak() const { return peak_; }

 private:
  // Unsigned: an int64 bias of a broken file must not overflow.
  static std::int64_t plus(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  }
  static std::int64_t magnitude(std::int64_t v) { return v < 0 ? ~v : v; }

  const Accumulator& rule_;
  std::int64_t sum_, unclipped_, peak_;
};

}  // namespace

template <typename T, typename W>
T conv_reference_element(const ConvGeometry& g, const MacArithmetic& arithmetic, const T* x,
                         const W* w, std::int64_t oy, std::int64_t ox, std::int64_t channel,
                         Workspace::Saturation* saturation) {
  const Accumulator& rule = arithmetic.accumulator(channel);
  Register accumulator(rule, arithmetic.bias[static_cast<std::size_t>(channel)]);
  const W* filter = w + channel * g.kernel_h * g.kernel_w * g.filter_c();
  for (std::int64_t ky = 0; ky < g.kernel_h; ++ky) {
    const std::int64_t iy = oy * g.stride_h - g.pad_top + ky * g.dilation_h;
    if (iy < 0 || iy >= g.in_h) continue;
    for (std::int64_t kx = 0; kx < g.kernel_w; ++kx) {
      const std::int64_t ix = ox * g.stride_w - g.pad_left + kx * g.dilation_w;
      if (ix < 0 || ix >= g.in_w) continue;
      const W* tap = filter + (ky * g.kernel_w + kx) * g.filter_c();
      const T* pixel = x + (iy * g.in_w + ix) * g.in_c + (g.depthwise ? channel : 0);
      for (std::int64_t c = 0; c < g.filter_c(); c += rule.products_per_step) {
        const std::int64_t end = std::min(c + rule.products_per_step, g.filter_c());
        std::int64_t products = 0;
        for (std::int64_t i = c; i < end; ++i) products += std::int64_t{pixel[i]} * tap[i];
        accumulator.add(products);
      }
    }
  }
  if (saturation != nullptr && arithmetic.counts(channel))
    saturation->add(accumulator.peak(), rule.limit());
  return static_cast<T>(finish_sum(arithmetic, channel, accumulator.sum()));
}

template <typename T, typename W>
void conv_reference(const ConvGeometry& g, const MacArithmetic& arithmetic, const T* x, const W* w,
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
template void conv_reference(const ConvGeometry&, const MacArithmetic&, const std::int16_t*,
                             const std::int8_t*, std::int16_t*, std::int64_t, std::int64_t,
                             Workspace::Saturation*);

}  // namespace espquant::sim
