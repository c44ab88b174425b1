#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace espquant {

/// Extents, outermost first; empty for a scalar. ONNX order is N,C,H,W, ESP-DL's is N,H,W,C.
using Shape = std::vector<std::int64_t>;

/// Product of the extents (1 for a scalar). Throws Error(BadData) on a negative extent or on
/// overflow.
std::int64_t element_count(const Shape& shape);

/// "1x3x224x224"; "scalar" for the empty shape.
std::string to_string(const Shape& shape);

/// Row-major strides in elements.
Shape strides_of(const Shape& shape);

/// `shape` with axis i taken from `shape[perm[i]]`.
Shape permuted(const Shape& shape, std::span<const std::int64_t> perm);

/// Counts from the back when negative. Throws Error(Malformed) when outside [-rank, rank).
std::int64_t normalize_axis(std::int64_t axis, std::int64_t rank);

/// NumPy's broadcasting of two shapes (ONNX "multidirectional"). Throws Error(BadData) where they
/// do not fit.
Shape broadcast(const Shape& a, const Shape& b);

}  // namespace espquant
