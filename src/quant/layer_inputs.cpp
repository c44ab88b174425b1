#include "quant/layer_inputs.h"

#include <algorithm>

namespace espquant::quant {
namespace {

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

bool has_input_means(const Graph& graph, const Node& n) {
  return is_weighted(graph, n) && n.op != "ConvTranspose";
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

std::vector<double> mean_under_weights(const Graph& graph, const Node& n,
                                       std::span<const float> mean, bool channels_last) {
  const Shape& shape = *graph.value(n.inputs[0]).shape;
  if (n.op == "Conv")
    return tap_means(n, mean, shape, graph.value(n.inputs[1]).constant.shape(), channels_last);
  const auto features = static_cast<std::size_t>(shape.back());
  std::vector<double> means(features, 0.0);
  // Axis 1 stands behind the features then.
  const auto stride = channels_last && shape.size() > 2 ? static_cast<std::size_t>(shape[1]) : 1;
  for (std::size_t i = 0; i < mean.size(); ++i)
    means[i / stride % features] += static_cast<double>(mean[i]);
  for (double& m : means) m /= static_cast<double>(mean.size() / features);
  return means;
}

std::vector<NodeId> followed_layers(const Graph& graph, std::span<const calib::Request> requests) {
  std::vector<NodeId> layers;
  for (NodeId id : graph.topological_order())
    if (has_input_means(graph, graph.node(id)) &&
        requests[static_cast<std::size_t>(graph.node(id).inputs[0])].mean)
      layers.push_back(id);
  return layers;
}

LayerInputs layer_inputs(const Graph& graph, const calib::Statistics& statistics) {
  LayerInputs inputs;
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (!has_input_means(graph, n)) continue;
    const calib::ValueStatistics& s = statistics.of(n.inputs[0]);
    if (s.mean.empty()) continue;
    inputs[id] = {mean_under_weights(graph, n, s.mean, s.channels_last),
                  mean_under_weights(graph, n, s.mean_square, s.channels_last)};
  }
  return inputs;
}

}  // namespace espquant::quant
