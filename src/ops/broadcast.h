#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "ops/visit.h"

/// Element-wise loops over NumPy-broadcast operands.
namespace espquant::ops {

/// Strides, in elements, by which a tensor of shape `in` is read along the axes of `out`: 0 where
/// it repeats.
inline Shape broadcast_strides(const Shape& in, const Shape& out) {
  const Shape dense = strides_of(in);
  Shape strides(out.size(), 0);
  const std::size_t lead = out.size() - in.size();
  for (std::size_t i = 0; i < in.size(); ++i)
    if (in[i] != 1) strides[lead + i] = dense[i];
  return strides;
}

/// Calls row(offset_out, offsets[N], n) for each run of the innermost axis; offsets advance by
/// strides[k].back().
template <std::size_t N, typename Row>
void for_each_row(const Shape& out, const std::array<Shape, N>& strides, Row&& row) {
  const std::int64_t total = element_count(out);
  if (total == 0) return;
  const std::int64_t inner = out.empty() ? 1 : out.back();
  const std::size_t outer_rank = out.empty() ? 0 : out.size() - 1;
  Shape index(outer_rank, 0);
  std::array<std::int64_t, N> offset{};
  for (std::int64_t done = 0; done < total; done += inner) {
    row(done, offset, inner);
    for (std::size_t d = outer_rank; d-- > 0;) {
      for (std::size_t k = 0; k < N; ++k) offset[k] += strides[k][d];
      if (++index[d] < out[d]) break;
      for (std::size_t k = 0; k < N; ++k) offset[k] -= strides[k][d] * out[d];
      index[d] = 0;
    }
  }
}

/// out[i] = f(a[i], b[i]) with a and b broadcast to out's shape.
template <typename A, typename B, typename Out, typename F>
void map_broadcast(const Tensor& a, const Tensor& b, Tensor& out, F f) {
  const A* pa = a.data<A>().data();
  const B* pb = b.data<B>().data();
  Out* po = out.mutable_data<Out>().data();
  if (a.shape() == b.shape()) {
    for (std::int64_t i = 0; i < out.size(); ++i) po[i] = f(pa[i], pb[i]);
    return;
  }
  const std::array<Shape, 2> strides{broadcast_strides(a.shape(), out.shape()),
                                     broadcast_strides(b.shape(), out.shape())};
  const std::int64_t sa = out.shape().empty() ? 0 : strides[0].back();
  const std::int64_t sb = out.shape().empty() ? 0 : strides[1].back();
  for_each_row(out.shape(), strides, [&](std::int64_t to, const auto& from, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) po[to + i] = f(pa[from[0] + i * sa], pb[from[1] + i * sb]);
  });
}

/// `in` repeated to fill `out`, elements of any type.
inline void broadcast_copy(const Tensor& in, Tensor& out) {
  visit_width(out.dtype(), [&]<typename T>(T) {
    const std::array<Shape, 1> strides{broadcast_strides(in.shape(), out.shape())};
    const std::int64_t step = out.shape().empty() ? 0 : strides[0].back();
    const T* from = raw<T>(in).data();
    T* to = mutable_raw<T>(out).data();
    for_each_row(out.shape(), strides, [&](std::int64_t at, const auto& offset, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i) to[at + i] = from[offset[0] + i * step];
    });
  });
}

}  // namespace espquant::ops
