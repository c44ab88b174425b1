#include "ops/executor_loops.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/executor_loops.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace espquant::ops::exec::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Choices by comparison, not by the processor's min and max: NaN has to come through, so that
// whoever observes the values sees it.
template <typename V>
HWY_INLINE V smaller(V a, V b) {
  return hn::IfThenElse(hn::Lt(b, a), b, a);
}
template <typename V>
HWY_INLINE V larger(V a, V b) {
  return hn::IfThenElse(hn::Lt(a, b), b, a);
}
template <typename D, typename V>
HWY_INLINE V unit_clamp(D d, V v) {
  return smaller(larger(v, hn::Zero(d)), hn::Set(d, 1.0F));
}

struct Parameters {
  float p, q;
};

struct AbsOf : Parameters {
  template <typename D, typename V>
  HWY_INLINE V operator()(D, V v) const {
    return hn::Abs(v);
  }
};
struct Clipped : Parameters {
  template <typename D, typename V>
  HWY_INLINE V operator()(D d, V v) const {
    return smaller(larger(v, hn::Set(d, p)), hn::Set(d, q));
  }
};
struct HardSigmoidOf : Parameters {
  template <typename D, typename V>
  HWY_INLINE V operator()(D d, V v) const {
    return unit_clamp(d, hn::Add(hn::Mul(hn::Set(d, p), v), hn::Set(d, q)));
  }
};
struct HardSwishOf : Parameters {
  template <typename D, typename V>
  HWY_INLINE V operator()(D d, V v) const {
    return hn::Mul(v, unit_clamp(d, hn::Add(hn::Div(v, hn::Set(d, 6.0F)), hn::Set(d, 0.5F))));
  }
};
struct LeakyReluOf : Parameters {
  template <typename D, typename V>
  HWY_INLINE V operator()(D d, V v) const {
    return hn::IfThenElse(hn::Lt(v, hn::Zero(d)), hn::Mul(v, hn::Set(d, p)), v);
  }
};
struct Negated : Parameters {
  template <typename D, typename V>
  HWY_INLINE V operator()(D, V v) const {
    return hn::Neg(v);
  }
};
struct ReluOf : Parameters {
  template <typename D, typename V>
  HWY_INLINE V operator()(D d, V v) const {
    return larger(v, hn::Zero(d));
  }
};
struct Root : Parameters {
  template <typename D, typename V>
  HWY_INLINE V operator()(D, V v) const {
    return hn::Sqrt(v);
  }
};

/// Whole vectors, then single elements.
template <typename Step>
HWY_INLINE void sweep(std::int64_t count, Step step) {
  const hn::ScalableTag<float> whole;
  const hn::CappedTag<float, 1> single;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(whole));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) step(whole, i);
  for (; i < count; ++i) step(single, i);
}

template <typename F>
HWY_INLINE void each(const float* x, float* y, std::int64_t count, F f) {
  sweep(count,
        [=](auto d, std::int64_t i) HWY_ATTR { hn::StoreU(f(d, hn::LoadU(d, x + i)), d, y + i); });
}

void map_unary(Unary f, float p, float q, const float* x, float* y, std::int64_t count) {
  const Parameters parameters{p, q};
  switch (f) {
    case Unary::Abs:
      return each(x, y, count, AbsOf{parameters});
    case Unary::Clip:
      return each(x, y, count, Clipped{parameters});
    case Unary::HardSigmoid:
      return each(x, y, count, HardSigmoidOf{parameters});
    case Unary::HardSwish:
      return each(x, y, count, HardSwishOf{parameters});
    case Unary::LeakyRelu:
      return each(x, y, count, LeakyReluOf{parameters});
    case Unary::Neg:
      return each(x, y, count, Negated{parameters});
    case Unary::Relu:
      return each(x, y, count, ReluOf{parameters});
    case Unary::Sqrt:
      return each(x, y, count, Root{parameters});
  }
}

struct Sum {
  template <typename D, typename V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Add(a, b);
  }
};
struct LoopDifference {
  template <typename D, typename V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Sub(a, b);
  }
};
struct LoopProduct {
  template <typename D, typename V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Mul(a, b);
  }
};
struct LoopQuotient {
  template <typename D, typename V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Div(a, b);
  }
};
struct Larger {
  template <typename D, typename V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return larger(a, b);
  }
};
struct Smaller {
  template <typename D, typename V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return smaller(a, b);
  }
};
struct SlopeWhereNegative {
  template <typename D, typename V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return hn::IfThenElse(hn::Lt(a, hn::Zero(d)), hn::Mul(a, b), a);
  }
};

template <typename F>
HWY_INLINE void pairs(const float* a, const float* b, float* y, std::int64_t count, F f) {
  sweep(count, [=](auto d, std::int64_t i) HWY_ATTR {
    hn::StoreU(f(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, y + i);
  });
}

template <typename F>
HWY_INLINE void strided_pairs(const float* a, std::int64_t step_a, const float* b,
                              std::int64_t step_b, float* y, std::int64_t count, F f) {
  if (step_a == 1 && step_b == 1) return pairs(a, b, y, count, f);
  if (step_a == 1 && step_b == 0)
    return sweep(count, [=](auto d, std::int64_t i) HWY_ATTR {
      hn::StoreU(f(d, hn::LoadU(d, a + i), hn::Set(d, *b)), d, y + i);
    });
  if (step_a == 0 && step_b == 1)
    return sweep(count, [=](auto d, std::int64_t i) HWY_ATTR {
      hn::StoreU(f(d, hn::Set(d, *a), hn::LoadU(d, b + i)), d, y + i);
    });
  const hn::CappedTag<float, 1> d;
  for (std::int64_t i = 0; i < count; ++i)
    hn::StoreU(f(d, hn::LoadU(d, a + i * step_a), hn::LoadU(d, b + i * step_b)), d, y + i);
}

void map_binary(Binary f, const float* a, std::int64_t step_a, const float* b, std::int64_t step_b,
                float* y, std::int64_t count) {
  switch (f) {
    case Binary::Add:
      return strided_pairs(a, step_a, b, step_b, y, count, Sum{});
    case Binary::Div:
      return strided_pairs(a, step_a, b, step_b, y, count, LoopQuotient{});
    case Binary::Max:
      return strided_pairs(a, step_a, b, step_b, y, count, Larger{});
    case Binary::Min:
      return strided_pairs(a, step_a, b, step_b, y, count, Smaller{});
    case Binary::Mul:
      return strided_pairs(a, step_a, b, step_b, y, count, LoopProduct{});
    case Binary::PRelu:
      return strided_pairs(a, step_a, b, step_b, y, count, SlopeWhereNegative{});
    case Binary::Sub:
      return strided_pairs(a, step_a, b, step_b, y, count, LoopDifference{});
  }
}

void scale_columns(const float* x, const float* factor, const float* offset, float* y,
                   std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; ++r, x += columns, y += columns)
    sweep(columns, [=](auto d, std::int64_t i) HWY_ATTR {
      const auto scaled = hn::Mul(hn::LoadU(d, x + i), hn::LoadU(d, factor + i));
      hn::StoreU(hn::Add(scaled, hn::LoadU(d, offset + i)), d, y + i);
    });
}

HWY_INLINE void add_into(const float* x, float* sum, std::int64_t count) {
  pairs(sum, x, sum, count, Sum{});
}

HWY_INLINE void max_into(const float* x, float* best, std::int64_t count) {
  pairs(best, x, best, count, Larger{});
}

/// Sums of short blocks are added up, so that the rounding error grows with the root of the rows.
void mean_of_rows(const float* x, float* y, float* partial, std::int64_t rows,
                  std::int64_t columns) {
  const auto block = static_cast<std::int64_t>(std::sqrt(static_cast<double>(rows))) + 1;
  std::fill(y, y + columns, 0.0F);
  for (std::int64_t r0 = 0; r0 < rows; r0 += block) {
    std::fill(partial, partial + columns, 0.0F);
    for (std::int64_t r = r0; r < std::min(r0 + block, rows); ++r)
      add_into(x + r * columns, partial, columns);
    add_into(partial, y, columns);
  }
  const auto divisor = static_cast<float>(rows);
  strided_pairs(y, 1, &divisor, 0, y, columns, LoopQuotient{});
}

void max_of_rows(const float* x, float* y, std::int64_t rows, std::int64_t columns) {
  std::copy(x, x + columns, y);
  for (std::int64_t r = 1; r < rows; ++r) max_into(x + r * columns, y, columns);
}

std::int64_t counted(const WindowAxis& axis, std::int64_t o, bool padding) {
  const Range taps =
      padding ? axis.taps_within(o, -axis.pad_begin, axis.in + axis.pad_end) : axis.taps(o);
  return taps.end - taps.begin;
}

/// Calls f(pixel) for each input pixel under output (z, y, x).
template <typename F>
HWY_INLINE void for_each_loop_tap(const Window& w, std::int64_t z, std::int64_t y, std::int64_t x,
                                  F f) {
  const Range tz = w[0].taps(z), ty = w[1].taps(y), tx = w[2].taps(x);
  for (std::int64_t i = tz.begin; i < tz.end; ++i) {
    for (std::int64_t j = ty.begin; j < ty.end; ++j) {
      const std::int64_t row =
          (w[0].origin(z) + i * w[0].dilation) * w[1].in + w[1].origin(y) + j * w[1].dilation;
      for (std::int64_t k = tx.begin; k < tx.end; ++k)
        f(row * w[2].in + w[2].origin(x) + k * w[2].dilation);
    }
  }
}

void pool_windows(const PoolWindow& pool, const float* in, float* out) {
  const Window& w = pool.window;
  const std::int64_t channels = pool.channels;
  for (std::int64_t z = 0; z < w[0].out; ++z) {
    for (std::int64_t y = 0; y < w[1].out; ++y) {
      for (std::int64_t x = 0; x < w[2].out; ++x, out += channels) {
        bool first = true;
        for_each_loop_tap(w, z, y, x, [&](std::int64_t pixel) HWY_ATTR {
          const float* from = in + pixel * channels;
          if (first)
            std::copy(from, from + channels, out);
          else if (pool.average)
            add_into(from, out, channels);
          else
            max_into(from, out, channels);
          first = false;
        });
        if (first) std::fill(out, out + channels, 0.0F);
        const std::int64_t count = counted(w[0], z, pool.count_padding) *
                                   counted(w[1], y, pool.count_padding) *
                                   counted(w[2], x, pool.count_padding);
        if (pool.average && !first) {
          const auto divisor = static_cast<float>(count);
          strided_pairs(out, 1, &divisor, 0, out, channels, LoopQuotient{});
        }
      }
    }
  }
}

}  // namespace
}  // namespace espquant::ops::exec::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace espquant::ops::exec {

HWY_EXPORT(map_unary);
HWY_EXPORT(map_binary);
HWY_EXPORT(scale_columns);
HWY_EXPORT(mean_of_rows);
HWY_EXPORT(max_of_rows);
HWY_EXPORT(pool_windows);

void map_unary(Unary f, float p, float q, const float* x, float* y, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(map_unary)(f, p, q, x, y, count);
}

void map_binary(Binary f, const float* a, std::int64_t step_a, const float* b, std::int64_t step_b,
                float* y, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(map_binary)(f, a, step_a, b, step_b, y, count);
}

void scale_columns(const float* x, const float* factor, const float* offset, float* y,
                   std::int64_t rows, std::int64_t columns) {
  HWY_DYNAMIC_DISPATCH(scale_columns)(x, factor, offset, y, rows, columns);
}

void mean_of_rows(const float* x, float* y, float* partial, std::int64_t rows,
                  std::int64_t columns) {
  HWY_DYNAMIC_DISPATCH(mean_of_rows)(x, y, partial, rows, columns);
}

void max_of_rows(const float* x, float* y, std::int64_t rows, std::int64_t columns) {
  HWY_DYNAMIC_DISPATCH(max_of_rows)(x, y, rows, columns);
}

void pool_windows(const PoolWindow& pool, const float* x, float* y) {
  HWY_DYNAMIC_DISPATCH(pool_windows)(pool, x, y);
}

}  // namespace espquant::ops::exec
#endif
