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

HWY_INLINE float smaller(float a, float b) { return b < a ? b : a; }
HWY_INLINE float larger(float a, float b) { return a < b ? b : a; }

template <typename F>
HWY_ATTR void each(const float* x, float* y, std::int64_t count, F f) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] = f(x[i]);
}

HWY_ATTR void map_unary(Unary f, float p, float q, const float* x, float* y, std::int64_t count) {
  switch (f) {
    case Unary::Abs:
      return each(x, y, count, [](float v) HWY_ATTR { return std::fabs(v); });
    case Unary::Clip:
      return each(x, y, count, [p, q](float v) HWY_ATTR { return smaller(larger(v, p), q); });
    case Unary::HardSigmoid:
      return each(x, y, count,
                  [p, q](float v) HWY_ATTR { return smaller(larger(p * v + q, 0.0F), 1.0F); });
    case Unary::HardSwish:
      return each(x, y, count, [](float v) HWY_ATTR {
        return v * smaller(larger(v / 6.0F + 0.5F, 0.0F), 1.0F);
      });
    case Unary::LeakyRelu:
      return each(x, y, count, [p](float v) HWY_ATTR { return v < 0.0F ? v * p : v; });
    case Unary::Neg:
      return each(x, y, count, [](float v) HWY_ATTR { return -v; });
    case Unary::Relu:
      return each(x, y, count, [](float v) HWY_ATTR { return v < 0.0F ? 0.0F : v; });
    case Unary::Sqrt:
      return each(x, y, count, [](float v) HWY_ATTR { return std::sqrt(v); });
  }
}

template <typename F>
HWY_ATTR void pairwise(const float* a, std::int64_t step_a, const float* b, std::int64_t step_b,
                       float* y, std::int64_t count, F f) {
  if (step_a == 1 && step_b == 1) {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) y[i] = f(a[i], b[i]);
  } else if (step_a == 1 && step_b == 0) {
    const float right = *b;
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) y[i] = f(a[i], right);
  } else if (step_a == 0 && step_b == 1) {
    const float left = *a;
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) y[i] = f(left, b[i]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) y[i] = f(a[i * step_a], b[i * step_b]);
  }
}

HWY_ATTR void map_binary(Binary f, const float* a, std::int64_t step_a, const float* b,
                         std::int64_t step_b, float* y, std::int64_t count) {
  const auto with = [&](auto g) HWY_ATTR { pairwise(a, step_a, b, step_b, y, count, g); };
  switch (f) {
    case Binary::Add:
      return with([](float u, float v) HWY_ATTR { return u + v; });
    case Binary::Div:
      return with([](float u, float v) HWY_ATTR { return u / v; });
    case Binary::Max:
      return with([](float u, float v) HWY_ATTR { return larger(u, v); });
    case Binary::Min:
      return with([](float u, float v) HWY_ATTR { return smaller(u, v); });
    case Binary::Mul:
      return with([](float u, float v) HWY_ATTR { return u * v; });
    case Binary::PRelu:
      return with([](float u, float v) HWY_ATTR { return u < 0.0F ? u * v : u; });
    case Binary::Sub:
      return with([](float u, float v) HWY_ATTR { return u - v; });
  }
}

HWY_ATTR void scale_columns(const float* x, const float* factor, const float* offset, float* y,
                            std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
#pragma omp simd
    for (std::int64_t c = 0; c < columns; ++c) y[c] = x[c] * factor[c] + offset[c];
  }
}

HWY_ATTR void add_into(const float* x, float* sum, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) sum[i] += x[i];
}

HWY_ATTR void max_into(const float* x, float* best, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) best[i] = larger(best[i], x[i]);
}

HWY_ATTR void scale(float* y, float factor, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] *= factor;
}

/// Sums of short blocks are added up, so that the rounding error grows with the root of the rows.
HWY_ATTR void mean_of_rows(const float* x, float* y, float* partial, std::int64_t rows,
                           std::int64_t columns) {
  const auto block = static_cast<std::int64_t>(std::sqrt(static_cast<double>(rows))) + 1;
  std::fill(y, y + columns, 0.0F);
  for (std::int64_t r0 = 0; r0 < rows; r0 += block) {
    std::fill(partial, partial + columns, 0.0F);
    for (std::int64_t r = r0; r < std::min(r0 + block, rows); ++r)
      add_into(x + r * columns, partial, columns);
    add_into(partial, y, columns);
  }
  for (std::int64_t c = 0; c < columns; ++c) y[c] /= static_cast<float>(rows);
}

HWY_ATTR void max_of_rows(const float* x, float* y, std::int64_t rows, std::int64_t columns) {
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
HWY_ATTR void for_each_tap(const Window& w, std::int64_t z, std::int64_t y, std::int64_t x, F f) {
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

HWY_ATTR void pool_windows(const PoolWindow& pool, const float* in, float* out) {
  const Window& w = pool.window;
  const std::int64_t channels = pool.channels;
  for (std::int64_t z = 0; z < w[0].out; ++z) {
    for (std::int64_t y = 0; y < w[1].out; ++y) {
      for (std::int64_t x = 0; x < w[2].out; ++x, out += channels) {
        bool first = true;
        for_each_tap(w, z, y, x, [&](std::int64_t pixel) HWY_ATTR {
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
        if (pool.average && !first) scale(out, 1.0F / static_cast<float>(count), channels);
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
