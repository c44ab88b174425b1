#pragma once

#include <map>
#include <string>
#include <vector>

#include "quant/clipping.h"
#include "target/target.h"

namespace espquant::quant {

/// What the quantization of a whole network is asked to do.
struct Settings {
  const Target* target = nullptr;
  /// Width of the activations of every layer that layer_bits does not name, and of its weights
  /// unless those of 16 bits are to be narrower.
  int bits = 8;
  std::map<std::string, int> layer_bits;
  /// Width of the weights of layers of 16 bits: 8 where there are kernels for it (has_w8a16), of
  /// all layers and of those named.
  int weight_bits = 16;
  std::map<std::string, int> layer_weight_bits;
  /// How the exponents of activations are chosen, of all layers and of those named.
  Method method = Method::Auto;
  std::map<std::string, Method> layer_methods;
  double percentile = kDefaultPercentile;
  std::map<std::string, double> layer_percentiles;
  /// Of a network that was quantized before: its ranges, instead of those that the method finds.
  bool stated_ranges = false;
  Scope clip_scope = Scope::Tensor;
  /// By tensor: steps by which the exponent of it, and of all that share it, is moved from the
  /// method's choice.
  std::map<std::string, int> exponent_shifts;
  /// One exponent per output channel for the weights of Conv and Gemm; only where the chip can.
  bool per_channel_weights = false;
  /// Multiply layers by common factors so that ranges end on the grid of powers of two and caps
  /// (ReLU6) on the largest integer.
  bool scale_layers = true;
  /// Choose how each weight is rounded by what the errors of a filter's weights do together.
  bool round_weights = true;
  /// Fit each layer's weights to what the chip computes before it, where means are matched on that.
  bool reconstruct = true;
  /// Weights that are zero stay zero, as a pruned network has them. Excludes `reconstruct`.
  bool keep_zeros = false;
  /// Take shifts of the mean out of the biases.
  bool bias_correction = true;
  /// How much worse an operand of an Add or Concat that other nodes read too may get to spare a
  /// requantize node.
  double alignment_cost = 1.1;
  /// See lower::Options.
  double table_error = 5e-6;

  bool operator==(const Settings&) const = default;
};

}  // namespace espquant::quant
