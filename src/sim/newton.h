#pragma once

namespace espquant::sim {

/// ESP-DL's square root (3.17): Newton's iteration from x itself, until a step is at most 1e-5.
/// Throws Error(Illegal) where the iteration runs forever, as it then does on the chip.
float sqrt_newton(float x);

}  // namespace espquant::sim
