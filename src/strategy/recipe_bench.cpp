#include "strategy/recipe_bench.h"

#include "quant/gate_exponents.h"
#include "quant/quantize.h"

namespace espquant::strategy {

Means means_of(const recipe::Recipe& recipe) {
  return recipe.quantization.bias_correction == recipe::BiasCorrection::Empirical
             ? Means::MatchOrUndo
             : Means::AsTheyAre;
}

RecipeBench bench_for(Preparation& shared, const recipe::Recipe& recipe, const Target& target,
                      const cost::LatencyOptions& latency, Stopwatch& watch) {
  RecipeBench found;
  const auto& disabled = recipe.quantization.disabled_passes;
  watch.run("simplify", [&] { found.simplified = &shared.simplified(disabled); });
  found.settings = settings_of(recipe, found.simplified->network, target);
  quant::check_settings(found.settings);
  const auto calibrated = [&] {
    return shared.workbench(*found.simplified, found.settings, watch.progress());
  };
  found.bench = watch.run("calibrate", calibrated);
  if (const auto coarse = quant::layers_of_coarse_steps(
          found.simplified->network, found.bench->calibration().statistics, found.settings);
      !coarse.empty()) {
    const auto& unrolled = shared.simplified(disabled, coarse);
    if (print(unrolled.network) != print(found.simplified->network)) {
      found.simplified = &unrolled;
      found.bench = watch.run("calibrate again", calibrated);
    }
  }
  found.bench->estimate_with(latency);
  if (!recipe.equalization.enabled) return found;
  const Preparation::Equalized& equalized =
      shared.equalized(found.bench, found.settings, recipe.equalization, means_of(recipe), watch);
  found.equalization = equalized.trials;
  found.bench = equalized.bench;
  found.bench->estimate_with(latency);
  return found;
}

}  // namespace espquant::strategy
