#include <array>
#include <limits>

#include "tests/fuzz/mutate/mutator.h"

namespace espquant::test {

std::int64_t odd_number(Random& random) {
  static constexpr std::array<std::int64_t, 20> kOdd = {0,
                                                        -1,
                                                        -2,
                                                        127,
                                                        128,
                                                        255,
                                                        256,
                                                        4096,
                                                        32767,
                                                        65535,
                                                        1 << 20,
                                                        0x7FFFFFFF,
                                                        0x80000000L,
                                                        0xFFFFFFFFL,
                                                        1L << 33,
                                                        1L << 40,
                                                        1L << 62,
                                                        -(1L << 31),
                                                        std::numeric_limits<std::int64_t>::max(),
                                                        std::numeric_limits<std::int64_t>::min()};
  constexpr std::uint64_t kSmallInFour = 3;
  if (random.below(4) < kSmallInFour) return random.between(-3, 17);
  return any_of(kOdd, random);
}

float odd_float(Random& random) {
  static constexpr std::array<float, 14> kOdd = {0.0F,
                                                 -0.0F,
                                                 1.0F,
                                                 -1.0F,
                                                 0.5F,
                                                 6.0F,
                                                 1e-7F,
                                                 1e-45F,
                                                 3.4e38F,
                                                 -3.4e38F,
                                                 65504.0F,
                                                 1e9F,
                                                 std::numeric_limits<float>::infinity(),
                                                 std::numeric_limits<float>::quiet_NaN()};
  return random.below(4) == 0 ? any_of(kOdd, random) : random.uniform(-4, 4);
}

}  // namespace espquant::test
