#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "base/error.h"
#include "base/round.h"

/// The scalar arithmetic of power-of-two quantization: a quantized q with exponent e stands for q *
/// 2^e. Rounding follows ESP-DL 3.3 (reference 0.1).
namespace espquant {

enum class Rounding : std::uint8_t { HalfUp, HalfEven };

/// 2^e as a float; exact for -149 <= e <= 127.
inline float pow2(int e) { return std::ldexp(1.0F, e); }

template <typename T>
constexpr T saturate(std::int64_t v) {
  constexpr std::int64_t lo = std::numeric_limits<T>::min(), hi = std::numeric_limits<T>::max();
  return static_cast<T>(v < lo ? lo : v > hi ? hi : v);
}

/// Clips to a signed field of `bits` bits.
constexpr std::int64_t saturate_bits(std::int64_t v, int bits) {
  const std::int64_t hi = (std::int64_t{1} << (bits - 1)) - 1, lo = -hi - 1;
  return v < lo ? lo : v > hi ? hi : v;
}

/// Low `bits` bits, sign-extended: what a register of that width keeps.
constexpr std::int64_t wrap_bits(std::int64_t v, int bits) {
  const int unused = 64 - bits;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(v) << unused) >> unused;
}

/// v / 2^shift rounded; shift >= 0. Exact for every v (no intermediate overflow).
constexpr std::int64_t round_shift(std::int64_t v, int shift, Rounding rounding) {
  if (shift == 0) return v;
  if (shift > 63) return 0;
  const std::int64_t floor = v >> shift;
  const std::uint64_t rest = static_cast<std::uint64_t>(v) & ((std::uint64_t{1} << shift) - 1);
  const std::uint64_t half = std::uint64_t{1} << (shift - 1);
  if (rest > half) return floor + 1;
  if (rest < half) return floor;
  return rounding == Rounding::HalfUp ? floor + 1 : floor + (floor & 1);
}

/// Float to integer as the chip does it, with a float32 sum before the floor on half-up chips
/// (0.49999997f rounds to 1). Values beyond int32 saturate, infinities included; NaN gives the
/// largest integer (docs/simulator.md, "Numbers that are none").
inline std::int32_t round_to_int(float v, Rounding rounding) {
  const float r = rounding == Rounding::HalfUp ? std::floor(v + 0.5F) : std::nearbyint(v);
  if (r < -2147483648.0F) return std::numeric_limits<std::int32_t>::min();
  if (!(r < 2147483648.0F)) return std::numeric_limits<std::int32_t>::max();
  return static_cast<std::int32_t>(r);
}

/// sat(round(x * inv_scale)) in float32; inv_scale is 2^-exponent.
template <typename T>
T quantize_value(float x, float inv_scale, Rounding rounding) {
  return saturate<T>(round_to_int(x * inv_scale, rounding));
}

namespace detail {

template <bool kHalfUp, typename T>
void quantize_each(const float* x, std::size_t count, float inv_scale, T* q) {
  constexpr float least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
  for (std::size_t i = 0; i < count; ++i) {
    float v = x[i] * inv_scale;
    if constexpr (kHalfUp) v += 0.5F;
    // Beyond, all saturate the same; between, the rounding is exact.
    v = v < least - 1 ? least - 1 : v;
    v = v > most + 1 ? most + 1 : v;
    float r = round_half_even(v);
    if constexpr (kHalfUp) r = r > v ? r - 1 : r;
    r = r < least ? least : r > most ? most : r;
    q[i] = static_cast<T>(r == r ? r : most);
  }
}

}  // namespace detail

/// quantize_value of each of `count` numbers, written so that compilers do several at once with any
/// instruction set; T is int8 or int16.
template <typename T>
void quantize_values(const float* x, std::size_t count, float inv_scale, Rounding rounding, T* q) {
  if (rounding == Rounding::HalfUp)
    detail::quantize_each<true>(x, count, inv_scale, q);
  else
    detail::quantize_each<false>(x, count, inv_scale, q);
}

/// ESP-DL makes 2^e by shifting a 32-bit one, in kernels that compute in float and where an
/// application rounds its inputs and scales outputs: |e| up to here.
inline constexpr int kLargestScaleShift = 30;

/// The least exponent e at which |x| <= max_q * 2^e, for max_q = 127, 32767, ...; x = 0 gives
/// `floor_exponent`.
inline int covering_exponent(float abs_max, int max_q, int floor_exponent = -60) {
  if (!(abs_max > 0)) return floor_exponent;
  int e = std::ilogb(abs_max / static_cast<float>(max_q));
  while (std::ldexp(static_cast<double>(max_q), e) < static_cast<double>(abs_max)) ++e;
  while (std::ldexp(static_cast<double>(max_q), e - 1) >= static_cast<double>(abs_max)) --e;
  return e < floor_exponent ? floor_exponent : e;
}

}  // namespace espquant
