#include "quant/channel_groups.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace espquant::quant {
namespace {

bool is_scalable_layer(const Graph& graph, const Node& n) {
  if (!is_weighted(graph, n)) return false;
  const Shape& in = *graph.value(n.inputs[0]).shape;
  return n.op == "Conv" || n.op == "ConvTranspose" || (n.op == "Gemm" && in.size() == 2);
}

// Works on each channel by itself, f(s * x) = s * f(x) for s > 0.
bool keeps_channels(const Graph& graph, const Node& n) {
  static constexpr std::array<std::string_view, 11> kOps = {
      "AveragePool", "Dropout",   "GlobalAveragePool", "GlobalMaxPool", "Identity",
      "InsertZeros", "LeakyRelu", "MaxPool",           "Neg",           "PRelu",
      "Relu"};
  if (std::find(kOps.begin(), kOps.end(), n.op) != kOps.end()) return true;
  if (n.op == "Clip") {
    const auto bounds = clip_bounds(graph, n);
    return bounds && bounds->min == 0;
  }
  if (n.op == "Resize" || n.op == "Pad") {
    const Shape& in = *graph.value(n.inputs[0]).shape;
    const Shape& out = *graph.value(n.outputs[0]).shape;
    if (in.size() < 3 || in[1] != out[1]) return false;
    if (n.op == "Resize") return true;
    const ValueId fill = n.input(2);
    if (n.attributes.get_string("mode", "constant") != "constant" || fill == kNone) return true;
    const Tensor& constant = graph.value(fill).constant;
    return constant.defined() && constant.dtype() == DType::Float32 && constant.size() == 1 &&
           constant.data<float>()[0] == 0;
  }
  if (n.op == "Flatten" || n.op == "Reshape" || n.op == "Squeeze") {
    const Shape& in = *graph.value(n.inputs[0]).shape;
    const Shape& out = *graph.value(n.outputs[0]).shape;
    return in.size() >= 2 && out.size() >= 2 && in[0] == out[0] && in[1] == out[1] &&
           in[0] * in[1] == element_count(in) && in[0] * in[1] == element_count(out);
  }
  return false;
}

bool adds_activations(const Graph& graph, const Node& n) {
  if (n.op != "Add" && n.op != "Sub") return false;
  return std::all_of(n.inputs.begin(), n.inputs.end(), [&](ValueId v) {
    return is_quantizable(graph, v) && graph.value(v).shape == graph.value(n.outputs[0]).shape;
  });
}

std::int64_t channels_of(const Graph& graph, ValueId v) {
  const auto& shape = graph.value(v).shape;
  return shape && shape->size() >= 2 ? (*shape)[1] : 0;
}

}  // namespace

std::vector<ChannelGroup> channel_groups(const Graph& graph, bool through_adds) {
  ValueSets sets(graph.value_count());
  std::vector<ValueId> pinned;
  for (std::size_t v = 0; v < graph.value_count(); ++v) {
    const auto id = static_cast<ValueId>(v);
    if (graph.is_input(id) || graph.is_output(id) || channels_of(graph, id) == 0)
      pinned.push_back(id);
  }
  const std::vector<NodeId> order = graph.topological_order();
  for (NodeId id : order) {
    const Node& n = graph.node(id);
    if (is_scalable_layer(graph, n)) continue;
    if (keeps_channels(graph, n)) {
      sets.join(n.inputs[0], n.outputs[0]);
    } else if (through_adds && adds_activations(graph, n)) {
      for (ValueId in : n.inputs) sets.join(in, n.outputs[0]);
    } else {
      for (ValueId v : n.inputs)
        if (is_quantizable(graph, v)) pinned.push_back(v);
      for (ValueId v : n.outputs)
        if (v != kNone) pinned.push_back(v);
    }
  }
  std::vector<ChannelGroup> groups(graph.value_count());
  std::vector<bool> fixed(graph.value_count(), false);
  const auto index = [&](ValueId v) { return static_cast<std::size_t>(sets.find(v)); };
  for (ValueId v : pinned) fixed[index(v)] = true;
  for (std::size_t v = 0; v < graph.value_count(); ++v) {
    const auto id = static_cast<ValueId>(v);
    if (!is_quantizable(graph, id)) continue;
    ChannelGroup& group = groups[index(id)];
    if (group.channels != 0 && group.channels != channels_of(graph, id)) fixed[index(id)] = true;
    group.channels = channels_of(graph, id);
    group.values.push_back(id);
  }
  for (NodeId id : order) {
    const Node& n = graph.node(id);
    if (is_scalable_layer(graph, n)) {
      groups[index(n.outputs[0])].writers.push_back(id);
      groups[index(n.inputs[0])].readers.push_back(id);
    } else if (n.op == "Clip" && keeps_channels(graph, n)) {
      ChannelGroup& group = groups[index(n.outputs[0])];
      const float bound = clip_bounds(graph, n)->max;
      const float cap = std::isfinite(bound) ? bound : 0.0F;
      if (group.cap != 0 && group.cap != cap) fixed[index(n.outputs[0])] = true;
      group.cap = cap;
    }
  }
  std::vector<ChannelGroup> found;
  for (std::size_t g = 0; g < groups.size(); ++g)
    if (!fixed[g] && !groups[g].writers.empty() && !groups[g].readers.empty())
      found.push_back(std::move(groups[g]));
  return found;
}

namespace {

/// Walks a layer's weights with the channel that each belongs to.
class WeightChannels {
 public:
  WeightChannels(const Graph& graph, const Node& n) {
    const Shape& shape = graph.value(n.inputs.at(1)).constant.shape();
    rows_ = shape[0];
    columns_ = shape[1];
    taps_ = rows_ * columns_ == 0 ? 0 : element_count(shape) / (rows_ * columns_);
    groups_ = n.op == "Gemm" ? 1 : n.attributes.get_int("group", 1);
    // Gemm without transB and ConvTranspose have input channels first.
    inputs_first_ =
        n.op == "ConvTranspose" || (n.op == "Gemm" && n.attributes.get_int("transB", 0) == 0);
  }

  std::int64_t outputs() const { return inputs_first_ ? columns_ * groups_ : rows_; }
  std::int64_t inputs() const { return inputs_first_ ? rows_ : columns_ * groups_; }

  /// visit(index of the weight, output channel, input channel).
  template <typename F>
  void for_each(F&& visit) const {
    const std::int64_t rows_per_group = rows_ / groups_;
    for (std::int64_t r = 0; r < rows_; ++r) {
      for (std::int64_t c = 0; c < columns_; ++c) {
        const std::int64_t other = r / rows_per_group * columns_ + c;
        for (std::int64_t t = 0; t < taps_; ++t)
          visit(static_cast<std::size_t>((r * columns_ + c) * taps_ + t),
                static_cast<std::size_t>(inputs_first_ ? other : r),
                static_cast<std::size_t>(inputs_first_ ? r : other));
      }
    }
  }

 private:
  std::int64_t rows_ = 0, columns_ = 0, taps_ = 0, groups_ = 1;
  bool inputs_first_ = false;
};

}  // namespace

std::vector<float> output_channel_maxima(const Graph& graph, const Node& layer) {
  const WeightChannels channels(graph, layer);
  const auto weights = graph.value(layer.inputs[1]).constant.data<float>();
  std::vector<float> maxima(static_cast<std::size_t>(channels.outputs()), 0.0F);
  channels.for_each([&](std::size_t i, std::size_t out, std::size_t) {
    maxima[out] = std::max(maxima[out], std::abs(weights[i]));
  });
  return maxima;
}

std::vector<float> input_channel_maxima(const Graph& graph, const Node& layer) {
  const WeightChannels channels(graph, layer);
  const auto weights = graph.value(layer.inputs[1]).constant.data<float>();
  std::vector<float> maxima(static_cast<std::size_t>(channels.inputs()), 0.0F);
  channels.for_each([&](std::size_t i, std::size_t, std::size_t in) {
    maxima[in] = std::max(maxima[in], std::abs(weights[i]));
  });
  return maxima;
}

std::vector<double> input_channel_response(const Graph& graph, const Node& layer,
                                           std::span<const float> shift) {
  const WeightChannels channels(graph, layer);
  const auto weights = graph.value(layer.inputs[1]).constant.data<float>();
  std::vector<double> response(static_cast<std::size_t>(channels.outputs()), 0.0);
  channels.for_each([&](std::size_t i, std::size_t out, std::size_t in) {
    response[out] += static_cast<double>(weights[i]) * static_cast<double>(shift[in]);
  });
  return response;
}

void scale_output_channels(Graph& graph, const Node& layer, std::span<const float> factors) {
  const WeightChannels channels(graph, layer);
  auto weights = graph.value(layer.inputs[1]).constant.mutable_data<float>();
  channels.for_each(
      [&](std::size_t i, std::size_t out, std::size_t) { weights[i] *= factors[out]; });
  if (layer.input(2) == kNone) return;
  auto bias = graph.value(layer.inputs[2]).constant.mutable_data<float>();
  for (std::size_t c = 0; c < bias.size(); ++c) bias[c] *= factors[c];
}

void unscale_input_channels(Graph& graph, const Node& layer, std::span<const float> factors) {
  const WeightChannels channels(graph, layer);
  auto weights = graph.value(layer.inputs[1]).constant.mutable_data<float>();
  channels.for_each([&](std::size_t i, std::size_t, std::size_t in) { weights[i] /= factors[in]; });
}

}  // namespace espquant::quant
