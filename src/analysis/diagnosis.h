#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "measure/layer_noise.h"
#include "measure/saturation.h"
#include "recipe/recipe.h"

namespace espquant::analysis {

/// Why a layer is noisy.
enum class Reason : std::uint8_t {
  Nothing,            ///< its integers are well used
  OutlierRange,       ///< few values far beyond all others set the step
  UnevenChannels,     ///< one exponent for filters of very different size
  WideBias,           ///< the bias makes the weights coarser than they need to be
  CoarseLogits,       ///< the best two classes are often less than a step apart
  ClippedActivation,  ///< values beyond the range carry the noise
  Saturation,         ///< sums run into the limit of the chip's registers
  // Of the layers that make most of the noise, where none of the above holds:
  RoundedOutput,   ///< the step of its output
  RoundedWeights,  ///< that of its weights
  RoundedInputs,   ///< those of what it reads
};

/// "outliers", "uneven channels", "wide bias", "coarse logits", "clipped", "saturation", "step",
/// "weights", "inputs"; "-".
std::string_view code_of(Reason reason);

/// What is known of the filters of a layer.
struct WeightFacts {
  std::int64_t channels = 0;
  /// Largest over smallest of the channels' largest |weight|, those of zeros left out.
  double spread = 1;
  /// Noise to signal that rounding to nearest makes of a channel's weights (at most 1), on average
  /// over the channels: as they are stored, and where the bias did not matter.
  double noise = 0, noise_without_bias = 0;
  /// Bits that the bias needs beyond its field at the exponents that suit the weights.
  int excess_bias_bits = 0;
  bool per_channel = false;
};

/// LayerFacts::op of an input of the network.
inline constexpr std::string_view kInput = "Input";

/// What is known of a node of the chip's model and of the tensor that it writes. Ranges are those
/// of the network as it was quantized: equalized and scaled.
struct LayerFacts {
  std::string node, op, tensor;
  int bits = 8, exponent = 0;
  /// Of its weights, where it has any: 8 below 16 is W8A16.
  int weight_bits = 8;
  /// Its output's, after everything before it was quantized too, and on the float network's inputs.
  measure::Noise accumulated, alone;
  /// Of the network's outputs: what changes there when this node, too, becomes the chip's, those
  /// before it being the chip's and those behind it float; what layers behind it make up for by
  /// their biases left out.
  measure::Noise at_output;
  /// Its part of all that `at_output` of inputs and nodes adds up to.
  double share_at_output = 0;
  /// Of the network's outputs when it and those before it are the chip's and the rest is float,
  /// likewise.
  measure::Noise noise_behind;
  float min = 0, max = 0;
  /// The magnitude that 99.9 % of the values other than 0 do not exceed.
  double typical = 0;
  std::int64_t values = 0, zeros = 0;
  /// Values more than a step beyond the range, and the noise that clipping makes of all.
  std::int64_t clipped = 0;
  measure::Noise clipping;
  /// Along axis 1 of (N,C,H,W), and those of which every value was 0.
  std::int64_t channels = 0, dead_channels = 0;
  std::optional<WeightFacts> weights;
  std::optional<measure::LayerSaturation> saturation;
  /// Of a tensor of class scores: samples, and those whose best two are less than a step apart.
  std::int64_t decisions = 0, close_decisions = 0;

  /// Least significant bit; 0 of floats.
  double step() const;
  double clipped_share() const;
  bool is_w8a16() const { return weights.has_value() && bits == 16 && weight_bits == 8; }
};

struct Diagnosis {
  Reason reason = Reason::Nothing;
  /// In full sentences, with the layer's name and figures; what of the program's own options helps.
  std::string explanation, remedy;
};

/// The reason that explains most of the noise of a layer, if one does. `recipe` and `target`, under
/// which it was measured, decide what is proposed.
Diagnosis diagnose(const LayerFacts& layer, const recipe::Recipe& recipe, const Target& target);

}  // namespace espquant::analysis
