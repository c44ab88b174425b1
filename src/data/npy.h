#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "base/tensor.h"

/// NumPy's .npy format (NEP 1), read strictly: versions 1, 2 and 3, little-endian, the plain
/// numeric types. Object, string and structured arrays are refused.
namespace espquant::data {

/// What stands before the elements.
struct NpyHeader {
  DType dtype = DType::Undefined;
  Shape shape;
  /// Column-major elements; the readers transpose them.
  bool fortran_order = false;
  /// Offset of the first element.
  std::size_t size = 0;

  std::size_t payload_bytes() const;
};

/// The longest header that is accepted, magic included; three short entries need a fraction of it.
inline constexpr std::size_t kMaxNpyHeader = 4096;

/// Parses the header at the start of `bytes`, which may stop anywhere after it.
/// Throws Error(Malformed), or Error(Unsupported) for element types outside base/dtype.h.
NpyHeader parse_npy_header(std::span<const std::byte> bytes);

/// As which type elements come that have more bytes than a float32.
enum class Wide {
  Kept,
  /// Converted piece by piece while they are read, so that they never stand in memory: what a
  /// network's inputs are made of them in any case.
  ToFloat32,
};

/// The elements behind a header, of which next() fills in the following bytes of the file, as a
/// row-major tensor of `header.shape`. Throws Error(Malformed) for bools that are neither.
Tensor read_elements(const NpyHeader& header, Wide wide,
                     const std::function<void(std::span<std::byte>)>& next);

/// The array of a whole .npy file; memory is taken only for elements that are there. Throws
/// Error(Malformed) when bytes are missing or left over.
Tensor read_npy(std::span<const std::byte> bytes);
Tensor read_npy(const std::filesystem::path& path, Wide wide = Wide::Kept);

/// Type and shape, without reading the elements. Throws as parse_npy_header().
NpyHeader read_npy_header(const std::filesystem::path& path);

/// What stands before the elements in a version 1.0 file. Throws Error(Unsupported) for bfloat16.
std::vector<std::byte> npy_header(DType dtype, const Shape& shape);

/// A version 1.0 file, equal bytes for equal tensors. Throws Error(Unsupported) for bfloat16.
std::vector<std::byte> write_npy(const Tensor& tensor);

}  // namespace espquant::data
