#pragma once

#include <cstdint>

#include "ops/window.h"

/// Float loops over contiguous memory, compiled for each instruction set and chosen at run time
/// (Highway). The destination may be the very source.
namespace espquant::ops::exec {

enum class Unary : std::uint8_t {
  Abs,
  Clip,
  HardSigmoid,
  HardSwish,
  LeakyRelu,
  Neg,
  Relu,
  Sqrt,
};

/// y[i] = f(x[i]). `p` and `q` are the bounds of Clip, alpha and beta of HardSigmoid, alpha (p) of
/// LeakyRelu.
void map_unary(Unary f, float p, float q, const float* x, float* y, std::int64_t count);

enum class Binary : std::uint8_t { Add, Div, Max, Min, Mul, PRelu, Sub };

/// y[i] = f(a[i * step_a], b[i * step_b]).
void map_binary(Binary f, const float* a, std::int64_t step_a, const float* b, std::int64_t step_b,
                float* y, std::int64_t count);

/// y[r][c] = x[r][c] * factor[c] + offset[c].
void scale_columns(const float* x, const float* factor, const float* offset, float* y,
                   std::int64_t rows, std::int64_t columns);

/// y[c] = mean (or maximum) over r of x[r][c]. `partial` has room for `columns` numbers.
void mean_of_rows(const float* x, float* y, float* partial, std::int64_t rows,
                  std::int64_t columns);
void max_of_rows(const float* x, float* y, std::int64_t rows, std::int64_t columns);

struct PoolWindow {
  Window window;
  std::int64_t channels = 1;
  bool average = false;
  bool count_padding = false;
};

/// One image, (D,H,W,C) to (D,H,W,C). Every window must touch the input when it looks for the
/// maximum.
void pool_windows(const PoolWindow& pool, const float* x, float* y);

}  // namespace espquant::ops::exec
