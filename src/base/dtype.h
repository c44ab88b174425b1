#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace espquant {

/// Element types. The numbers are those of ONNX's TensorProto and, up to UInt64, of ESP-DL's
/// dl::dtype_t.
enum class DType : std::uint8_t {
  Undefined = 0,
  Float32 = 1,
  UInt8 = 2,
  Int8 = 3,
  UInt16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  String = 8,
  Bool = 9,
  Float16 = 10,
  Float64 = 11,
  UInt32 = 12,
  UInt64 = 13,
  BFloat16 = 16,
};

/// Bytes of one element; 0 for Undefined and String.
std::size_t size_of(DType dtype);

/// "float32", "int8", ...
std::string_view to_string(DType dtype);

inline bool is_float(DType d) {
  return d == DType::Float32 || d == DType::Float64 || d == DType::Float16 || d == DType::BFloat16;
}

template <typename T>
inline constexpr DType dtype_of = DType::Undefined;
template <>
inline constexpr DType dtype_of<float> = DType::Float32;
template <>
inline constexpr DType dtype_of<double> = DType::Float64;
template <>
inline constexpr DType dtype_of<std::int8_t> = DType::Int8;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::UInt8;
template <>
inline constexpr DType dtype_of<std::int16_t> = DType::Int16;
template <>
inline constexpr DType dtype_of<std::uint16_t> = DType::UInt16;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::Int32;
template <>
inline constexpr DType dtype_of<std::uint32_t> = DType::UInt32;
template <>
inline constexpr DType dtype_of<std::int64_t> = DType::Int64;
template <>
inline constexpr DType dtype_of<std::uint64_t> = DType::UInt64;
template <>
inline constexpr DType dtype_of<bool> = DType::Bool;

}  // namespace espquant
