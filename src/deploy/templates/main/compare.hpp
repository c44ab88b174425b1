#pragma once

#include "model_facts.hpp"

// What the chip computed beside what the simulator did. Plain C++17.
namespace firmware {

struct Difference {
  size_t different = 0;          // elements
  size_t beyond = 0;             // of those, by more than `tolerance_of` allows
  size_t first = 0;              // the first of `beyond`, else of `different`
  double got = 0, expected = 0;  // there
};

// ESP-DL's own, of dl::Model::test(): int16 may be off by one, floats by 2e-5, all else is exact.
double tolerance_of(ElementType type);

Difference compare(const TensorFacts& tensor, const void* got, const void* expected);

}  // namespace firmware
