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

struct Window {
  std::int64_t kernel, stride, dilation, pad, in, out;

  // Output positions whose tap `k` falls on input position i, for every i, are those with o *
  // stride = i + pad - k * dilation.
  std::int64_t input_at(std::int64_t o, std::int64_t k) const {
    return o * stride + k * dilation - pad;
  }
};

Window window_along(const Node& conv, std::size_t axis, std::size_t spatial, std::int64_t in,
                    std::int64_t kernel) {
  const auto strides = conv.attributes.get_ints("strides", std::vector<std::int64_t>(spatial, 1));
  const auto dilations =
      conv.attributes.get_ints("dilations", std::vector<std::int64_t>(spatial, 1));
  const auto pads = conv.attributes.get_ints("pads", std::vector<std::int64_t>(2 * spatial, 0));
  Window w{kernel, strides.at(axis), dilations.at(axis), pads.at(axis), in, 0};
  w.out =
      (in + pads.at(axis) + pads.at(axis + spatial) - (kernel - 1) * w.dilation - 1) / w.stride + 1;
  return w;
}

}  // namespace

std::vector<double> tap_means(const Node& conv, std::span<const float> mean, const Shape& shape,
                              const Shape& weight_shape, bool channels_last) {
  const std::size_t spatial = shape.size() - 2;
  const std::int64_t channels = shape[1];
  const std::int64_t height = spatial == 2 ? shape[2] : 1, width = shape.back();
  const Window wy =
      spatial == 2 ? window_along(conv, 0, 2, height, weight_shape[2]) : Window{1, 1, 1, 0, 1, 1};
  const Window wx = window_along(conv, spatial - 1, spatial, width, weight_shape.back());
  const std::int64_t step_c = channels_last ? 1 : height * width;
  const std::int64_t step_x = channels_last ? channels : 1;
  const std::int64_t step_y = width * step_x;
  std::vector<double> means(static_cast<std::size_t>(channels * wy.kernel * wx.kernel), 0.0);
  const double positions = static_cast<double>(wy.out * wx.out);
  std::vector<double> sums(static_cast<std::size_t>(channels));
  for (std::int64_t ky = 0; ky < wy.kernel; ++ky) {
    for (std::int64_t kx = 0; kx < wx.kernel; ++kx) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::int64_t oy = 0; oy < wy.out; ++oy) {
        const std::int64_t y = wy.input_at(oy, ky);
        if (y < 0 || y >= height) continue;
        for (std::int64_t ox = 0; ox < wx.out; ++ox) {
          const std::int64_t x = wx.input_at(ox, kx);
          if (x < 0 || x >= width) continue;
          const float* at = mean.data() + y * step_y + x * step_x;
          for (std::int64_t c = 0; c < channels; ++c)
            sums[static_cast<std::size_t>(c)] += at[c * step_c];
        }
      }
      for (std::int64_t c = 0; c < channels; ++c)
        means[static_cast<std::size_t>((c * wy.kernel + ky) * wx.kernel + kx)] =
            sums[static_cast<std::size_t>(c)] / positions;
    }
  }
  return means;
}

namespace {

// Mean of the input as each output channel's row of weights sees it. One vector for all rows, or
// one per group.
std::vector<double> mean_inputs(const Graph& graph, const Node& n,
                                const calib::ValueStatistics& input) {
  const Shape& shape = *graph.value(n.inputs[0]).shape;
  if (n.op == "Conv") {
    return tap_means(n, input.mean, shape, graph.value(n.inputs[1]).constant.shape(),
                     input.channels_last);
  }
  const auto features = static_cast<std::size_t>(shape.back());
  std::vector<double> means(features, 0.0);
  for (std::size_t i = 0; i < input.mean.size(); ++i)
    means[i % features] += static_cast<double>(input.mean[i]);
  for (double& m : means) m /= static_cast<double>(input.mean.size() / features);
  return means;
}

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
          std::clamp(rounded, -settings.max_q() - 1.0, static_cast<double>(settings.max_q()));
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
    std::vector<double> means = mean_inputs(graph, n, input);
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
