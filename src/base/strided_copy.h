#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace espquant {

/// A dense output filled from an input seen through strides: axis i of the output steps by
/// `strides[i]` elements of the input (negative, or 0 to repeat), from element `offset` on. Slices,
/// reversals and transpositions are such views.
struct StridedView {
  std::vector<std::int64_t> extents, strides;
  std::int64_t offset = 0;
};

/// Axes of one index dropped and neighbours that step alike merged: fewer, longer loops.
StridedView simplified(StridedView view);

/// Copies elements of 1, 2, 4 or 8 bytes. `view` must be simplified and stay inside the input.
void strided_copy(const StridedView& view, std::size_t element_bytes, const std::byte* in,
                  std::byte* out);

}  // namespace espquant
