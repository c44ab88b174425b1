#include "quant/weights.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/fixed_point.h"
#include "calib/step_errors.h"

namespace espquant::quant {

int output_axis(const Graph& graph, const Node& n) {
  if (n.op == "Conv") return 0;
  if (n.op == "ConvTranspose") return 1;
  if (n.op == "Gemm") return n.attributes.get_int("transB", 0) != 0 ? 0 : 1;
  return static_cast<int>(graph.value(n.inputs.at(1)).constant.rank()) - 1;
}

WeightRows weight_rows(const Graph& graph, const Node& n) {
  const Tensor& w = graph.value(n.inputs.at(1)).constant;
  const auto axis = static_cast<std::size_t>(output_axis(graph, n));
  std::vector<std::int64_t> perm{static_cast<std::int64_t>(axis)};
  for (std::size_t i = 0; i < w.shape().size(); ++i)
    if (i != axis) perm.push_back(static_cast<std::int64_t>(i));
  const Tensor by_output = axis == 0 ? w : w.transposed(perm);
  WeightRows rows;
  rows.rows = w.shape().at(axis);
  rows.columns = rows.rows == 0 ? 0 : w.size() / rows.rows;
  const auto data = by_output.data<float>();
  rows.values.assign(data.begin(), data.end());
  return rows;
}

ExponentChoice best_exponent(std::span<const float> values, float factor, int max_q,
                             int min_exponent) {
  const float abs_max = calib::extent_of(values).abs_max() * factor;
  const int covering = covering_exponent(abs_max, max_q, min_exponent);
  // Clipping to an eighth of the range has never paid; below that there is nothing to look for.
  constexpr int kTried = 4;
  std::array<float, kTried> steps{};
  std::array<double, kTried> errors{};
  int count = 0;
  for (int e = covering; e > covering - kTried && e >= min_exponent; --e)
    steps[static_cast<std::size_t>(count++)] = std::ldexp(1.0F, e) / factor;
  const auto n = static_cast<std::size_t>(count);
  calib::add_step_errors(values, std::span(steps).first(n), max_q, std::span(errors).first(n));
  const auto best = std::min_element(errors.begin(), errors.begin() + count) - errors.begin();
  return {{covering - static_cast<int>(best)}, errors[static_cast<std::size_t>(best)]};
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
    return best_exponent(rows.values, factor, max_q, floor);
  }
  ExponentChoice all;
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    const ExponentChoice one = best_exponent(rows.row(r), factor, max_q, floor_of(r));
    all.exponents.push_back(one.exponents[0]);
    all.error += one.error;
  }
  return all;
}

}  // namespace espquant::quant
