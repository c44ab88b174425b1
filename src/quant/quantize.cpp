#include "quant/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/parallel.h"
#include "quant/bias_correction.h"
#include "quant/errors.h"
#include "quant/exponents.h"
#include "quant/gate_exponents.h"
#include "quant/rounding.h"
#include "quant/scaling.h"

namespace espquant::quant {

void check_settings(const Settings& settings) {
  ESPQUANT_ASSERT(settings.target != nullptr, "no target");
  ESPQUANT_ASSERT(settings.bits == 8 || settings.bits == 16, "bits other than 8 and 16");
  ESPQUANT_ASSERT(settings.weight_bits == 8 || settings.weight_bits == 16,
                  "bits of weights other than 8 and 16");
  const bool narrow_weights =
      settings.weight_bits == 8 ||
      std::any_of(settings.layer_weight_bits.begin(), settings.layer_weight_bits.end(),
                  [](const auto& named) { return named.second == 8; });
  if (narrow_weights && !settings.target->release.has(Feature::W8A16))
    throw Error(
        ErrorCode::Illegal,
        fmt::format("ESP-DL {} has no kernels of int8 weights below int16 activations (W8A16)",
                    settings.target->release.version))
        .remedy(fmt::format("Use ESP-DL {} or newer, or the recipe int16",
                            fact_of(Feature::W8A16).since.version));
  if (settings.per_channel_weights && !settings.target->per_channel_weights)
    throw Error(ErrorCode::Illegal, fmt::format("{} has one shift per layer, so weights cannot "
                                                "have one exponent per channel (ESP-DL 3.1)",
                                                settings.target->name))
        .remedy("Quantize the weights per tensor there, or choose esp32p4");
}

namespace {

// Whether weights of the layer are rounded together, and the bias makes up for their mean.
bool is_rounded_together(const Node& n) { return n.op != "ConvTranspose"; }

void round_layers(Graph& graph, const Plan& plan, const Calibration& calibration,
                  const std::vector<float>& factors, const Settings& settings) {
  std::vector<NodeId> layers;
  for (NodeId id : graph.topological_order())
    if (is_weighted(graph, graph.node(id))) layers.push_back(id);
  std::vector<std::vector<float>> rounded(layers.size());
  parallel_for(static_cast<std::int64_t>(layers.size()), [&](std::int64_t i) {
    const NodeId id = layers[static_cast<std::size_t>(i)];
    const Node& n = graph.node(id);
    const TensorQuant& quant = *graph.value(n.inputs[1]).quant;
    InputKnowledge input;
    const auto known = calibration.covariances.find(id);
    if (settings.round_weights && known != calibration.covariances.end() && is_rounded_together(n))
      input.covariance = &known->second;
    const auto factor =
        static_cast<double>(factors[static_cast<std::size_t>(plan.scales.sets.find(n.inputs[0]))]);
    input.step =
        std::ldexp(1.0, graph.value(n.inputs[0]).quant_at(activation_bits(graph, n))->exponent()) /
        factor;
    input.keep_zeros = settings.keep_zeros;
    input.bias_absorbs_mean = settings.bias_correction && (n.op == "Conv" || n.op == "Gemm");
    rounded[static_cast<std::size_t>(i)] =
        rounded_weights(weight_rows(graph, n), quant, input, settings.target->rounding);
  });
  for (std::size_t i = 0; i < layers.size(); ++i)
    set_weight_rows(graph, graph.node(layers[i]), rounded[i]);
}

void correct_biases(Graph& graph, const Plan& plan, const LayerInputs& inputs,
                    const Quantized& quantized) {
  const MeanOutputs means_wanted = mean_outputs(quantized.scaled, plan, inputs, quantized.factors);
  for (const auto& [id, wanted] : means_wanted) {
    const ValueId input = graph.node(id).inputs[0];
    std::vector<double> means = inputs.at(id).mean;
    const float factor = quantized.factors[static_cast<std::size_t>(plan.scales.sets.find(input))];
    for (double& m : means) m *= static_cast<double>(factor);
    correct_bias(graph, id, wanted, means);
  }
}

/// The statistics with the ranges that a network that was quantized before states.
calib::Statistics with_stated_ranges(const Graph& graph, calib::Statistics statistics) {
  for (std::size_t v = 0; v < statistics.values.size(); ++v)
    if (const auto& range = graph.value(static_cast<ValueId>(v)).stated_range)
      statistics.values[v].extent = {range->first, range->second, true};
  return statistics;
}

}  // namespace

std::vector<float> quantize_activations(Graph& graph, const Plan& plan,
                                        const Calibration& calibration, const Settings& settings) {
  const Widths widths(graph, plan.exponents, settings, plan.wide);
  unshare_constants(graph);
  std::optional<calib::Statistics> stated;
  if (settings.stated_ranges) stated = with_stated_ranges(graph, calibration.statistics);
  const calib::Statistics& statistics = stated ? *stated : calibration.statistics;
  const ActivationErrors errors(graph, plan, statistics);
  std::vector<float> factors =
      choose_factors(graph, plan, errors, calibration.inputs, widths, settings);
  apply_factors(graph, plan.scales.sets, factors);
  assign_activation_exponents(graph, plan, errors, widths, factors, settings);
  return factors;
}

Quantized quantize(Graph& graph, const Plan& plan, const Calibration& calibration,
                   const Settings& settings) {
  check_settings(settings);
  const Widths widths(graph, plan.exponents, settings, plan.wide);
  Quantized result;
  result.factors = quantize_activations(graph, plan, calibration, settings);
  result.scaled = graph;
  assign_gate_exponents(graph, plan, calibration.statistics, widths);
  assign_parameter_exponents(graph, plan, calibration.inputs, widths, settings);
  round_layers(graph, plan, calibration, result.factors, settings);
  if (settings.bias_correction) {
    correct_biases(graph, plan, calibration.inputs, result);
    // Corrected biases must still fit the chip's width.
    assign_parameter_exponents(graph, plan, calibration.inputs, widths, settings);
  }
  return result;
}

}  // namespace espquant::quant
