#pragma once

#include <optional>
#include <vector>

#include "calib/covariance.h"
#include "quant/weights.h"

namespace espquant::quant {

/// What a layer's filters see on the chip at some positions, and what the float network puts out at
/// the same places, biases left out of account: only what varies counts.
struct LayerEvidence {
  /// The first half of the positions, `first_half` of them, is from other samples than the rest.
  std::int64_t positions = 0, first_half = 0;
  /// Of a patch; a Gemm has one tap.
  std::int64_t taps = 0, channels = 0;
  /// [positions][taps][channels]
  std::vector<float> inputs;
  /// [positions][output channels]
  std::vector<float> outputs;
};

struct Reconstruction {
  /// Not rounded; columns ordered (tap, channel of the group).
  WeightRows rows;
  /// Of the inputs that the chip computes, in that order.
  calib::Covariance inputs;
};

/// Weights that make of the chip's inputs what the float network puts out, as nearly as they can in
/// the mean square: so a layer makes up for what those before it have lost. (Reconstruction on
/// quantized inputs: Lybrand and Saab 2021, GPFQ; Nagel et al. 2020, AdaRound, section 3.3.)
///
/// What is moved away from `rows` is held down by a ridge, so that it is not the samples' own noise
/// that is followed: of several strengths the one that does best on each half of the positions with
/// weights found on the other. Where none does better than `rows` as they are, they stay. Filters
/// in groups are each fitted for themselves. The evidence is used up.
Reconstruction reconstruct(const WeightRows& rows, LayerEvidence evidence);

/// Columns from (channel, tap), as WeightRows has them, to (tap, channel), and back.
std::vector<float> by_tap(const WeightRows& rows, std::int64_t taps);
std::vector<float> by_channel(const WeightRows& rows, std::span<const float> values,
                              std::int64_t taps);

}  // namespace espquant::quant
