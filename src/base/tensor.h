#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/dtype.h"
#include "base/error.h"
#include "base/shape.h"

namespace espquant {

/// A dense row-major array on the host. Copies share the elements; writing detaches a shared copy
/// first. Elements start on a 64-byte boundary.
class Tensor {
 public:
  /// No elements, dtype Undefined.
  Tensor() = default;
  /// Zero-filled.
  Tensor(DType dtype, Shape shape);

  /// Elements that somebody else owns and that stay as they are: writing copies them first. They
  /// need no alignment beyond that of their type.
  static Tensor of_foreign(DType dtype, Shape shape, std::shared_ptr<const std::byte[]> bytes);

  template <typename T>
  static Tensor of(Shape shape, std::span<const T> values) {
    Tensor t(dtype_of<T>, std::move(shape));
    ESPQUANT_ASSERT(static_cast<std::int64_t>(values.size()) == t.size(),
                    "element count differs from the shape");
    std::copy(values.begin(), values.end(), t.mutable_data<T>().begin());
    return t;
  }
  template <typename T>
  static Tensor of(Shape shape, std::initializer_list<T> values) {
    return of<T>(std::move(shape), std::span<const T>(values.begin(), values.size()));
  }
  template <typename T>
  static Tensor scalar(T value) {
    return of<T>({}, std::span<const T>(&value, 1));
  }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t rank() const { return static_cast<std::int64_t>(shape_.size()); }
  std::int64_t size() const { return size_; }
  std::size_t byte_size() const { return static_cast<std::size_t>(size_) * size_of(dtype_); }
  bool defined() const { return dtype_ != DType::Undefined; }

  /// The elements. T must match dtype().
  template <typename T>
  std::span<const T> data() const {
    ESPQUANT_ASSERT(dtype_of<T> == dtype_, "tensor read as another element type");
    return {reinterpret_cast<const T*>(bytes_.get()), static_cast<std::size_t>(size_)};
  }
  template <typename T>
  std::span<T> mutable_data() {
    ESPQUANT_ASSERT(dtype_of<T> == dtype_, "tensor written as another element type");
    detach();
    return {reinterpret_cast<T*>(bytes_.get()), static_cast<std::size_t>(size_)};
  }
  std::span<const std::byte> bytes() const { return {bytes_.get(), byte_size()}; }
  std::span<std::byte> mutable_bytes() {
    detach();
    return {bytes_.get(), byte_size()};
  }

  /// The same elements under another shape of equal element count; shares them.
  Tensor reshaped(Shape shape) const;

  /// Every element converted by value (static_cast, floats to integers truncate); Float16 and
  /// BFloat16 are read.
  Tensor cast(DType to) const;

  /// Axis i of the result is axis perm[i] of this tensor.
  Tensor transposed(std::span<const std::int64_t> perm) const;

  /// Equal dtype, shape and bits.
  bool equals(const Tensor& other) const;

 private:
  void detach();

  DType dtype_ = DType::Undefined;
  Shape shape_;
  std::int64_t size_ = 0;
  std::shared_ptr<std::byte[]> bytes_;
  bool foreign_ = false;
};

/// Uninitialised bytes on a 64-byte boundary, for buffers that are written before they are read.
std::shared_ptr<std::byte[]> allocate_bytes(std::size_t count);

}  // namespace espquant
