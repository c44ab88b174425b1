#include "analysis/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace espquant::analysis {
namespace {

// 30 dB. Well-used 8 bits give 35 to 50 dB per layer, and some ten layers of 40 dB add up to it.
constexpr double kNotable = 1e-3;
// Rounding weights that fill half of 8 bits costs a filter 2e-4 to 1e-3 of its energy; at 1 % three
// bits are unused.
constexpr double kNotableWeightNoise = 1e-2;
// A step eight times as coarse as 99.9 % of the values need: three of eight bits.
constexpr double kOutlierBits = 3;
// The smallest filter has lost four of its eight bits to the largest.
constexpr double kUnevenSpread = 16;
// Scores of a trained network come within a step of each other in one or two of a hundred samples.
constexpr double kCloseShare = 0.125;
constexpr std::int64_t kLeastDecisions = 8;
// Clipping is the reason only where it outweighs rounding.
constexpr double kMainShare = 0.5;
// Of the network's noise: a layer that makes as much is asked for its reason in any case.
constexpr double kLeadingShare = 0.1;
// Of the input whose rounding leads: a step twice as coarse as nearly all of its values need.
constexpr double kInputOutlierBits = 1;

std::string percent(double fraction) { return fmt::format("{:.3g} %", 100 * fraction); }

// Zeros are exact at any step.
double rounding_noise(const LayerFacts& layer) {
  if (layer.accumulated.signal <= 0) return 0;
  const double uniform = layer.step() * layer.step() / 12;
  return uniform * static_cast<double>(layer.values - layer.zeros) / layer.accumulated.signal;
}

double largest_magnitude(const LayerFacts& layer) {
  return std::max(std::abs(static_cast<double>(layer.min)),
                  std::abs(static_cast<double>(layer.max)));
}

// Bits that lie above what 99.9 % of the values need.
double unused_bits(const LayerFacts& layer) {
  if (layer.typical <= 0 || layer.bits > 16) return 0;
  const double covered =
      std::min(largest_magnitude(layer), std::ldexp(layer.step(), layer.bits - 1));
  return std::max(0.0, std::log2(covered / layer.typical));
}

bool is_leading(const LayerFacts& layer) {
  return layer.at_output.ratio() >= kNotable && layer.share_at_output >= kLeadingShare;
}

double outlier_noise(const LayerFacts& layer) {
  const double unused = unused_bits(layer);
  const bool leads = layer.op == kInput && is_leading(layer);
  if (unused < (leads ? kInputOutlierBits : kOutlierBits)) return 0;
  // What few see of an input may be all that the network looks at.
  return leads ? layer.at_output.ratio() : rounding_noise(layer) * (1 - std::exp2(-2 * unused));
}

// Coarse weights matter as far as anything shows of them, in the layer or at the network's output.
bool shows(const LayerFacts& layer) {
  return std::max(layer.alone.ratio(), layer.at_output.ratio()) >= kNotable;
}

double uneven_noise(const LayerFacts& layer) {
  if (!layer.weights || !shows(layer) || layer.weights->per_channel ||
      layer.weights->spread < kUnevenSpread)
    return 0;
  return layer.weights->noise_without_bias;
}

double bias_noise(const LayerFacts& layer) {
  if (!layer.weights || !shows(layer) || layer.weights->excess_bias_bits <= 0) return 0;
  return layer.weights->noise - layer.weights->noise_without_bias;
}

double clipping_noise(const LayerFacts& layer) {
  // Method::Auto clips what no output shows.
  if (layer.at_output.ratio() < kNotable) return 0;
  const double noise = layer.clipping.ratio();
  return noise >= kMainShare * std::max(layer.alone.ratio(), rounding_noise(layer)) ? noise : 0;
}

double saturation_noise(const LayerFacts& layer) {
  return layer.saturation && layer.saturation->changed > 0 ? layer.saturation->effect.ratio() : 0;
}

double close_share(const LayerFacts& layer) {
  if (layer.decisions < kLeastDecisions) return 0;
  return static_cast<double>(layer.close_decisions) / static_cast<double>(layer.decisions);
}

/// What the noise of a layer on good inputs consists of.
struct OwnNoise {
  double output = 0, weights = 0, inputs = 0;
};

OwnNoise own_noise(const LayerFacts& layer) {
  OwnNoise own;
  own.output = rounding_noise(layer);
  if (layer.op == kInput) return own;
  if (layer.weights) own.weights = std::min(layer.weights->noise, layer.alone.ratio());
  own.inputs = std::max(0.0, layer.alone.ratio() - own.output - own.weights);
  return own;
}

Reason largest_part(const LayerFacts& layer) {
  const OwnNoise own = own_noise(layer);
  if (own.output >= std::max(own.weights, own.inputs)) return Reason::RoundedOutput;
  return own.weights >= own.inputs ? Reason::RoundedWeights : Reason::RoundedInputs;
}

Reason reason_for(const LayerFacts& layer) {
  struct Candidate {
    Reason reason;
    double noise, least;
  };
  // Of equal ones the earlier.
  const Candidate candidates[] = {
      {Reason::Saturation, saturation_noise(layer), kNotable},
      {Reason::CoarseLogits, close_share(layer), kCloseShare},
      {Reason::ClippedActivation, clipping_noise(layer), kNotable},
      {Reason::WideBias, bias_noise(layer), kNotableWeightNoise},
      {Reason::UnevenChannels, uneven_noise(layer), kNotableWeightNoise},
      {Reason::OutlierRange, outlier_noise(layer), kNotable},
  };
  const Candidate* found = nullptr;
  for (const Candidate& c : candidates)
    if (c.noise >= c.least && (found == nullptr || c.noise > found->noise)) found = &c;
  if (found != nullptr) return found->reason;
  return is_leading(layer) ? largest_part(layer) : Reason::Nothing;
}

// As a word of a shell's command line.
std::string setting(const LayerFacts& layer, std::string_view assignment) {
  std::string word = fmt::format("layer.{}.{}", layer.node, assignment);
  const bool plain = std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("_./-=:").find(static_cast<char>(c)) != std::string_view::npos;
  });
  return plain ? "--set " + word : "--set '" + word + "'";
}

// Of layers whose activations, or weights, may still get 16 bits.
bool has_wider(const LayerFacts& layer) { return layer.bits == 8 || layer.is_w8a16(); }

std::string wider(const LayerFacts& layer) {
  if (layer.is_w8a16()) return setting(layer, "weight_bits=16");
  return fmt::format("{} (or --recipe mixed, which chooses)", setting(layer, "bits=16"));
}

std::string explain_outliers(const LayerFacts& layer) {
  if (layer.op == kInput)
    return fmt::format(
        "99.9 % of its values are within {:.3g}, but the largest is {:.3g}: one value in a "
        "thousand "
        "sets the step of {:.3g} for all. That makes {:.0f} % of the noise at the output.",
        layer.typical, largest_magnitude(layer), layer.step(), 100 * layer.share_at_output);
  return fmt::format(
      "99.9 % of its values are within {:.3g}, but the largest is {:.3g}; {:.1f} of its {} bits "
      "are "
      "there for the rest, and a step of {:.3g} is coarse for most.",
      layer.typical, largest_magnitude(layer), unused_bits(layer), layer.bits, layer.step());
}

std::string explain_uneven(const LayerFacts& layer) {
  return fmt::format(
      "Its filters differ {:.3g} times in size and share one exponent, so that rounding takes {} "
      "of an average filter.",
      layer.weights->spread, percent(layer.weights->noise_without_bias));
}

std::string explain_bias(const LayerFacts& layer, const Target& target) {
  return fmt::format(
      "Its bias needs {} bits more than the {} that {} has for it, so its weights have a step that "
      "much coarser, which takes {} of an average filter instead of {}.",
      layer.weights->excess_bias_bits, target.bias_bits(layer.bits), target.name,
      percent(layer.weights->noise), percent(layer.weights->noise_without_bias));
}

std::string explain_logits(const LayerFacts& layer) {
  return fmt::format(
      "Its best two scores are less than one step ({:.3g}) apart in {} of {} samples, because "
      "their "
      "range, {:.3g} to {:.3g}, is large beside their differences; such answers change at random.",
      layer.step(), layer.close_decisions, layer.decisions, layer.min, layer.max);
}

std::string explain_clipping(const LayerFacts& layer) {
  return fmt::format(
      "{} of its values lie beyond what its integers reach ({:.3g}; they go up to {:.3g}), and "
      "clipping them makes a noise of {}.",
      percent(layer.clipped_share()), std::ldexp(layer.step(), layer.bits - 1),
      largest_magnitude(layer), percent(layer.clipping.ratio()));
}

std::string explain_saturation(const LayerFacts& layer, const Target& target) {
  const measure::LayerSaturation& s = *layer.saturation;
  return fmt::format(
      "Its sums reach {:.3g} times what the {}-bit registers of {} hold; that changes {} of its "
      "outputs and makes a noise of {}.",
      s.books.peak, target.accumulator_bits(layer.bits), target.name,
      percent(static_cast<double>(s.changed) / static_cast<double>(s.elements)),
      percent(s.effect.ratio()));
}

std::string explain_nothing(const LayerFacts& layer) {
  return fmt::format(
      "Nothing remarkable in itself: its values, {:.3g} to {:.3g}, have a step of {:.3g} in its {} "
      "bits. Rounding them makes a noise of {}; with rounded inputs and weights it is {}.",
      layer.min, layer.max, layer.step(), layer.bits, percent(rounding_noise(layer)),
      percent(layer.alone.ratio()));
}

std::string explain_leading(Reason reason, const LayerFacts& layer) {
  const OwnNoise own = own_noise(layer);
  const std::string lead =
      fmt::format("It makes {:.0f} % of the noise at the output. ", 100 * layer.share_at_output);
  const std::string mine = percent(layer.alone.ratio());
  if (reason == Reason::RoundedOutput)
    return lead + fmt::format(
                      "Rounding its values, {:.3g} to {:.3g}, to a step of {:.3g} makes {} of the "
                      "{} that it has by itself.",
                      layer.min, layer.max, layer.step(), percent(own.output), mine);
  if (reason == Reason::RoundedWeights)
    return lead + fmt::format(
                      "Its weights, rounded to {} bits, make {} of the {} that it has by "
                      "itself.",
                      layer.weight_bits, percent(own.weights), mine);
  return lead + fmt::format(
                    "That is the noise of what it reads: rounded inputs make {} of the {} that it "
                    "has by itself; rounding its own values makes {}.",
                    percent(own.inputs), mine, percent(own.output));
}

std::string remedy_for_input(const LayerFacts& layer) {
  return fmt::format(
      "to clip the data to {:.3g} on either side, or to take their logarithm, here and on the "
      "device; or --recipe mixed, whose first layers may read 16 bits.",
      layer.typical);
}

std::string remedy_for_clipped_input(const recipe::Recipe& recipe) {
  const std::string_view first =
      recipe.calibration.method == quant::Method::Auto ? "" : "--method auto; or ";
  return fmt::format(
      "{}to take the logarithm of the data, here and on the device; or --recipe mixed, whose first "
      "layers may read 16 bits.",
      first);
}

std::string remedy_for_outliers(const LayerFacts& layer, const recipe::Recipe& recipe) {
  if (recipe.calibration.method == quant::Method::MinMax)
    return fmt::format("--method auto, which clips as far as it pays; or {}.",
                       setting(layer, "method=percentile"));
  return layer.bits == 8 ? wider(layer) + "." : std::string();
}

std::string remedy_for_channels(const LayerFacts& layer, const recipe::Recipe& recipe,
                                const Target& target) {
  if (target.per_channel_weights)
    return "--weights channel: an exponent for each filter costs nothing on this chip.";
  std::string text;
  if (!recipe.equalization.enabled) text = "--recipe balanced, which evens filters out; or ";
  if (!has_wider(layer))
    return recipe.equalization.enabled ? "" : "--recipe balanced, which evens filters out.";
  return text + wider(layer) +
         (recipe.equalization.enabled ? "; the esp32p4 has an exponent for each filter." : ".");
}

std::string remedy_for_bias(const LayerFacts& layer, const recipe::Recipe& recipe,
                            const Target& target) {
  std::string text;
  if (!recipe.equalization.enabled)
    text = "--recipe balanced, which moves biases on to the next layer; or ";
  if (layer.bits == 8)
    text += fmt::format("{}, with {} bits for biases.", setting(layer, "bits=16"),
                        target.bias_bits(16));
  return text;
}

std::string remedy_for_clipping(const LayerFacts& layer, const recipe::Recipe& recipe) {
  if (recipe.calibration.method == quant::Method::Auto)
    return layer.bits == 8 ? wider(layer) + "; more, or more typical, calibration samples."
                           : "more, or more typical, calibration samples.";
  return fmt::format("--method auto; or {}, which clips nothing.", setting(layer, "method=minmax"));
}

std::string remedy_of(Reason reason, const LayerFacts& layer, const recipe::Recipe& recipe,
                      const Target& target) {
  switch (reason) {
    case Reason::OutlierRange:
      return remedy_for_outliers(layer, recipe);
    case Reason::UnevenChannels:
      return remedy_for_channels(layer, recipe, target);
    case Reason::WideBias:
      return remedy_for_bias(layer, recipe, target);
    case Reason::ClippedActivation:
      return remedy_for_clipping(layer, recipe);
    case Reason::Nothing:
      if (!shows(layer)) return {};
      [[fallthrough]];
    case Reason::CoarseLogits:
    case Reason::Saturation:
    case Reason::RoundedOutput:
    case Reason::RoundedWeights:
    case Reason::RoundedInputs:
      return has_wider(layer) ? wider(layer) + "." : std::string();
  }
  return {};
}

std::string explain(Reason reason, const LayerFacts& layer, const Target& target) {
  switch (reason) {
    case Reason::OutlierRange:
      return explain_outliers(layer);
    case Reason::UnevenChannels:
      return explain_uneven(layer);
    case Reason::WideBias:
      return explain_bias(layer, target);
    case Reason::CoarseLogits:
      return explain_logits(layer);
    case Reason::ClippedActivation:
      return explain_clipping(layer);
    case Reason::Saturation:
      return explain_saturation(layer, target);
    case Reason::RoundedOutput:
    case Reason::RoundedWeights:
    case Reason::RoundedInputs:
      return explain_leading(reason, layer);
    case Reason::Nothing:
      return explain_nothing(layer);
  }
  return {};
}

}  // namespace

std::string_view code_of(Reason reason) {
  switch (reason) {
    case Reason::Nothing:
      return "-";
    case Reason::OutlierRange:
      return "outliers";
    case Reason::UnevenChannels:
      return "uneven channels";
    case Reason::WideBias:
      return "wide bias";
    case Reason::CoarseLogits:
      return "coarse logits";
    case Reason::ClippedActivation:
      return "clipped";
    case Reason::Saturation:
      return "saturation";
    case Reason::RoundedOutput:
      return "step";
    case Reason::RoundedWeights:
      return "weights";
    case Reason::RoundedInputs:
      return "inputs";
  }
  return "";
}

double LayerFacts::step() const { return bits > 16 ? 0 : std::ldexp(1.0, exponent); }

double LayerFacts::clipped_share() const {
  return values > 0 ? static_cast<double>(clipped) / static_cast<double>(values) : 0;
}

Diagnosis diagnose(const LayerFacts& layer, const recipe::Recipe& recipe, const Target& target) {
  const Reason reason = reason_for(layer);
  Diagnosis diagnosis{reason, explain(reason, layer, target), {}};
  // Recipes have no rules for inputs.
  if (layer.op != kInput)
    diagnosis.remedy = remedy_of(reason, layer, recipe, target);
  else if (reason == Reason::OutlierRange)
    diagnosis.remedy = remedy_for_input(layer);
  else if (reason == Reason::ClippedActivation)
    diagnosis.remedy = remedy_for_clipped_input(recipe);
  return diagnosis;
}

}  // namespace espquant::analysis
