#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "ops/infer.h"

/// From an element type known at run time to one known to the compiler.
namespace espquant::ops {

[[noreturn]] inline void unsupported_dtype(DType dtype) {
  unsupported("no kernel for elements of type " + std::string(to_string(dtype)),
              "Export the network in float32");
}

/// f(T{}) for T float or double.
template <typename F>
void visit_float(DType dtype, F&& f) {
  if (dtype == DType::Float32) return f(float{});
  if (dtype == DType::Float64) return f(double{});
  unsupported_dtype(dtype);
}

template <typename F>
void visit_integer(DType dtype, F&& f) {
  switch (dtype) {
    case DType::Int64:
      return f(std::int64_t{});
    case DType::Int32:
      return f(std::int32_t{});
    case DType::Int16:
      return f(std::int16_t{});
    case DType::Int8:
      return f(std::int8_t{});
    case DType::UInt64:
      return f(std::uint64_t{});
    case DType::UInt32:
      return f(std::uint32_t{});
    case DType::UInt16:
      return f(std::uint16_t{});
    case DType::UInt8:
      return f(std::uint8_t{});
    default:
      unsupported_dtype(dtype);
  }
}

template <typename F>
void visit_number(DType dtype, F&& f) {
  return is_float(dtype) ? visit_float(dtype, f) : visit_integer(dtype, f);
}

/// Numbers and booleans.
template <typename F>
void visit_any(DType dtype, F&& f) {
  return dtype == DType::Bool ? f(bool{}) : visit_number(dtype, f);
}

/// Unsigned integers of one element's width: for operators that only move data.
template <typename F>
void visit_width(DType dtype, F&& f) {
  switch (size_of(dtype)) {
    case 1:
      return f(std::uint8_t{});
    case 2:
      return f(std::uint16_t{});
    case 4:
      return f(std::uint32_t{});
    case 8:
      return f(std::uint64_t{});
    default:
      unsupported_dtype(dtype);
  }
}

/// The elements without their meaning; T is as wide as one.
template <typename T>
std::span<const T> raw(const Tensor& tensor) {
  return {reinterpret_cast<const T*>(tensor.bytes().data()),
          static_cast<std::size_t>(tensor.size())};
}
template <typename T>
std::span<T> mutable_raw(Tensor& tensor) {
  return {reinterpret_cast<T*>(tensor.mutable_bytes().data()),
          static_cast<std::size_t>(tensor.size())};
}

/// Arithmetic whose integer overflow wraps, as NumPy's does, instead of being undefined.
template <typename T>
T wrapping_add(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  else
    return a + b;
}
template <typename T>
T wrapping_sub(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
  else
    return a - b;
}
template <typename T>
T wrapping_mul(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  else
    return a * b;
}

/// Truncates towards zero; saturates, and NaN gives 0.
template <typename To>
To to_integer(double x) {
  if (std::isnan(x)) return 0;
  constexpr double lo = static_cast<double>(std::numeric_limits<To>::min());
  constexpr double hi = static_cast<double>(std::numeric_limits<To>::max());
  if (x <= lo) return std::numeric_limits<To>::min();
  if (x >= hi) return std::numeric_limits<To>::max();
  return static_cast<To>(x);
}

}  // namespace espquant::ops
