#include "tests/fuzz/plain_kernels.h"

#include <algorithm>
#include <functional>

#include "base/fixed_point.h"
#include "sim/broadcast.h"
#include "target/target.h"

namespace espquant::test {
namespace {

std::int64_t element(const Tensor& t, std::int64_t i) {
  const auto at = static_cast<std::size_t>(i);
  return t.dtype() == DType::Int8 ? t.data<std::int8_t>()[at] : t.data<std::int16_t>()[at];
}

void set_element(Tensor& t, std::int64_t i, std::int64_t value) {
  const auto at = static_cast<std::size_t>(i);
  if (t.dtype() == DType::Int8)
    t.mutable_data<std::int8_t>()[at] = saturate<std::int8_t>(value);
  else
    t.mutable_data<std::int16_t>()[at] = saturate<std::int16_t>(value);
}

/// Coordinates of the element at row-major position `i`.
Shape coordinates(const Shape& shape, std::int64_t i) {
  Shape at(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0; i /= shape[axis]) at[axis] = i % shape[axis];
  return at;
}

/// Position of those coordinates in a tensor that repeats along axes of extent 1 and lacks leading
/// axes.
std::int64_t position(const Shape& shape, const Shape& at) {
  std::int64_t i = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t coordinate = at[at.size() - shape.size() + axis];
    i = i * shape[axis] + (shape[axis] == 1 ? 0 : coordinate);
  }
  return i;
}

Tensor broadcast_result(const Tensor& a, const Tensor& b,
                        const std::function<std::int64_t(std::int64_t, std::int64_t)>& f) {
  Tensor y(a.dtype(), broadcast(a.shape(), b.shape()));
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const Shape at = coordinates(y.shape(), i);
    set_element(y, i, f(element(a, position(a.shape(), at)), element(b, position(b.shape(), at))));
  }
  return y;
}

/// ESP-DL 3.9: integers and a rounding shift in rows of at least a vector, else float32.
Tensor mul(const KernelProblem& p, const Tensor& a, const Tensor& b) {
  const Target& target = find_target(p.target);
  const bool vectors = target.family == Family::S3 ||
                       (target.family == Family::P4 && (p.bits == 8 || p.p4_vector != 0));
  const auto bits = static_cast<int>(p.bits);
  const bool rows = sim::merge_broadcast(a.shape(), b.shape()).row() >= target.lanes(bits);
  const auto shift = static_cast<int>(p.y_e - p.x_e - p.w_e);
  if (vectors && rows)
    return broadcast_result(a, b, [&](std::int64_t x, std::int64_t y) {
      if (target.family == Family::P4 || shift == 0)
        return round_shift(x * y, shift, Rounding::HalfEven);
      const int before_last = (shift - 1) & (bits == 8 ? 31 : 63);
      return ((x * y >> before_last) + 1) >> 1;
    });
  const float scale = pow2(static_cast<int>(p.x_e)) * pow2(static_cast<int>(p.w_e)) *
                      pow2(static_cast<int>(-p.y_e));
  return broadcast_result(a, b, [&](std::int64_t x, std::int64_t y) -> std::int64_t {
    return round_to_int(static_cast<float>(x * y) * scale, target.rounding);
  });
}

/// Calls f(value) for the elements of a window that lie on the image.
template <typename F>
void for_window(const KernelProblem& p, const Tensor& x, const Shape& out, F&& f) {
  for (std::int64_t ky = 0; ky < p.kernel[0]; ++ky)
    for (std::int64_t kx = 0; kx < p.kernel[1]; ++kx) {
      const std::int64_t y = out[1] * p.stride[0] - p.pads[0] + ky;
      const std::int64_t column = out[2] * p.stride[1] - p.pads[1] + kx;
      if (y < 0 || y >= p.in[0] || column < 0 || column >= p.in[1]) continue;
      f(element(x, (y * p.in[1] + column) * p.in_c + out[3]));
    }
}

Tensor pool(const KernelProblem& p, const Tensor& x) {
  const auto extent = [&](std::size_t axis) {
    return (p.in[axis] + p.pads[axis] + p.pads[axis + 2] - p.kernel[axis]) / p.stride[axis] + 1;
  };
  const Rounding rounding = find_target(p.target).rounding;
  const float inverse_area = 1.0F / static_cast<float>(p.kernel[0] * p.kernel[1]);
  const float scale = pow2(static_cast<int>(p.x_e)) * inverse_area * pow2(static_cast<int>(-p.y_e));
  Tensor result(x.dtype(), {1, extent(0), extent(1), p.in_c});
  for (std::int64_t i = 0; i < result.size(); ++i) {
    std::int64_t sum = 0, largest = INT64_MIN;
    for_window(p, x, coordinates(result.shape(), i), [&](std::int64_t v) {
      sum += v;
      largest = std::max(largest, v);
    });
    const bool is_max = p.op == "max_pool";
    set_element(result, i,
                is_max ? largest : round_to_int(static_cast<float>(sum) * scale, rounding));
  }
  return result;
}

}  // namespace

Tensor plain_result(const KernelProblem& p, const Tensor& a, const Tensor& b) {
  if (p.op == "mul") return mul(p, a, b);
  if (p.op == "add") return broadcast_result(a, b, std::plus{});
  if (p.op == "transpose") return a.transposed(p.perm);
  return pool(p, a);
}

}  // namespace espquant::test
