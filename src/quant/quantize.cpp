#include "quant/quantize.h"

#include <fmt/format.h>

#include "quant/bias_correction.h"
#include "quant/errors.h"
#include "quant/exponents.h"
#include "quant/scaling.h"

namespace espquant::quant {

void check_settings(const Settings& settings) {
  ESPQUANT_ASSERT(settings.target != nullptr, "no target");
  ESPQUANT_ASSERT(settings.bits == 8 || settings.bits == 16, "bits other than 8 and 16");
  if (settings.per_channel_weights && !settings.target->per_channel_weights)
    throw Error(ErrorCode::Illegal, fmt::format("{} has one shift per layer, so weights cannot "
                                                "have one exponent per channel (ESP-DL 3.1)",
                                                settings.target->name))
        .remedy("Quantize the weights per tensor there, or choose esp32p4");
}

void quantize(Graph& graph, const Plan& plan, const calib::Statistics& statistics,
              const Settings& settings) {
  check_settings(settings);
  const Widths widths(graph, plan.exponents, settings);
  unshare_constants(graph);
  const ActivationErrors errors(plan, statistics);
  const std::vector<float> factors = choose_factors(graph, plan, errors, widths, settings);
  apply_factors(graph, plan, factors);
  assign_activation_exponents(graph, plan, errors, widths, factors);
  assign_parameter_exponents(graph, plan, errors, widths, settings);
  if (settings.bias_correction) {
    correct_biases(graph, plan, statistics, factors, settings);
    // Corrected biases must still fit the chip's width.
    assign_parameter_exponents(graph, plan, errors, widths, settings);
  }
}

}  // namespace espquant::quant
