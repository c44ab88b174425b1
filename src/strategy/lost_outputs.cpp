#include "strategy/lost_outputs.h"

#include <fmt/format.h>

#include <cmath>
#include <set>
#include <string_view>

#include "base/fixed_point.h"
#include "quant/reach.h"

namespace espquant::strategy {
namespace {

/// Noise of the size of the signal: as good as anything else.
constexpr double kLost = 0.5;
/// A layer that adds so much by itself is where it happens.
constexpr double kLosing = 0.1;
/// An output varies when its samples differ by a tenth of what they are, in sum of squares.
constexpr double kVaries = 0.01;
/// What a function that ends at 1 puts out below this is 0 for every purpose.
constexpr double kNothingOfOne = 1.0 / 65536;

bool is_negligible(const Graph& network, ValueId v, const measure::OutputSignal& output) {
  const NodeId producer = network.value(v).producer;
  if (producer == kNone || !quant::ends_at_one(network.node(producer))) return false;
  return output.noise.signal < static_cast<double>(output.count) * kNothingOfOne * kNothingOfOne;
}

/// The names of all that the output depends on.
std::set<std::string_view> names_before(const Graph& network, ValueId output) {
  std::set<std::string_view> names;
  std::vector<bool> seen(network.value_count(), false);
  std::vector<ValueId> open{output};
  while (!open.empty()) {
    const ValueId v = open.back();
    open.pop_back();
    if (v == kNone || seen[static_cast<std::size_t>(v)]) continue;
    seen[static_cast<std::size_t>(v)] = true;
    names.insert(network.value(v).name);
    if (const NodeId id = network.value(v).producer; id != kNone) {
      names.insert(network.node(id).name);
      open.insert(open.end(), network.node(id).inputs.begin(), network.node(id).inputs.end());
    }
  }
  return names;
}

/// Where the noise arises: the first layer that makes much of it by itself, else the first that has
/// much of it.
const measure::LayerNoise* origin_of(const Graph& network, ValueId output,
                                     const measure::NoiseReport& report) {
  const std::set<std::string_view> before = names_before(network, output);
  for (const auto noise : {&measure::LayerNoise::alone, &measure::LayerNoise::accumulated})
    for (const measure::LayerNoise& layer : report.layers)
      if ((layer.*noise).ratio() >= kLosing &&
          (before.contains(layer.node) || before.contains(layer.tensor)))
        return &layer;
  return nullptr;
}

std::string remedy_for(const measure::LayerNoise* layer) {
  if (layer == nullptr) return "`espquant analyze` shows which layer loses it";
  if (layer->exponent <= -kLargestScaleShift)
    return fmt::format(
        "what it puts out is too small for the exponents that ESP-DL takes ({} at "
        "least): multiply its weights, and divide those behind it",
        -kLargestScaleShift);
  if (layer->dtype == DType::Int8)
    return fmt::format("give it 16 bits (--set layer.{}.bits=16), or see `espquant analyze`",
                       layer->node);
  return "scale what reaches it so that small and large values are of about one size; "
         "`espquant analyze` says more";
}

}  // namespace

std::optional<std::string> warning_of(double noise_on_test_samples) {
  if (noise_on_test_samples <= kLost) return std::nullopt;
  return fmt::format(
      "on the test samples about nothing of the outputs is left: their noise is {:.0f} % of the "
      "signal; calibrate on samples that are like them, or see `espquant analyze`",
      100 * noise_on_test_samples);
}

LostOutputs find_lost_outputs(const Graph& network, const measure::NoiseReport& report) {
  LostOutputs lost;
  for (std::size_t o = 0; o < report.outputs.size(); ++o) {
    const measure::OutputSignal& output = report.outputs[o];
    const ValueId v = network.outputs()[o];
    const double noise = output.noise.ratio();
    const bool constant = !output.varies && output.variation > kVaries * output.noise.signal;
    if (output.noise.signal <= 0 || is_negligible(network, v, output)) continue;
    if (noise <= kLost && !constant) continue;
    const measure::LayerNoise* layer = origin_of(network, v, report);
    const std::string where =
        layer == nullptr ? "" : fmt::format("; it arises in '{}' ({})", layer->node, layer->op);
    if (constant && !lost.constant) {
      lost.constant =
          Error(ErrorCode::Illegal,
                fmt::format("the chip puts out the same for all {} samples, where the float "
                            "network does not",
                            report.samples))
              .tensor(output.name)
              .remedy(remedy_for(layer));
      if (layer != nullptr) lost.constant->node(layer->node);
    }
    lost.warnings.push_back(
        fmt::format("of the output '{}' about nothing is left: its noise is {:.0f} % of "
                    "the signal{}; {}",
                    output.name, 100 * noise, where, remedy_for(layer)));
  }
  for (const measure::OutputNoise::Part& part : report.output.groups()) {
    const double noise = part.noise.ratio();
    const bool told = report.outputs[part.output].noise.ratio() > kLost;
    if (part.name.empty() || told || part.noise.signal <= 0 || noise <= kLost) continue;
    lost.warnings.push_back(fmt::format(
        "of '{}', which stands beside larger values in the output '{}', about nothing is left: its "
        "noise is {:.0f} % of the signal; give it an output of its own in the exporting script, or "
        "16 bits (--recipe int16)",
        part.name, part.output_name, 100 * noise));
  }
  return lost;
}

}  // namespace espquant::strategy
