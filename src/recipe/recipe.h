#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/clipping.h"

namespace espquant::recipe {

enum class Granularity : std::uint8_t {
  Auto,     ///< per channel where the chip can
  Tensor,   ///< one exponent for the weights of a layer
  Channel,  ///< one exponent per output channel
};

enum class BiasCorrection : std::uint8_t {
  None,
  Analytic,   ///< from the means that calibration saw, each layer by itself
  Empirical,  ///< layer after layer, on inputs as the chip computes them
};

/// What equalization does with the cap of a ReLU6, which equal factors for all channels do not
/// respect.
enum class Relu6 : std::uint8_t {
  Auto,    ///< the better of the two in what the chip computes
  Keep,    ///< the cap stays where it is, each channel's factor times
  ToRelu,  ///< in memory only: the file of the network is not touched
};

/// What of a frame decides which bank of exponents computes it.
enum class FrameStatistic : std::uint8_t {
  Largest,     ///< the largest magnitude of its inputs
  Percentile,  ///< that which all but few of its inputs' magnitudes stay below
};

/// A strategy as data: all that decides how a network is quantized, beside the network and the
/// samples. A default Recipe is recipes/int8.toml. docs/recipes.md explains every key; the member
/// names are the keys.
struct Recipe {
  /// Part of the names of files: letters, digits, '-', '_' and '.'.
  std::string name;
  std::string description;
  /// As find_target takes it; "" leaves it to the command.
  std::string target;
  /// Release of ESP-DL, as find_release takes it; "" leaves it to the command.
  std::string espdl;

  struct Calibration {
    quant::Method method = quant::Method::Auto;
    /// For Method::Percentile: 50 to 100.
    double percentile = quant::kDefaultPercentile;
    quant::Scope scope = quant::Scope::Tensor;
    /// At most this many; 0: all.
    std::int64_t samples = 0;
    /// 0: samples evenly spread over the data; else drawn at random, the same for the same seed.
    std::int64_t seed = 0;
    /// Of a network that was quantized before (QuantizeLinear, DequantizeLinear): its own ranges
    /// where it states them.
    bool qdq_ranges = false;

    bool operator==(const Calibration&) const = default;
  } calibration;

  struct Quantization {
    /// 8 or 16, of weights and activations of every layer that nothing else decides.
    int bits = 8;
    /// 8 or 16, of the weights of layers whose activations have 16 bits: 8 where ESP-DL has kernels
    /// for it. Without it, 16, or what a budget of the mixed section makes best.
    std::optional<int> weight_bits;
    /// Below weight_bits = 8: the share by which filters may grow so that weights that make most
    /// noise for their bytes get 16 bits.
    std::optional<double> wide_weights;
    Granularity granularity = Granularity::Auto;
    /// Layers times common factors, so that ranges end on the grid of powers of two.
    bool scale_layers = true;
    /// Each weight up or down for the least error at the layer's output, not to the nearest.
    bool round_weights = true;
    /// Weights fitted to what the chip computes before a layer.
    bool reconstruct = true;
    /// Weights that are zero stay zero, those of a network that was pruned. Nothing is
    /// reconstructed then: that would fill them in.
    bool keep_zeros = false;
    BiasCorrection bias_correction = BiasCorrection::Empirical;
    /// Exponents between which calibration sees little difference are decided by what the chip
    /// makes of each at the network's output.
    bool refine_exponents = false;
    /// An operand of an Add or Concat that other nodes read too takes its reader's exponent while
    /// that multiplies its error by at most this; else a requantize node is spent. At least 1.
    double alignment_cost = 1.1;
    /// Noise to signal that a table of a 16-bit function may make by having fewer entries than
    /// there are integers; 0: one each.
    double table_error = 5e-6;
    /// Of passes::all_passes(), by name.
    std::vector<std::string> disabled_passes;

    bool operator==(const Quantization&) const = default;
  } quantization;

  /// Cross-layer equalization (Nagel et al. 2019, section 4.1).
  struct Equalization {
    bool enabled = false;
    int iterations = 4;
    /// Channels whose ranges before and after add up to less are left alone.
    double value_threshold = 0.4;
    /// 1: pairs in a line; 2: through branches and residual Adds, too.
    int level = 2;
    Relu6 relu6 = Relu6::Auto;
    /// The bias counts as part of a channel's range, times its multiplier.
    bool include_bias = false;
    double bias_multiplier = 0.5;
    /// So does the range of the activation.
    bool include_activation = false;
    double activation_multiplier = 0.5;
    /// Evening out the ranges of activations instead of those of weights is tried too.
    bool even_activations = true;
    /// A bias far above the spread of its channel moves to the next layer (section 4.1.3 there).
    bool high_bias_absorption = true;
    /// The network stays as it is where no way of equalizing makes it clearly less noisy.
    bool undo_if_worse = true;

    bool operator==(const Equalization&) const = default;
  } equalization;

  /// Some layers in 16 bits: those of a list, or else the ones that gain most at the network's
  /// output per cost, until a goal (accuracy_within, noise_target) is met or the next one would
  /// exceed a limit (max_16bit, budget_kb, budget_ms).
  struct Mixed {
    bool enabled = false;
    std::optional<std::int64_t> max_16bit;
    /// KiB (1024 bytes) that the file may grow by.
    std::optional<double> budget_kb;
    /// Milliseconds that a frame may last longer, by the latency model.
    std::optional<double> budget_ms;
    /// 0.005: at most half a point of accuracy below float; without labels, of agreement with it.
    std::optional<double> accuracy_within;
    /// 0.01: at most 1 % noise to signal at the network's output.
    std::optional<double> noise_target;
    /// Names or patterns. Excludes limits and goals.
    std::vector<std::string> layers;

    bool operator==(const Mixed&) const = default;
  } mixed;

  /// Weights and biases trained on the chip's grid to follow the float network, without labels;
  /// undone where the simulated result on held-out samples is not better.
  struct Finetune {
    bool enabled = false;
    std::int64_t steps = 300;
    std::int64_t batch = 32;
    /// How far a weight goes in a step at most, in steps of its grid.
    double rate = 0.02;
    std::int64_t seed = 1;
    /// What is done to samples at random (train::Augmentation).
    bool flip = true;
    std::int64_t shift = 2;
    double brightness = 0;
    double noise = 0;
    double mix = 0.5;

    bool operator==(const Finetune&) const = default;
  } finetune;

  /// Several banks of exponents, of which the device takes one for each frame.
  struct Dynamic {
    bool enabled = false;
    /// Of exponents, the model's own included; 0: as many as pay.
    int banks = 0;
    FrameStatistic statistic = FrameStatistic::Largest;
    /// For FrameStatistic::Percentile: 50 to 100.
    double percentile = 99.9;
    /// In a stream a quieter bank takes over this many octaves below its border.
    double overlap = 0.25;
    /// Tensors, by name or pattern, whose clipped elements the device counts.
    std::vector<std::string> watch;

    bool operator==(const Dynamic&) const = default;
  } dynamic;

  /// [[layer]]: what else holds for layers whose name, or that of a tensor they write, matches. Of
  /// several that match, the later one wins, member by member.
  struct LayerRule {
    std::string match;
    std::optional<int> bits, weight_bits;
    std::optional<quant::Method> method;
    std::optional<double> percentile;

    bool operator==(const LayerRule&) const = default;
  };
  std::vector<LayerRule> layers;

  bool operator==(const Recipe&) const = default;
};

/// The recipe that `toml` describes; what it leaves out has its default. Throws Error(Malformed)
/// for what is no TOML, and as check_recipe, with the line and the nearest known key for a key that
/// does not exist or has the wrong type. `where` becomes the error's file.
Recipe parse_recipe(std::string_view toml, std::string_view where);

/// Every key in the order of docs/recipes.md, unset optional ones left out. Deterministic;
/// parse_recipe gives the same recipe back.
std::string to_toml(const Recipe& recipe);

/// The same as one JSON object.
std::string to_json(const Recipe& recipe);

/// Sets keys as "calibration.method=kl": strings bare or in quotes, lists as ["a", "b"] or a,b, an
/// optional key unset by nothing behind the '='. "layer.PATTERN.bits=16" adds to the layer rules.
/// The result is checked when all are set. Throws Error(Usage) as parse_recipe, and leaves `recipe`
/// as it was then.
void apply_overrides(Recipe& recipe, std::span<const std::string> assignments);

/// Whether any layer's range is a share of its values (quant::Method::Percentile).
bool goes_by_percentile(const Recipe& recipe);

/// Throws Error(Usage) that names the key, for values that are impossible in themselves or
/// together.
void check_recipe(const Recipe& recipe);

/// The paths of all keys that a recipe may have, without those of layer rules.
std::vector<std::string> recipe_keys();

/// An embedded recipe by its name, else the file of that path; one without a name is called as its
/// file. Throws Error(Usage) with the nearest name where there is neither, Error(Io), and as
/// parse_recipe.
Recipe find_recipe(std::string_view name_or_path);

/// Its text, comments included. Throws as find_recipe, but does not parse it.
std::string find_recipe_text(std::string_view name_or_path);

/// Throws Error(Usage), with the nearest name, where a pattern of `recipe` matches none of `names`:
/// those of all layers and of the tensors that they write.
void check_layer_patterns(const Recipe& recipe, std::span<const std::string> names);

/// What the layer rules say together of the layer with these names (its own, those of its tensors);
/// match is empty.
Recipe::LayerRule layer_rule_for(const Recipe& recipe, std::span<const std::string> names);

/// Whether one of `patterns` matches one of `names`.
bool any_matches(std::span<const std::string> patterns, std::span<const std::string> names);

}  // namespace espquant::recipe
