#include "base/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace espquant {

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (std::int64_t extent : shape) {
    if (extent < 0)
      throw Error(ErrorCode::BadData, fmt::format("negative extent in shape {}", to_string(shape)));
    if (__builtin_mul_overflow(count, extent, &count))
      throw Error(ErrorCode::BadData,
                  fmt::format("shape {} has more elements than 64 bits count", to_string(shape)));
  }
  return count;
}

std::string to_string(const Shape& shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, "x"));
}

Shape strides_of(const Shape& shape) {
  Shape strides(shape.size());
  std::int64_t step = 1;
  for (std::size_t i = shape.size(); i-- > 0; step *= shape[i]) strides[i] = step;
  return strides;
}

Shape permuted(const Shape& shape, std::span<const std::int64_t> perm) {
  ESPQUANT_ASSERT(perm.size() == shape.size(), "permutation and shape differ in rank");
  Shape out(shape.size());
  for (std::size_t i = 0; i < perm.size(); ++i)
    out[i] = shape.at(static_cast<std::size_t>(perm[i]));
  return out;
}

std::int64_t normalize_axis(std::int64_t axis, std::int64_t rank) {
  if (axis < -rank || axis >= rank)
    throw Error(ErrorCode::Malformed,
                fmt::format("axis {} is outside a tensor of rank {}", axis, rank));
  return axis < 0 ? axis + rank : axis;
}

Shape broadcast(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1)
      throw Error(ErrorCode::BadData,
                  fmt::format("shapes {} and {} cannot be broadcast", to_string(a), to_string(b)));
    out[out.size() - 1 - i] = x == 1 ? y : x;
  }
  return out;
}

}  // namespace espquant
