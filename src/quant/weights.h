#pragma once

#include <vector>

#include "quant/layer_inputs.h"

namespace espquant::quant {

/// Axis of a weighted node's weights (input 1) that counts output channels: Conv [Cout,Cin/g,...]
/// 0, ConvTranspose [Cin,Cout/g,...] 1, Gemm 0 or 1 by transB, MatMul the last.
int output_axis(const Graph& graph, const Node& n);

/// The weights as rows of one output channel each: row-major [Cout][K].
struct WeightRows {
  std::int64_t rows = 0, columns = 0;
  std::vector<float> values;
  /// Mean square of the input that each weight multiplies: what its error counts. [groups][K];
  /// empty: all alike.
  std::vector<double> importance;
  std::int64_t rows_per_group = 1;

  std::span<const double> importance_of(std::int64_t r) const {
    if (importance.empty()) return {};
    return {importance.data() + r / rows_per_group * columns, static_cast<std::size_t>(columns)};
  }

  std::span<const float> row(std::int64_t r) const {
    return {values.data() + r * columns, static_cast<std::size_t>(columns)};
  }
};

/// With `inputs`, importance is filled in for the layers that it knows.
WeightRows weight_rows(const Graph& graph, NodeId layer, const LayerInputs& inputs);
WeightRows weight_rows(const Graph& graph, const Node& n);

/// Puts `values`, in the order of rows.values, in place of the weights of `n`.
void set_weight_rows(Graph& graph, const Node& n, std::span<const float> values);

/// Sum of importance * w^2: what errors of weights are compared with.
double weight_signal(const WeightRows& rows);

/// Exponents with the least squared error, and that error.
struct ExponentChoice {
  std::vector<int> exponents;
  double error = 0;
};

/// The exponent e in [min_exponent, ...] at which factor * values has the least squared error in
/// max_q's width; the error is given in units of `values`. All-zero values take `min_exponent`.
ExponentChoice best_exponent(std::span<const float> values, float factor, int max_q,
                             int min_exponent = -60);

/// The same for whole weights, each error times its importance: one exponent, or one per row.
/// `min_exponents` likewise has one entry or one per row.
ExponentChoice best_weight_exponents(const WeightRows& rows, float factor, int max_q,
                                     bool per_channel, std::span<const int> min_exponents = {});

}  // namespace espquant::quant
