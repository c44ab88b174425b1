#include "ops/indexing.h"

#include <fmt/format.h>

namespace espquant::ops {

void require_indices(const InferContext& context, std::size_t i) {
  const DType dtype = context.dtype(i);
  if (dtype != DType::Int32 && dtype != DType::Int64)
    malformed(fmt::format("indices of type {}, expected int32 or int64", to_string(dtype)));
}

void require_elementwise_indices(const Shape& data, const Shape& indices, std::size_t axis) {
  bool fits = data.size() == indices.size();
  for (std::size_t d = 0; fits && d < data.size(); ++d) fits = d == axis || indices[d] <= data[d];
  if (!fits)
    bad_data(fmt::format("indices {} do not fit data {} along axis {}", to_string(indices),
                         to_string(data), axis));
}

std::size_t index_depth(const Shape& indices, std::size_t rank) {
  if (indices.empty() || indices.back() < 0 || static_cast<std::size_t>(indices.back()) > rank)
    bad_data(fmt::format("index tuples of shape {} into {} dimensions", to_string(indices), rank));
  return static_cast<std::size_t>(indices.back());
}

std::vector<std::int64_t> read_indices(const Tensor& indices, std::int64_t extent) {
  std::vector<std::int64_t> result = to_ints(indices);
  for (std::int64_t& i : result) {
    if (i < -extent || i >= extent)
      bad_data(fmt::format("index {} is outside an axis of extent {}", i, extent));
    if (i < 0) i += extent;
  }
  return result;
}

std::vector<std::int64_t> read_index_tuples(const Tensor& indices, const Shape& indexed) {
  const std::vector<std::int64_t> flat = to_ints(indices);
  const Shape strides = strides_of(indexed);
  const std::size_t depth = indexed.size();
  const Shape& shape = indices.shape();
  std::vector<std::int64_t> offsets(
      static_cast<std::size_t>(element_count({shape.begin(), shape.end() - 1})));
  for (std::size_t t = 0; t < offsets.size(); ++t)
    for (std::size_t d = 0; d < depth; ++d) {
      std::int64_t i = flat[t * depth + d];
      if (i < -indexed[d] || i >= indexed[d])
        bad_data(fmt::format("index {} is outside an axis of extent {}", i, indexed[d]));
      if (i < 0) i += indexed[d];
      offsets[t] += i * strides[d];
    }
  return offsets;
}

std::size_t block_bytes(const Tensor& tensor, std::size_t axis) {
  const Shape& shape = tensor.shape();
  return static_cast<std::size_t>(
             element_count({shape.begin() + static_cast<std::ptrdiff_t>(axis), shape.end()})) *
         size_of(tensor.dtype());
}

}  // namespace espquant::ops
