#include "base/strided_copy.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace espquant {
namespace {

/// Side of the square blocks in which planes are transposed, so that a block's rows stay in cache.
constexpr std::int64_t kBlock = 32;

template <typename T>
void copy_row(const T* in, std::int64_t count, std::int64_t stride, T* out) {
  if (stride == 1)
    std::memcpy(out, in, static_cast<std::size_t>(count) * sizeof(T));
  else
    for (std::int64_t i = 0; i < count; ++i) out[i] = in[i * stride];
}

/// The two innermost axes. Where rows of the output run across rows of the input, by blocks.
template <typename T>
void copy_plane(const T* in, const std::int64_t* extents, const std::int64_t* strides, T* out) {
  const std::int64_t rows = extents[0], columns = extents[1];
  if (strides[1] == 1 || strides[0] != 1) {
    for (std::int64_t r = 0; r < rows; ++r)
      copy_row(in + r * strides[0], columns, strides[1], out + r * columns);
    return;
  }
  for (std::int64_t r0 = 0; r0 < rows; r0 += kBlock) {
    const std::int64_t r1 = std::min(r0 + kBlock, rows);
    for (std::int64_t c0 = 0; c0 < columns; c0 += kBlock) {
      const std::int64_t c1 = std::min(c0 + kBlock, columns);
      for (std::int64_t r = r0; r < r1; ++r)
        for (std::int64_t c = c0; c < c1; ++c) out[r * columns + c] = in[r + c * strides[1]];
    }
  }
}

template <typename T>
T* copy_axes(const StridedView& view, std::size_t axis, const T* in, T* out) {
  const std::size_t left = view.extents.size() - axis;
  if (left == 0) {
    *out = *in;
    return out + 1;
  }
  if (left == 1) {
    copy_row(in, view.extents[axis], view.strides[axis], out);
    return out + view.extents[axis];
  }
  if (left == 2) {
    copy_plane(in, &view.extents[axis], &view.strides[axis], out);
    return out + view.extents[axis] * view.extents[axis + 1];
  }
  for (std::int64_t i = 0; i < view.extents[axis]; ++i)
    out = copy_axes(view, axis + 1, in + i * view.strides[axis], out);
  return out;
}

template <typename T>
void copy_elements(const StridedView& view, const std::byte* in, std::byte* out) {
  copy_axes(view, 0, reinterpret_cast<const T*>(in) + view.offset, reinterpret_cast<T*>(out));
}

}  // namespace

StridedView simplified(StridedView view) {
  StridedView merged{{}, {}, view.offset};
  for (std::size_t i = 0; i < view.extents.size(); ++i) {
    if (view.extents[i] == 1) continue;
    if (!merged.extents.empty() && merged.strides.back() == view.strides[i] * view.extents[i]) {
      merged.extents.back() *= view.extents[i];
      merged.strides.back() = view.strides[i];
    } else {
      merged.extents.push_back(view.extents[i]);
      merged.strides.push_back(view.strides[i]);
    }
  }
  return merged;
}

void strided_copy(const StridedView& view, std::size_t element_bytes, const std::byte* in,
                  std::byte* out) {
  if (std::find(view.extents.begin(), view.extents.end(), 0) != view.extents.end()) return;
  switch (element_bytes) {
    case 1:
      return copy_elements<std::uint8_t>(view, in, out);
    case 2:
      return copy_elements<std::uint16_t>(view, in, out);
    case 4:
      return copy_elements<std::uint32_t>(view, in, out);
    case 8:
      return copy_elements<std::uint64_t>(view, in, out);
    default:
      ESPQUANT_ASSERT(false, "elements have 1, 2, 4 or 8 bytes");
  }
}

}  // namespace espquant
