#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "espquant/export.h"

namespace espquant {

enum class ElementType : std::uint8_t {
  Bool,
  Int8,
  UInt8,
  Int16,
  UInt16,
  Int32,
  UInt32,
  Int64,
  UInt64,
  Float16,
  Float32,
  Float64,
};

/// Bytes of one element.
ESPQUANT_API std::size_t size_of(ElementType type);
/// "float32", "int8", ...
ESPQUANT_API std::string_view to_string(ElementType type);

/// A dense row-major array. Copies share the elements, which nobody changes any more.
struct ESPQUANT_API Array {
  ElementType type = ElementType::Float32;
  /// Extents, outermost first; empty for a scalar.
  std::vector<std::int64_t> shape;
  std::shared_ptr<const std::byte> elements;

  std::size_t element_count() const;
  std::size_t byte_size() const { return element_count() * size_of(type); }
  /// T must be of this type.
  template <typename T>
  const T* data() const {
    return reinterpret_cast<const T*>(elements.get());
  }

  /// A copy of what `source` points to.
  static Array copy_of(ElementType type, std::vector<std::int64_t> shape, const void* source);
};

}  // namespace espquant
