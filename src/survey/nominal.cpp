#include "survey/nominal.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "lower/lower.h"
#include "ops/recurrent.h"
#include "quant/quantize.h"
#include "schedule/in_place_writes.h"

namespace espquant::survey {
namespace {

/// The largest magnitude of an activation.
constexpr float kReach = 1;

/// Arithmetic whose constants only set ranges. Bounds, powers and scales of a Resize are what the
/// node does.
bool has_tame_constants(std::string_view op) {
  constexpr std::array<std::string_view, 10> kOps = {"Add",  "Concat", "Conv",   "Div", "GRU",
                                                     "Gemm", "LSTM",   "MatMul", "Mul", "Sub"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

/// Whatever is stored in the file, shifts stay within what the chip has: masks of -1e9, weights of
/// a network that was never trained.
void tame_constants(Graph& graph) {
  constexpr float kMost = 2 * kReach;
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    Value& value = graph.value(static_cast<ValueId>(i));
    if (!value.is_constant() || value.constant.dtype() != DType::Float32) continue;
    const bool tame = std::all_of(value.consumers.begin(), value.consumers.end(),
                                  [&](NodeId id) { return has_tame_constants(graph.node(id).op); });
    const auto fits = [](float x) { return std::abs(x) <= kMost; };
    const auto data = value.constant.data<float>();
    if (!tame || std::all_of(data.begin(), data.end(), fits)) continue;
    for (float& x : value.constant.mutable_data<float>())
      x = std::isnan(x) ? 0 : std::clamp(x, -kMost, kMost);
  }
}

calib::ValueStatistics uniform(const Value& value, const calib::Request& request) {
  calib::ValueStatistics s;
  s.extent = {-kReach, kReach, true};
  s.count = element_count(*value.shape);
  s.sum_squares = static_cast<double>(s.count) * kReach * kReach / 3;
  s.steps = request.steps;
  s.max_q = request.max_q;
  for (const float step : s.steps) {
    const double clipped = std::max(0.0F, kReach - step * static_cast<float>(request.max_q));
    s.errors.push_back(static_cast<double>(s.count) *
                       (static_cast<double>(step) * step / 12 + clipped * clipped));
  }
  return s;
}

calib::Statistics uniform_statistics(const Graph& graph, std::span<const calib::Request> requests) {
  calib::Statistics statistics;
  statistics.samples = 1;
  statistics.values.resize(graph.value_count());
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(static_cast<ValueId>(i));
    if (value.is_constant() || !value.shape || value.dtype != DType::Float32) continue;
    statistics.values[i] = uniform(value, requests.empty() ? calib::Request() : requests[i]);
  }
  for (const NodeId id : graph.topological_order())
    if (ops::is_recurrent(graph.node(id))) statistics.recurrent[id] = {4 * kReach, 4 * kReach};
  return statistics;
}

}  // namespace

Draft draft(Graph network, const Target& target, int bits) {
  tame_constants(network);
  quant::Settings settings;
  settings.target = &target;
  settings.bits = bits;
  settings.method = quant::Method::MinMax;
  settings.per_channel_weights = target.per_channel_weights;
  settings.scale_layers = settings.round_weights = settings.reconstruct = false;
  settings.bias_correction = false;
  const quant::Plan plan = quant::make_plan(network, settings, uniform_statistics(network, {}));
  quant::Calibration calibration;
  calibration.statistics = uniform_statistics(network, plan.requests);
  static_cast<void>(quant::quantize(network, plan, calibration, settings));
  Draft made;
  lower::Options options;
  options.refused = &made.refused;
  made.model = lower::lower(network, target, options).model;
  if (made.refused.empty()) schedule::protect_from_in_place_writes(made.model, target);
  return made;
}

}  // namespace espquant::survey
