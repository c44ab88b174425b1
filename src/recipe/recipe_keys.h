#pragma once

#include <limits>
#include <utility>

#include "base/error.h"
#include "recipe/recipe.h"

/// What the reader, the writer and the check of recipes know of their keys, in one place.
namespace espquant::recipe {

/// Values that a number may have: the ends and, unless `ends_only`, what is between.
struct Range {
  double least = 0;
  double most = std::numeric_limits<double>::max();
  bool ends_only = false;
};

/// Names of an enumeration in a recipe, in the order of the documentation.
template <typename E>
using EnumNames = std::vector<std::pair<std::string_view, E>>;

inline EnumNames<quant::Scope> names_of(quant::Scope) {
  using quant::Scope;
  return {{"tensor", Scope::Tensor}, {"layer", Scope::Layer}, {"global", Scope::Global}};
}
inline EnumNames<Granularity> names_of(Granularity) {
  return {{"auto", Granularity::Auto},
          {"tensor", Granularity::Tensor},
          {"channel", Granularity::Channel}};
}
inline EnumNames<BiasCorrection> names_of(BiasCorrection) {
  return {{"none", BiasCorrection::None},
          {"analytic", BiasCorrection::Analytic},
          {"empirical", BiasCorrection::Empirical}};
}
inline EnumNames<Relu6> names_of(Relu6) {
  return {{"auto", Relu6::Auto}, {"keep", Relu6::Keep}, {"to_relu", Relu6::ToRelu}};
}
inline EnumNames<FrameStatistic> names_of(FrameStatistic) {
  return {{"largest", FrameStatistic::Largest}, {"percentile", FrameStatistic::Percentile}};
}
inline EnumNames<quant::Method> names_of(quant::Method) {
  EnumNames<quant::Method> names;
  for (quant::Method method : quant::all_methods()) names.emplace_back(name_of(method), method);
  names.emplace_back("kl", quant::Method::Entropy);
  return names;
}

template <typename E>
std::string_view name_in_recipe(E value) {
  for (const auto& [name, meaning] : names_of(value))
    if (meaning == value) return name;
  return "?";
}

inline constexpr Range kBits{8, 16, true};
inline constexpr Range kPercentiles{50, 100};
inline constexpr Range kCounts{0, 1e9};

/// Throws Error(Usage) naming the key.
void check_number(std::string_view path, double value, Range range);

/// "mixed" of "mixed.layers", "" of "name".
std::string_view section_of(std::string_view path);
/// "layers" of "mixed.layers".
std::string_view key_of(std::string_view path);

/// Keys of a layer rule.
std::vector<std::string> layer_keys();

/// The key that was meant: the one of that section with a near name, or else of any section; or "".
std::string nearest_key(std::string_view path);

/// For a key that does not exist; `line` begins the message, `known` is listed where nothing is
/// near.
Error unknown_key(std::string_view line, std::string_view path, const std::string& nearest,
                  std::span<const std::string> known);

/// `text` as a basic string of TOML, which is one of JSON, too.
std::string quoted_text(std::string_view text);

/// Calls visit(path, member) or, for numbers, visit(path, member, range) for each key but those of
/// layer rules, in the order in which they are written. R is Recipe or const Recipe.
template <typename R, typename Visit>
void visit_keys(R& recipe, Visit&& visit) {
  visit("name", recipe.name);
  visit("description", recipe.description);
  visit("target", recipe.target);
  visit("espdl", recipe.espdl);

  auto& c = recipe.calibration;
  visit("calibration.method", c.method);
  visit("calibration.percentile", c.percentile, kPercentiles);
  visit("calibration.scope", c.scope);
  visit("calibration.samples", c.samples, kCounts);
  visit("calibration.seed", c.seed, kCounts);
  visit("calibration.qdq_ranges", c.qdq_ranges);

  auto& q = recipe.quantization;
  visit("quantization.bits", q.bits, kBits);
  visit("quantization.weight_bits", q.weight_bits, kBits);
  visit("quantization.wide_weights", q.wide_weights, Range{0, 1});
  visit("quantization.granularity", q.granularity);
  visit("quantization.scale_layers", q.scale_layers);
  visit("quantization.round_weights", q.round_weights);
  visit("quantization.reconstruct", q.reconstruct);
  visit("quantization.keep_zeros", q.keep_zeros);
  visit("quantization.bias_correction", q.bias_correction);
  visit("quantization.refine_exponents", q.refine_exponents);
  visit("quantization.alignment_cost", q.alignment_cost, Range{1});
  visit("quantization.table_error", q.table_error, Range{0, 1});
  visit("quantization.disabled_passes", q.disabled_passes);

  auto& e = recipe.equalization;
  visit("equalization.enabled", e.enabled);
  visit("equalization.iterations", e.iterations, Range{1, 1000});
  visit("equalization.value_threshold", e.value_threshold, Range{});
  visit("equalization.level", e.level, Range{1, 2, true});
  visit("equalization.relu6", e.relu6);
  visit("equalization.include_bias", e.include_bias);
  visit("equalization.bias_multiplier", e.bias_multiplier, Range{});
  visit("equalization.include_activation", e.include_activation);
  visit("equalization.activation_multiplier", e.activation_multiplier, Range{});
  visit("equalization.even_activations", e.even_activations);
  visit("equalization.high_bias_absorption", e.high_bias_absorption);
  visit("equalization.undo_if_worse", e.undo_if_worse);

  auto& m = recipe.mixed;
  visit("mixed.enabled", m.enabled);
  visit("mixed.max_16bit", m.max_16bit, Range{1, 1e9});
  visit("mixed.budget_kb", m.budget_kb, Range{});
  visit("mixed.budget_ms", m.budget_ms, Range{});
  visit("mixed.accuracy_within", m.accuracy_within, Range{0, 1});
  visit("mixed.noise_target", m.noise_target, Range{0, 1});
  visit("mixed.layers", m.layers);

  auto& f = recipe.finetune;
  visit("finetune.enabled", f.enabled);
  visit("finetune.steps", f.steps, Range{1, 1e6});
  visit("finetune.batch", f.batch, Range{1, 4096});
  visit("finetune.rate", f.rate, Range{1e-6, 10});
  visit("finetune.seed", f.seed, kCounts);
  visit("finetune.flip", f.flip);
  visit("finetune.shift", f.shift, Range{0, 64});
  visit("finetune.brightness", f.brightness, Range{0, 1});
  visit("finetune.noise", f.noise, Range{0, 1});
  visit("finetune.mix", f.mix, Range{0, 1});
  auto& d = recipe.dynamic;
  visit("dynamic.enabled", d.enabled);
  visit("dynamic.banks", d.banks, Range{0, 16});
  visit("dynamic.statistic", d.statistic);
  visit("dynamic.percentile", d.percentile, kPercentiles);
  visit("dynamic.overlap", d.overlap, Range{0, 8});
  visit("dynamic.watch", d.watch);
}

/// The same for the keys of a layer rule.
template <typename R, typename Visit>
void visit_layer_keys(R& rule, Visit&& visit) {
  visit("match", rule.match);
  visit("bits", rule.bits, kBits);
  visit("weight_bits", rule.weight_bits, kBits);
  visit("method", rule.method);
  visit("percentile", rule.percentile, kPercentiles);
}

}  // namespace espquant::recipe
