#pragma once

#include <array>

#include "base/shape.h"

namespace espquant::sim {

/// How two operands meet (ESP-DL 3.8): adjacent axes that broadcast alike are merged, and rows of
/// the innermost merged axis are handed to the arithmetic.
struct Broadcast {
  static constexpr std::size_t kMaxAxes = 4;

  /// Of the result, as ONNX has it.
  Shape shape;
  /// Merged extents, outermost first, 1 in front where there are fewer than four.
  std::array<std::int64_t, kMaxAxes> extents{1, 1, 1, 1};
  /// Elements from one index of a merged axis to the next; 0 where the operand repeats.
  std::array<std::int64_t, kMaxAxes> strides0{}, strides1{};
  /// Whether the operand has one element per row ("d0 == 1"), which chooses formulas.
  bool single0 = false, single1 = false;

  std::int64_t row() const { return extents[kMaxAxes - 1]; }
};

/// Throws Error(BadData) where the shapes do not fit and Error(Illegal) where more than four axes
/// remain or both operands are without axes.
Broadcast merge_broadcast(const Shape& a, const Shape& b);

/// Calls row(out, a, b) with the offset, in elements, of each row, in order.
template <typename F>
void for_each_row(const Broadcast& broadcast, F&& row) {
  const auto& n = broadcast.extents;
  const auto &s0 = broadcast.strides0, &s1 = broadcast.strides1;
  std::int64_t out = 0;
  for (std::int64_t i = 0; i < n[0]; ++i)
    for (std::int64_t j = 0; j < n[1]; ++j)
      for (std::int64_t k = 0; k < n[2]; ++k) {
        row(out, i * s0[0] + j * s0[1] + k * s0[2], i * s1[0] + j * s1[1] + k * s1[2]);
        out += n[3];
      }
}

/// out = f(a, b) for every element, where f takes no notice of the row.
template <typename In, typename Out, typename F>
void apply_broadcast(const Broadcast& broadcast, const In* a, const In* b, Out* out, F f) {
  const std::int64_t n = broadcast.row();
  for_each_row(broadcast, [&](std::int64_t o, std::int64_t i0, std::int64_t i1) {
    Out* to = out + o;
    const In *x = a + i0, *y = b + i1;
    if (broadcast.single1) {
      const In right = *y;
      for (std::int64_t i = 0; i < n; ++i) to[i] = f(x[i * (broadcast.single0 ? 0 : 1)], right);
    } else if (broadcast.single0) {
      const In left = *x;
      for (std::int64_t i = 0; i < n; ++i) to[i] = f(left, y[i]);
    } else {
      for (std::int64_t i = 0; i < n; ++i) to[i] = f(x[i], y[i]);
    }
  });
}

}  // namespace espquant::sim
