#include "sim/newton.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"

namespace espquant::sim {

float sqrt_newton(float x) {
  constexpr float kEnough = 0.00001F;
  // From the largest float it takes about 70 halvings to come near the root.
  constexpr int kNeverEnds = 1000;
  if (x == 0.0F) return 0.0F;
  float root = x;
  for (int i = 0; i < kNeverEnds; ++i) {
    const float last = root;
    root = static_cast<float>(static_cast<double>(last + x / last) * 0.5);
    // Written this way round, a NaN ends the iteration.
    if (!(std::fabs(root - last) > kEnough)) return root;
  }
  throw Error(ErrorCode::Illegal,
              fmt::format("ESP-DL's square root of {} never settles within 1e-5", x))
      .remedy("Scale the tensor down: neighbouring floats must be nearer than that");
}

}  // namespace espquant::sim
