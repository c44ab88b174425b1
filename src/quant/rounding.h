#pragma once

#include "calib/covariance.h"
#include "quant/weights.h"
#include "target/target.h"

namespace espquant::quant {

/// What is known of a layer's inputs when its weights are rounded.
struct InputKnowledge {
  /// Null: weights are rounded to nearest.
  const calib::Covariance* covariance = nullptr;
  /// Least significant bit of the input, in the units of `covariance`: its rounding noise.
  double step = 0;
  /// A shift of the mean output is taken out by the bias, so only what varies around it counts.
  bool bias_absorbs_mean = true;
  /// Weights that are zero stay zero, and no other makes up for them.
  bool keep_zeros = false;
};

/// The weights as multiples of their exponents' steps, within their bits, chosen so that the output
/// of each filter changes least in the mean square over the inputs: the error of each weight is
/// made up for by those not yet rounded. This is successive rounding along the Cholesky factor of
/// the inputs' covariance (Frantar et al. 2022, GPTQ; the nearest-plane algorithm of Babai 1986),
/// largest variance first; then single weights are moved by a step as long as that helps. Returns
/// values like rows.values.
std::vector<float> rounded_weights(const WeightRows& rows, const TensorQuant& quant,
                                   const InputKnowledge& input, Rounding rounding);

}  // namespace espquant::quant
