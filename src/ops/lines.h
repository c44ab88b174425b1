#pragma once

#include "ops/visit.h"

namespace espquant::ops {

/// A tensor seen as (outer, length, inner): lines of `length` elements along one axis or several
/// adjacent ones.
struct Lines {
  std::int64_t outer = 1, length = 1, inner = 1;

  std::int64_t count() const { return outer * inner; }
  /// Offset of element `i` of a line. Lines are numbered in memory order of their first elements.
  std::int64_t at(std::int64_t line, std::int64_t i) const {
    return (line / inner * length + i) * inner + line % inner;
  }
};

/// Lines over the axes [begin, end).
inline Lines lines_along(const Shape& shape, std::size_t begin, std::size_t end) {
  Lines lines;
  for (std::size_t d = 0; d < shape.size(); ++d)
    (d < begin ? lines.outer : d < end ? lines.length : lines.inner) *= shape[d];
  return lines;
}

}  // namespace espquant::ops
