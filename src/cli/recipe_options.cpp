#include "cli/recipe_options.h"

#include "base/quantities.h"
#include "cli/validators.h"

namespace espquant::cli {

namespace {

constexpr const char* kGroup = "Recipe";

}  // namespace

void add_recipe_options(CLI::App& app, job::RecipeOptions& options) {
  app.add_option("--recipe", options.recipe,
                 "int8, mixed, balanced, finetune, w8a16, int16 (espquant recipes shows them), or "
                 "a TOML file")
      ->capture_default_str()
      ->type_name("NAME|FILE")
      ->group(kGroup);
  add_recipe_changes(app, options);
  app.add_option("--max-16bit", options.max_16bit, "mixed: at most this many layers at 16 bits")
      ->check(whole_number(0))
      ->type_name("N")
      ->group(kGroup);
  app.add_option("--budget-kb", options.budget_kb, "mixed: KiB that the file may grow by")
      ->check(number_from(0))
      ->type_name("KIB")
      ->group(kGroup);
  app.add_option("--budget-ms", options.budget_ms, "mixed: ms that a run may last longer")
      ->check(number_from(0))
      ->type_name("MS")
      ->group(kGroup);
  app.add_option("--accuracy-within", options.accuracy_within,
                 "mixed: stop when accuracy is within this of float (0.005: half a point)")
      ->check(number_from(0))
      ->type_name("SHARE")
      ->group(kGroup);
}

void add_recipe_changes(CLI::App& app, job::RecipeOptions& options) {
  app.add_option("--set", options.set,
                 "Change the recipe by any of its keys, as calibration.method=kl; may be repeated")
      ->allow_extra_args(false)
      ->type_name("KEY=VALUE")
      ->group(kGroup);
  app.add_option("--calib-count", options.calib_count,
                 "Calibrate on at most this many samples, evenly spread (default: all)")
      ->check(whole_number(1))
      ->type_name("N")
      ->group(kGroup);
  app.add_option("--seed", options.seed, "Draw those samples at random, the same for the same seed")
      ->check(whole_number(0))
      ->type_name("N")
      ->group(kGroup);
  app.add_option("--bits", options.bits, "Width of weights and activations")
      ->check(one_of({"8", "16"}))
      ->type_name("8|16")
      ->group(kGroup);
  app.add_option("--weights", options.weights,
                 "One exponent per tensor or per channel; auto: what the chip can")
      ->check(one_of({"auto", "tensor", "channel"}))
      ->type_name("auto|tensor|channel")
      ->group(kGroup);
  app.add_option("--method", options.method,
                 "How ranges are chosen: auto, minmax, percentile, entropy (kl), mse, sqnr")
      ->type_name("METHOD")
      ->group(kGroup);
  app.add_option("--percentile", options.percentile, "What --method percentile keeps, in %")
      ->check(number_from(0))
      ->type_name("PERCENT")
      ->group(kGroup);
  app.add_option("--disable-pass", options.disabled_passes, "Leave out a rewriting pass, by name")
      ->type_name("PASS")
      ->group(kGroup);
  app.add_flag("--use-qdq-ranges", options.qdq_ranges,
               "Of a network that was quantized before (QDQ): keep its ranges")
      ->group(kGroup);
  app.add_flag("--no-bias-correction", options.no_bias_correction, "Leave biases as they are")
      ->group(kGroup);
  app.add_flag("--no-scaling", options.no_scaling, "Do not scale layers towards powers of two")
      ->group(kGroup);
  app.add_flag("--no-weight-rounding", options.no_weight_rounding,
               "Round every weight to nearest instead of all of a filter together")
      ->group(kGroup);
}

void add_time(CLI::App& app, const std::function<void(double)>& take, const std::string& text) {
  app.add_option_function<std::string>(
         "--time", [take](const std::string& given) { take(parse_seconds(given).value()); },
         text + ", as 90s, 5m or 2h; results then depend on the machine")
      ->check(span_of_time())
      ->type_name("TIME");
}

}  // namespace espquant::cli
