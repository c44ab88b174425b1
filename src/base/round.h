#pragma once

namespace espquant {

/// The nearest integer, ties to even, of |x| < 2^22; of a larger one a number beyond that, too.
/// Unlike std::nearbyint, compilers can do several at once with any instruction set.
inline float round_half_even(float x) {
  // Between 2^23 and 2^24 floats are integers.
  constexpr float kShift = 12582912.0F;
  return (x + kShift) - kShift;
}

}  // namespace espquant
