#include "quant/bias_correction.h"

#include <algorithm>
#include <cmath>

#include "base/fixed_point.h"
#include "quant/weights.h"

namespace espquant::quant {
namespace {

// A layer without bias is given one when the mean shift exceeds this part of its output's least
// significant bit.
constexpr double kWorthABias = 0.05;

std::vector<double> mean_shifts(const Graph& graph, const Node& n, std::span<const double> means,
                                const Settings& settings) {
  const WeightRows rows = weight_rows(graph, n);
  const TensorQuant& q = *graph.value(n.inputs[1]).quant;
  const std::int64_t groups = n.op == "Conv" ? n.attributes.get_int("group", 1) : 1;
  const std::int64_t rows_per_group = rows.rows / groups;
  std::vector<double> shifts(static_cast<std::size_t>(rows.rows), 0.0);
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    const double step =
        std::ldexp(1.0, q.exponents[q.per_channel() ? static_cast<std::size_t>(r) : 0]);
    const double* x = means.data() + r / rows_per_group * rows.columns;
    const auto w = rows.row(r);
    double shift = 0;
    for (std::size_t k = 0; k < w.size(); ++k) {
      const double scaled = static_cast<double>(w[k]) / step;
      const double rounded = settings.target->rounding == Rounding::HalfUp
                                 ? std::floor(scaled + 0.5)
                                 : std::nearbyint(scaled);
      const double quantized =
          std::clamp(rounded, -q.max_q() - 1.0, static_cast<double>(q.max_q()));
      shift += (quantized - scaled) * step * x[k];
    }
    shifts[static_cast<std::size_t>(r)] = shift;
  }
  return shifts;
}

}  // namespace

void correct_biases(Graph& graph, const Plan& plan, const calib::Statistics& statistics,
                    const std::vector<float>& factors, const Settings& settings) {
  for (NodeId id : graph.topological_order()) {
    const Node n = graph.node(id);
    if (!is_weighted(graph, n) || (n.op != "Conv" && n.op != "Gemm")) continue;
    const calib::ValueStatistics& input = statistics.of(n.inputs[0]);
    if (input.mean.empty()) continue;
    std::vector<double> means = mean_under_weights(graph, n, input.mean, input.channels_last);
    const auto factor =
        static_cast<double>(factors[static_cast<std::size_t>(plan.scales.sets.find(n.inputs[0]))]);
    for (double& m : means) m *= factor;
    const std::vector<double> shifts = mean_shifts(graph, n, means, settings);
    if (n.input(2) == kNone) {
      const double lsb = std::ldexp(1.0, graph.value(n.outputs[0]).quant->exponent());
      const double largest =
          std::abs(*std::max_element(shifts.begin(), shifts.end(),
                                     [](double a, double b) { return std::abs(a) < std::abs(b); }));
      if (largest < kWorthABias * lsb) continue;
      const Tensor zeros(DType::Float32, {static_cast<std::int64_t>(shifts.size())});
      graph.set_input(id, 2, graph.add_constant(graph.unique_value_name(n.name + "_bias"), zeros));
    }
    auto bias = graph.value(graph.node(id).inputs[2]).constant.mutable_data<float>();
    if (bias.size() != shifts.size()) continue;
    for (std::size_t c = 0; c < shifts.size(); ++c) bias[c] -= static_cast<float>(shifts[c]);
  }
}

}  // namespace espquant::quant
