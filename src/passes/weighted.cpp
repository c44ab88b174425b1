#include "passes/weighted.h"

#include <algorithm>

#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// Which channel an element of the weights belongs to: outputs of a Conv are axis 0 ([O, I/g,
/// ...]), of a Gemm axis 0 or 1 by transB, of a ConvTranspose [I, O/g, ...] axis 1 within the group
/// of axis 0.
class OutputChannels {
 public:
  OutputChannels(const Node& node, const Shape& weights) {
    if (node.op == "ConvTranspose") {
      inner_ = element_count({weights.begin() + 2, weights.end()});
      per_group_ = weights.at(1);
      inputs_per_group_ = weights.at(0) / node.attributes.get_int("group", 1);
      count_ = per_group_ * node.attributes.get_int("group", 1);
    } else if (node.op == "Gemm" && node.attributes.get_int("transB", 0) == 0) {
      inner_ = 1;
      per_group_ = count_ = weights.at(1);
      inputs_per_group_ = weights.at(0);
    } else {
      inner_ = element_count({weights.begin() + 1, weights.end()});
      per_group_ = count_ = weights.at(0);
      inputs_per_group_ = 1;
    }
  }
  std::int64_t count() const { return count_; }
  std::size_t of(std::int64_t element) const {
    const std::int64_t row = element / (inner_ * per_group_);
    return static_cast<std::size_t>(row / inputs_per_group_ * per_group_ +
                                    element / inner_ % per_group_);
  }

 private:
  std::int64_t inner_ = 1, per_group_ = 1, inputs_per_group_ = 1, count_ = 0;
};

const Tensor* float_constant(const Graph& graph, ValueId v) {
  const Tensor* t = constant_of(graph, v);
  return t != nullptr && t->dtype() == DType::Float32 ? t : nullptr;
}

bool has_plain_bias(const Graph& graph, const Node& node, std::int64_t channels) {
  if (node.input(2) == kNone) return true;
  const Tensor* bias = float_constant(graph, node.input(2));
  return bias != nullptr && bias->shape() == Shape{channels};
}

bool is_plain_gemm(const Node& node) {
  const Attributes& a = node.attributes;
  return a.get_float("alpha", 1) == 1.F && a.get_float("beta", 1) == 1.F &&
         a.get_int("transA", 0) == 0;
}

std::vector<double> bias_of(const Graph& graph, const Node& node, std::int64_t channels) {
  std::vector<double> bias(static_cast<std::size_t>(channels), 0);
  if (const Tensor* t = constant_of(graph, node.input(2))) {
    const auto data = t->data<float>();
    std::copy(data.begin(), data.end(), bias.begin());
  }
  return bias;
}

void set_bias(Graph& graph, NodeId id, const std::vector<double>& bias) {
  const std::string base = graph.node(id).input(2) != kNone
                               ? graph.value(graph.node(id).inputs[2]).name
                               : graph.node(id).name + "_bias";
  const std::vector<float> rounded(bias.begin(), bias.end());
  graph.set_input(
      id, 2,
      add_constant(graph, base,
                   Tensor::of<float>({static_cast<std::int64_t>(bias.size())}, rounded)));
}

void set_weights(Graph& graph, NodeId id, Tensor weights) {
  const std::string base = graph.value(graph.node(id).inputs[1]).name;
  graph.set_input(id, 1, add_constant(graph, base, std::move(weights)));
}

std::int64_t output_channels(const Graph& graph, NodeId id) {
  return shape_of(graph, graph.node(id).outputs[0]).at(1);
}

}  // namespace

bool is_weighted(const Node& node) {
  return node.op == "Conv" || node.op == "ConvTranspose" || node.op == "Gemm";
}

bool can_shift_outputs(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  return is_weighted(node) && (node.op != "Gemm" || is_plain_gemm(node)) &&
         has_plain_bias(graph, node, output_channels(graph, id));
}

bool can_scale_outputs(const Graph& graph, NodeId id) {
  if (!can_shift_outputs(graph, id)) return false;
  const Node& node = graph.node(id);
  const Tensor* weights = float_constant(graph, node.input(1));
  return weights != nullptr && weights->rank() >= 2 &&
         OutputChannels(node, weights->shape()).count() == output_channels(graph, id);
}

void scale_outputs(Graph& graph, NodeId id, const Affine& affine) {
  const Node& node = graph.node(id);
  std::vector<double> bias = bias_of(graph, node, static_cast<std::int64_t>(affine.scale.size()));
  for (std::size_t c = 0; c < bias.size(); ++c)
    bias[c] = bias[c] * affine.scale[c] + affine.shift[c];
  Tensor weights = graph.value(node.inputs[1]).constant;
  const OutputChannels channel(node, weights.shape());
  auto data = weights.mutable_data<float>();
  for (std::size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<float>(data[i] * affine.scale[channel.of(static_cast<std::int64_t>(i))]);
  set_weights(graph, id, std::move(weights));
  set_bias(graph, id, bias);
}

void shift_outputs(Graph& graph, NodeId id, const std::vector<double>& shift) {
  std::vector<double> bias =
      bias_of(graph, graph.node(id), static_cast<std::int64_t>(shift.size()));
  for (std::size_t c = 0; c < bias.size(); ++c) bias[c] += shift[c];
  set_bias(graph, id, bias);
}

void scale_gemm_inputs(Graph& graph, NodeId id, const Affine& affine) {
  const Node& node = graph.node(id);
  Tensor weights = graph.value(node.inputs[1]).constant;
  const OutputChannels channel(node, weights.shape());
  const bool trans_b = node.attributes.get_int("transB", 0) != 0;
  const auto columns = static_cast<std::size_t>(weights.shape()[1]);
  std::vector<double> bias = bias_of(graph, node, channel.count());
  auto data = weights.mutable_data<float>();
  for (std::size_t i = 0; i < data.size(); ++i) {
    const std::size_t input = trans_b ? i % columns : i / columns;
    bias[channel.of(static_cast<std::int64_t>(i))] += data[i] * affine.shift[input];
    data[i] = static_cast<float>(data[i] * affine.scale[input]);
  }
  set_weights(graph, id, std::move(weights));
  set_bias(graph, id, bias);
}

}  // namespace espquant::passes
