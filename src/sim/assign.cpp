#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "sim/program.h"

namespace espquant::sim {
namespace {

/// Above this many elements S3 and P4 change exponents with vector instructions (ESP-DL 2, rule 6).
constexpr std::int64_t kVectorThreshold = 50;
/// The largest left-shift factor that TensorBase hands to the 16-bit vector kernel.
constexpr int kLargestFactorShift = 14;

Error cannot_assign(const TensorDesc& from, const TensorDesc& to) {
  return Error(ErrorCode::Illegal,
               fmt::format("ESP-DL cannot turn {} (exponent {}) into {} (exponent {})",
                           to_string(from.dtype), from.exponent(), to_string(to.dtype),
                           to.exponent()))
      .remedy("Requantize goes between int8, int16 and float with one exponent each");
}

/// Quantize, dequantize and the scalar requantize: the product with a power of two is exact in
/// float32, so the one rounding is the target's.
template <typename From, typename To>
void convert(const From* source, int from_exponent, To* destination, int to_exponent,
             std::int64_t count, Rounding rounding) {
  const float scale = pow2(from_exponent), inv_scale = pow2(-to_exponent);
  for (std::int64_t i = 0; i < count; ++i) {
    const float real = static_cast<float>(source[i]) * scale;
    if constexpr (std::is_floating_point_v<To>) {
      destination[i] = static_cast<To>(real);
    } else {
      destination[i] = quantize_value<To>(real, inv_scale, rounding);
    }
  }
}

template <typename From, typename To>
void change_width(const From* source, To* destination, std::int64_t count) {
  std::transform(source, source + count, destination, [](From v) { return saturate<To>(v); });
}

/// ESP-DL 3.11, right shift. S3 shifts by s-1, adds one and shifts again, with 5 (int8) or 6 bits
/// of shift register.
template <typename To>
std::int64_t shift_right(std::int64_t q, int shift, Family family) {
  if (family != Family::S3 || shift == 0) return round_shift(q, shift, Rounding::HalfEven);
  const int register_mask = sizeof(To) == 1 ? 31 : 63;
  return ((q >> ((shift - 1) & register_mask)) + 1) >> 1;
}

/// ESP-DL 3.11, left shift: the factor 2^shift is broadcast to lanes that may be too narrow for it.
template <typename From, typename To>
std::int64_t shift_left(std::int64_t q, int shift, Family family) {
  const bool byte_factor = family == Family::S3 && sizeof(From) == 1 && sizeof(To) == 1;
  const std::int64_t factor =
      shift >= 16 ? 0 : wrap_bits(std::int64_t{1} << shift, byte_factor ? 8 : 16);
  const std::int64_t product = q * factor;
  // The S3 sums int16 products in 40-bit lanes and reads them back as 20-bit lanes.
  if (family == Family::S3 && sizeof(From) == 2 && sizeof(To) == 1) return wrap_bits(product, 20);
  return product;
}

template <typename From, typename To>
To requantized(From q, int shift, Family family) {
  return saturate<To>(shift >= 0 ? shift_right<To>(q, shift, family)
                                 : shift_left<From, To>(q, -shift, family));
}

/// shift_right of each, in 32 bits, which hold all that it makes of 16: several at once.
template <typename To>
void shift_words_right(const std::int16_t* source, To* destination, std::int64_t count, int shift,
                       Family family) {
  constexpr std::int32_t least = std::numeric_limits<To>::min(),
                         most = std::numeric_limits<To>::max();
  const auto clip = [](std::int32_t v) {
    return static_cast<To>(v < least ? least : v > most ? most : v);
  };
  if (family == Family::S3) {
    const int first = std::min((shift - 1) & (sizeof(To) == 1 ? 31 : 63), 31);
    for (std::int64_t i = 0; i < count; ++i)
      destination[i] = clip(((std::int32_t{source[i]} >> first) + 1) >> 1);
    return;
  }
  // To even: what is left of a half rounds up, and a half where the floor is odd.
  const int whole = std::min(shift, 30);
  const std::int32_t half = (std::int32_t{1} << (whole - 1)) - 1;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int32_t q = source[i];
    destination[i] = clip((q + half + ((q >> whole) & 1)) >> whole);
  }
}

template <typename From, typename To>
void requantize_vectors(const From* source, To* destination, std::int64_t count, int shift,
                        Family family) {
  if constexpr (sizeof(From) == 1) {
    std::array<To, 256> of_byte;
    for (int q = -128; q < 128; ++q)
      of_byte[static_cast<std::uint8_t>(q)] =
          requantized<From, To>(static_cast<From>(q), shift, family);
    for (std::int64_t i = 0; i < count; ++i)
      destination[i] = of_byte[static_cast<std::uint8_t>(source[i])];
  } else if (shift > 0) {
    shift_words_right(source, destination, count, shift, family);
  } else {
    for (std::int64_t i = 0; i < count; ++i)
      destination[i] = requantized<From, To>(source[i], shift, family);
  }
  if (assign_leaves_tail_unwritten(dtype_of<From>, dtype_of<To>, shift, count, family))
    std::fill_n(destination + count - 8, 8, To{0});
}

template <typename From, typename To>
void requantize(const From* source, int from_exponent, To* destination, int to_exponent,
                std::int64_t count, const Target& target) {
  const int shift = to_exponent - from_exponent;
  if (shift == 0) return change_width(source, destination, count);
  const bool factor_fits = sizeof(From) == 1 || sizeof(To) == 1 || -shift <= kLargestFactorShift;
  if (target.family != Family::C && count > kVectorThreshold && factor_fits)
    return requantize_vectors(source, destination, count, shift, target.family);
  convert(source, from_exponent, destination, to_exponent, count, target.rounding);
}

/// Calls f with a null pointer of the element type.
template <typename F>
bool visit_element(DType dtype, F&& f) {
  switch (dtype) {
    case DType::Int8:
      f(static_cast<const std::int8_t*>(nullptr));
      return true;
    case DType::Int16:
      f(static_cast<const std::int16_t*>(nullptr));
      return true;
    case DType::Float32:
      f(static_cast<const float*>(nullptr));
      return true;
    default:
      return false;
  }
}

}  // namespace

bool assign_leaves_tail_unwritten(DType from, DType to, int shift, std::int64_t count,
                                  Family family) {
  return family == Family::S3 && from == DType::Int8 && to == DType::Int16 && shift != 0 &&
         count > kVectorThreshold && count % 16 == 8;
}

void assign(const TensorDesc& from, const std::byte* source, const TensorDesc& to,
            std::byte* destination, const Target& target) {
  const std::int64_t count = element_count(from.shape);
  if (count != element_count(to.shape))
    throw Error(ErrorCode::BadData, fmt::format("shape {} cannot be assigned to shape {}",
                                                to_string(from.shape), to_string(to.shape)));
  const bool per_channel = from.exponents.size() > 1 || to.exponents.size() > 1;
  const bool same_exponents =
      per_channel ? from.exponents == to.exponents : from.exponent() == to.exponent();
  if (from.dtype == to.dtype && (same_exponents || !is_quantized(from.dtype))) {
    if (count > 0) std::memcpy(destination, source, from.byte_size());
    return;
  }
  if (per_channel) throw cannot_assign(from, to);

  bool done = false;
  visit_element(from.dtype, [&]<typename From>(const From*) {
    visit_element(to.dtype, [&]<typename To>(const To*) {
      const auto* in = reinterpret_cast<const From*>(source);
      auto* out = reinterpret_cast<To*>(destination);
      if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
        requantize(in, from.exponent(), out, to.exponent(), count, target);
      } else {
        // A float has no exponent, whatever the file says of it.
        convert(in, std::is_integral_v<From> ? from.exponent() : 0, out,
                std::is_integral_v<To> ? to.exponent() : 0, count, target.rounding);
      }
      done = true;
    });
  });
  if (!done) throw cannot_assign(from, to);
}

}  // namespace espquant::sim
