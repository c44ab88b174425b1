#pragma once

#include "target/target.h"

namespace espquant::quant {

/// What the quantization of a whole network is asked to do.
struct Settings {
  const Target* target = nullptr;
  int bits = 8;
  /// One exponent per output channel for the weights of Conv and Gemm; only where the chip can.
  bool per_channel_weights = false;
  /// Multiply layers by common factors so that ranges end on the grid of powers of two and caps
  /// (ReLU6) on the largest integer.
  bool scale_layers = true;
  bool bias_correction = true;

  int max_q() const { return bits == 8 ? 127 : 32767; }
};

}  // namespace espquant::quant
