#include "quant/bias_correction.h"

#include <algorithm>
#include <cmath>

namespace espquant::quant {
namespace {

// A layer without bias is given one when the mean shift exceeds this part of its output's least
// significant bit.
constexpr double kWorthABias = 0.05;

// Mean over the inputs of weights times input.
std::vector<double> mean_products(const Graph& graph, const Node& n,
                                  std::span<const double> mean_input) {
  const WeightRows rows = weight_rows(graph, n);
  std::vector<double> products(static_cast<std::size_t>(rows.rows), 0.0);
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    const double* x = mean_input.data() + r / rows.rows_per_group * rows.columns;
    const auto w = rows.row(r);
    double sum = 0;
    for (std::size_t k = 0; k < w.size(); ++k) sum += static_cast<double>(w[k]) * x[k];
    products[static_cast<std::size_t>(r)] = sum;
  }
  return products;
}

}  // namespace

bool has_correctable_bias(const Graph& graph, const Node& n) {
  if (n.op != "Conv" && n.op != "Gemm") return false;
  if (n.input(2) == kNone) return true;
  const WeightRows rows = weight_rows(graph, n);
  const Tensor& bias = graph.value(n.inputs[2]).constant;
  return bias.defined() && bias.size() == rows.rows;
}

MeanOutputs mean_outputs(const Graph& graph, const Plan& plan, const LayerInputs& inputs,
                         const std::vector<float>& factors) {
  MeanOutputs means;
  for (const auto& [id, input] : inputs) {
    const Node& n = graph.node(id);
    if (!has_correctable_bias(graph, n)) continue;
    std::vector<double> under = input.mean;
    const auto factor =
        static_cast<double>(factors[static_cast<std::size_t>(plan.scales.sets.find(n.inputs[0]))]);
    for (double& m : under) m *= factor;
    std::vector<double> mean = mean_products(graph, n, under);
    if (n.input(2) != kNone) {
      const auto bias = graph.value(n.inputs[2]).constant.data<float>();
      for (std::size_t c = 0; c < mean.size(); ++c) mean[c] += static_cast<double>(bias[c]);
    }
    means.emplace(id, std::move(mean));
  }
  return means;
}

void correct_bias(Graph& graph, NodeId layer, std::span<const double> wanted,
                  std::span<const double> mean_input) {
  const Node n = graph.node(layer);
  std::vector<double> bias = mean_products(graph, n, mean_input);
  double largest = 0;
  for (std::size_t c = 0; c < bias.size(); ++c) {
    bias[c] = wanted[c] - bias[c];
    largest = std::max(largest, std::abs(bias[c]));
  }
  if (n.input(2) == kNone) {
    const double lsb = std::ldexp(1.0, graph.value(n.outputs[0]).quant->exponent());
    if (largest < kWorthABias * lsb) return;
    const Tensor zeros(DType::Float32, {static_cast<std::int64_t>(bias.size())});
    graph.set_input(layer, 2, graph.add_constant(graph.unique_value_name(n.name + "_bias"), zeros));
  }
  auto values = graph.value(graph.node(layer).inputs[2]).constant.mutable_data<float>();
  for (std::size_t c = 0; c < bias.size(); ++c) values[c] = static_cast<float>(bias[c]);
}

}  // namespace espquant::quant
