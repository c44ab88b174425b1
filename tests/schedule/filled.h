#pragma once

#include "base/random.h"
#include "tests/cost/small_model.h"

namespace espquant::test {

/// The model with random numbers in all its filters and small ones in all its biases.
inline espdl::Model filled(const SmallModel& small, std::uint64_t seed = 1) {
  espdl::Model model = small.model();
  Random random(seed);
  constexpr std::int64_t kBias = 1000;
  for (auto& constant : model.initializers) {
    if (constant.data.dtype() == DType::Int32)
      for (auto& v : constant.data.mutable_data<std::int32_t>())
        v = static_cast<std::int32_t>(random.between(-kBias, kBias));
    if (constant.data.dtype() == DType::Int8)
      for (auto& v : constant.data.mutable_data<std::int8_t>())
        v = static_cast<std::int8_t>(random.between(-128, 127));
    if (constant.data.dtype() == DType::Int16)
      for (auto& v : constant.data.mutable_data<std::int16_t>())
        v = static_cast<std::int16_t>(random.between(-32768, 32767));
  }
  return model;
}

}  // namespace espquant::test
