#pragma once

#include <vector>

#include "ops/visit.h"

/// Index tensors, as the Gather and Scatter families read them.
namespace espquant::ops {

/// Throws Error(Malformed) unless input `i` is int32 or int64.
void require_indices(const InferContext& context, std::size_t i);

/// Throws Error(BadData) unless `indices` has the rank of `data` and is no larger except along
/// `axis`.
void require_elementwise_indices(const Shape& data, const Shape& indices, std::size_t axis);

/// The last extent of `indices`, an index tuple's length. Throws Error(BadData) when it exceeds
/// `rank`.
std::size_t index_depth(const Shape& indices, std::size_t rank);

/// Non-negative indices into an axis of `extent`; negative ones count from its end. Throws
/// Error(BadData) outside it.
std::vector<std::int64_t> read_indices(const Tensor& indices, std::int64_t extent);

/// Each tuple (the last axis of `indices`) as an offset into a row-major array of shape `indexed`.
std::vector<std::int64_t> read_index_tuples(const Tensor& indices, const Shape& indexed);

/// Bytes of one block that spans the axes from `axis` on.
std::size_t block_bytes(const Tensor& tensor, std::size_t axis);

/// Calls f(i, offset): element i of `shape` in order, and where in `data` it lies once its
/// coordinate along `axis` is replaced by indices[i].
template <typename F>
void for_each_element(const Shape& shape, const Shape& data, std::size_t axis,
                      const std::vector<std::int64_t>& indices, F&& f) {
  const Shape strides = strides_of(data);
  Shape at(shape.size(), 0);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < at.size(); ++d)
      offset += (d == axis ? indices[i] : at[d]) * strides[d];
    f(i, static_cast<std::size_t>(offset));
    for (std::size_t d = at.size(); d-- > 0;) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
}

}  // namespace espquant::ops
