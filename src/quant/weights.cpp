#include "quant/weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fixed_point.h"
#include "base/round.h"
#include "calib/step_errors.h"

namespace espquant::quant {

int output_axis(const Graph& graph, const Node& n) {
  if (n.op == "Conv") return 0;
  if (n.op == "ConvTranspose") return 1;
  if (n.op == "Gemm") return n.attributes.get_int("transB", 0) != 0 ? 0 : 1;
  return static_cast<int>(graph.value(n.inputs.at(1)).constant.rank()) - 1;
}

namespace {

// The order of axes in which output channels come first.
std::vector<std::int64_t> output_first(std::size_t rank, std::size_t axis) {
  std::vector<std::int64_t> perm{static_cast<std::int64_t>(axis)};
  for (std::size_t i = 0; i < rank; ++i)
    if (i != axis) perm.push_back(static_cast<std::int64_t>(i));
  return perm;
}

}  // namespace

WeightRows weight_rows(const Graph& graph, const Node& n) {
  const Tensor& w = graph.value(n.inputs.at(1)).constant;
  const auto axis = static_cast<std::size_t>(output_axis(graph, n));
  const auto perm = output_first(w.rank(), axis);
  const Tensor by_output = axis == 0 ? w : w.transposed(perm);
  WeightRows rows;
  rows.rows = w.shape().at(axis);
  rows.columns = rows.rows == 0 ? 0 : w.size() / rows.rows;
  const auto data = by_output.data<float>();
  rows.values.assign(data.begin(), data.end());
  const std::int64_t groups = n.op == "Conv" ? n.attributes.get_int("group", 1) : 1;
  rows.rows_per_group = std::max<std::int64_t>(rows.rows / groups, 1);
  return rows;
}

WeightRows weight_rows(const Graph& graph, NodeId layer, const LayerInputs& inputs) {
  WeightRows rows = weight_rows(graph, graph.node(layer));
  if (const auto known = inputs.find(layer); known != inputs.end())
    rows.importance = known->second.mean_square;
  return rows;
}

void set_weight_rows(Graph& graph, const Node& n, std::span<const float> values) {
  Tensor& w = graph.value(n.inputs.at(1)).constant;
  const auto perm = output_first(w.rank(), static_cast<std::size_t>(output_axis(graph, n)));
  std::vector<std::int64_t> back(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i)
    back[static_cast<std::size_t>(perm[i])] = static_cast<std::int64_t>(i);
  w = Tensor::of<float>(permuted(w.shape(), perm), values).transposed(back);
}

double weight_signal(const WeightRows& rows) {
  double sum = 0;
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    const auto w = rows.row(r);
    const auto importance = rows.importance_of(r);
    for (std::size_t k = 0; k < w.size(); ++k)
      sum += (importance.empty() ? 1.0 : importance[k]) * static_cast<double>(w[k]) *
             static_cast<double>(w[k]);
  }
  return sum;
}

namespace {

// Clipping below this part of the range (2^-7) has never paid, even where a dead channel holds the
// largest weights.
constexpr int kOctavesTried = 8;

// Error of a row at `step`; importance empty: 1 throughout.
double row_error(std::span<const float> w, std::span<const double> importance, float step,
                 float max_q) {
  const float inverse = 1.0F / step;
  double sum = 0;
  for (std::size_t k = 0; k < w.size(); ++k) {
    const float q = std::clamp(round_half_even(w[k] * inverse), -max_q - 1, max_q);
    const auto e = static_cast<double>(w[k] - q * step);
    sum += (importance.empty() ? 1.0 : importance[k]) * e * e;
  }
  return sum;
}

// The best exponent for rows [first, last) together.
ExponentChoice best_for_rows(const WeightRows& rows, std::int64_t first, std::int64_t last,
                             float factor, int max_q, int min_exponent) {
  const std::span<const float> values(rows.values.data() + first * rows.columns,
                                      static_cast<std::size_t>((last - first) * rows.columns));
  const int covering =
      covering_exponent(calib::extent_of(values).abs_max() * factor, max_q, min_exponent);
  ExponentChoice best{{covering}, std::numeric_limits<double>::infinity()};
  for (int e = covering; e > covering - kOctavesTried && e >= min_exponent; --e) {
    double error = 0;
    for (std::int64_t r = first; r < last && error < best.error; ++r)
      error += row_error(rows.row(r), rows.importance_of(r), std::ldexp(1.0F, e) / factor,
                         static_cast<float>(max_q));
    if (error < best.error) best = {{e}, error};
  }
  return best;
}

}  // namespace

ExponentChoice best_exponent(std::span<const float> values, float factor, int max_q,
                             int min_exponent) {
  WeightRows row;
  row.rows = 1;
  row.columns = static_cast<std::int64_t>(values.size());
  row.values.assign(values.begin(), values.end());
  return best_for_rows(row, 0, 1, factor, max_q, min_exponent);
}

ExponentChoice best_weight_exponents(const WeightRows& rows, float factor, int max_q,
                                     bool per_channel, std::span<const int> min_exponents) {
  const auto floor_of = [&](std::int64_t r) {
    if (min_exponents.empty()) return -60;
    return min_exponents[min_exponents.size() == 1 ? 0 : static_cast<std::size_t>(r)];
  };
  if (!per_channel) {
    const int floor =
        min_exponents.empty() ? -60 : *std::max_element(min_exponents.begin(), min_exponents.end());
    return best_for_rows(rows, 0, rows.rows, factor, max_q, floor);
  }
  ExponentChoice all;
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    const ExponentChoice one = best_for_rows(rows, r, r + 1, factor, max_q, floor_of(r));
    all.exponents.push_back(one.exponents[0]);
    all.error += one.error;
  }
  return all;
}

}  // namespace espquant::quant
