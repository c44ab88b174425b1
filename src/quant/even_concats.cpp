#include "quant/even_concats.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include "ops/op.h"
#include "quant/concat_parts.h"
#include "quant/groups.h"

namespace espquant::quant {
namespace {

/// Less than this is left to the choice of exponents.
constexpr int kLeastOctaves = 3;
constexpr std::int64_t kMostElements = std::int64_t{1} << 23;

bool is_one_of(std::string_view op, std::span<const std::string_view> ops) {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

/// A layer behind a Concat.
struct Reader {
  NodeId node;
  /// Of each column of its weights the operand that it meets, from 1 on; 0 for none.
  std::vector<std::size_t> parts;
  /// Mean over the columns of each operand of the sum of squared weights; 0 where there are none.
  std::vector<double> weights;
};

/// What works on each channel of N,C,... by itself and gives s * f(x) for s * x, s > 0.
bool keeps_scaled_channels(const Node& n) {
  static constexpr std::array<std::string_view, 6> kOps = {
      "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Resize", "Upsample"};
  return is_one_of(n.op, kOps);
}

bool is_elementwise(const Node& n) {
  static constexpr std::array<std::string_view, 3> kOps = {"LeakyRelu", "PRelu", "Relu"};
  return is_one_of(n.op, kOps);
}

/// The labels of a tensor of N,C,... whose channels have one label each, in another size.
std::optional<Tensor> by_channel(const Tensor& labels, const Shape& out) {
  const Shape& in = labels.shape();
  if (in.size() < 3 || out.size() != in.size() || in[1] != out[1] || in[0] != out[0])
    return std::nullopt;
  const auto from = labels.data<float>();
  Tensor moved(DType::Float32, out);
  auto to = moved.mutable_data<float>();
  const auto planes = static_cast<std::size_t>(in[0] * in[1]);
  const std::size_t old_size = from.size() / planes, new_size = to.size() / planes;
  for (std::size_t p = 0; p < planes; ++p) {
    const auto plane = from.subspan(p * old_size, old_size);
    if (std::any_of(plane.begin(), plane.end(), [&](float x) { return x != plane[0]; }))
      return std::nullopt;
    std::fill_n(to.begin() + static_cast<std::ptrdiff_t>(p * new_size), new_size, plane[0]);
  }
  return moved;
}

/// Of a Concat of a Concat: the other operands have no label.
std::vector<Tensor> beside_others(const Graph& graph, const Node& n, std::size_t input,
                                  const Tensor& labels) {
  std::vector<Tensor> others;
  for (ValueId v : n.inputs) others.emplace_back(DType::Float32, *graph.value(v).shape);
  others[input] = labels;
  std::vector<const Tensor*> inputs;
  for (const Tensor& t : others) inputs.push_back(&t);
  return ops::run_node(graph, n, inputs);
}

std::optional<std::vector<Tensor>> through(const Graph& graph, const Node& n, std::size_t input,
                                           const Tensor& labels) {
  if (n.op == "Concat" && is_quantizable(graph, n.outputs[0]))
    return beside_others(graph, n, input, labels);
  if (input != 0) return std::nullopt;
  if (is_elementwise(n)) return std::vector<Tensor>{labels};
  if (keeps_scaled_channels(n)) {
    auto moved = by_channel(labels, *graph.value(n.outputs[0]).shape);
    return moved ? std::optional(std::vector<Tensor>{std::move(*moved)}) : std::nullopt;
  }
  static constexpr std::array<std::string_view, 2> kMixes = {"ReduceMax", "ReduceMin"};
  if (is_one_of(n.op, kMixes)) return std::nullopt;
  if (n.op == "Pad" && n.input(2) != kNone) {
    const Tensor& fill = graph.value(n.inputs[2]).constant;
    if (fill.dtype() != DType::Float32 || fill.size() != 1 || fill.data<float>()[0] != 0)
      return std::nullopt;
  }
  return moved_labels(graph, n, input, labels);
}

/// Nothing where a column meets more than one operand.
std::optional<Reader> reader_of(const Graph& graph, NodeId id, const Tensor& labels,
                                std::size_t parts) {
  const Node& n = graph.node(id);
  const std::vector<double> squares = column_weights(graph, n);
  Reader reader{id, std::vector<std::size_t>(squares.size(), 0), std::vector<double>(parts, 0.0)};
  const ColumnOf column(n, labels.shape(), squares.size());
  const auto data = labels.data<float>();
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto part = static_cast<std::size_t>(data[i]);
    std::size_t& known = reader.parts[column(i)];
    if (part == 0 || known == part) continue;
    if (known != 0) return std::nullopt;
    known = part;
  }
  std::vector<double> columns(parts, 0.0);
  for (std::size_t c = 0; c < squares.size(); ++c) {
    if (reader.parts[c] == 0) continue;
    reader.weights[reader.parts[c] - 1] += squares[c];
    columns[reader.parts[c] - 1] += 1;
  }
  for (std::size_t k = 0; k < parts; ++k)
    if (columns[k] > 0) reader.weights[k] /= columns[k];
  return reader;
}

/// All layers that read the Concat; none where anything else does.
std::vector<Reader> readers_of(const Graph& graph, const Node& concat) {
  const ValueId out = concat.outputs[0];
  if (!is_quantizable(graph, out) || element_count(*graph.value(out).shape) > kMostElements ||
      std::any_of(concat.inputs.begin(), concat.inputs.end(), [&](ValueId v) {
        return v == kNone || (!is_quantizable(graph, v) && !graph.value(v).is_constant());
      }))
    return {};
  std::vector<Reader> readers;
  bool only_layers = true;
  follow_labels(
      graph, out, part_labels(graph, concat),
      [&](const Node& n, std::size_t input, const Tensor& labels) {
        return only_layers ? through(graph, n, input, labels) : std::nullopt;
      },
      [&](NodeId id, ValueId at, const Tensor& labels) {
        only_layers = only_layers && id != kNone && is_weighted(graph, graph.node(id)) &&
                      graph.node(id).op != "ConvTranspose" && graph.node(id).inputs[0] == at &&
                      graph.value(graph.node(id).inputs[1]).constant.rank() >= 2;
        if (!only_layers) return;
        auto reader = reader_of(graph, id, labels, concat.inputs.size());
        only_layers = reader.has_value();
        if (reader) readers.push_back(std::move(*reader));
      });
  if (!only_layers) readers.clear();
  return readers;
}

/// By operand: how many octaves its weights stand above the smallest, at the layer where they stand
/// highest.
std::vector<double> unevenness(const std::vector<Reader>& readers, std::size_t parts) {
  std::vector<double> octaves(parts, 0.0);
  for (const Reader& reader : readers) {
    double least = std::numeric_limits<double>::infinity();
    for (double w : reader.weights)
      if (w > 0) least = std::min(least, w);
    for (std::size_t k = 0; k < parts; ++k)
      if (reader.weights[k] > 0)
        octaves[k] = std::max(octaves[k], std::log2(reader.weights[k] / least) / 2);
  }
  return octaves;
}

float reach_of(const Graph& graph, const calib::Statistics& statistics, ValueId v) {
  if (!graph.value(v).is_constant()) return statistics.of(v).extent.abs_max();
  float most = 0;
  for (float x : graph.value(v).constant.data<float>()) most = std::max(most, std::abs(x));
  return most;
}

/// By operand, the power of two that it is to be multiplied by.
std::vector<int> octaves_of(const Graph& graph, const Node& concat,
                            const std::vector<Reader>& readers,
                            const calib::Statistics& statistics) {
  const std::vector<double> uneven = unevenness(readers, concat.inputs.size());
  std::vector<float> reach;
  for (ValueId v : concat.inputs) reach.push_back(reach_of(graph, statistics, v));
  const float most = *std::max_element(reach.begin(), reach.end());
  std::vector<int> octaves(reach.size(), 0);
  for (std::size_t k = 0; k < reach.size(); ++k) {
    if (reach[k] <= 0) continue;
    const double smaller = std::log2(static_cast<double>(most) / reach[k]);
    const int whole = static_cast<int>(std::floor(std::min(smaller, uneven[k])));
    if (whole >= kLeastOctaves) octaves[k] = whole;
  }
  return octaves;
}

void multiply_constant(Graph& graph, NodeId id, std::size_t input, float factor) {
  const Value& old = graph.value(graph.node(id).inputs[input]);
  Tensor scaled = old.constant;
  for (float& x : scaled.mutable_data<float>()) x *= factor;
  const std::string name = graph.unique_value_name(old.name);
  graph.set_input(id, input, graph.add_constant(name, std::move(scaled)));
}

bool is_float_constant(const Graph& graph, ValueId v) {
  return v == kNone || (graph.value(v).is_constant() && graph.value(v).dtype == DType::Float32);
}

/// The layer that makes operand `k` alone, and the Clips on the way; kNone where there is none.
NodeId layer_before(const Graph& graph, NodeId concat, std::size_t k, std::vector<NodeId>& clips) {
  NodeId reader = concat;
  ValueId v = graph.node(concat).inputs[k];
  for (;;) {
    const Value& value = graph.value(v);
    if (value.producer == kNone || graph.is_output(v) || value.consumers.size() != 1 ||
        value.consumers[0] != reader)
      return kNone;
    const Node& n = graph.node(value.producer);
    if (n.outputs.size() != 1) return kNone;
    if (is_weighted(graph, n)) return is_float_constant(graph, n.input(2)) ? value.producer : kNone;
    static constexpr std::array<std::string_view, 8> kMoves = {
        "DepthToSpace", "Flatten", "Identity",  "Reshape",
        "Slice",        "Squeeze", "Transpose", "Unsqueeze"};
    if (n.op == "Clip" && clip_bounds(graph, n))
      clips.push_back(value.producer);
    else if (!is_elementwise(n) && !keeps_scaled_channels(n) && !is_one_of(n.op, kMoves))
      return kNone;
    reader = value.producer;
    v = n.inputs[0];
  }
}

void scale_operand(Graph& graph, NodeId concat, std::size_t k, float factor) {
  const ValueId v = graph.node(concat).inputs[k];
  if (graph.value(v).is_constant()) return multiply_constant(graph, concat, k, factor);
  std::vector<NodeId> clips;
  if (const NodeId layer = layer_before(graph, concat, k, clips); layer != kNone) {
    multiply_constant(graph, layer, 1, factor);
    if (graph.node(layer).input(2) != kNone) multiply_constant(graph, layer, 2, factor);
    for (NodeId clip : clips)
      for (std::size_t i : {std::size_t{1}, std::size_t{2}})
        if (graph.node(clip).input(i) != kNone) multiply_constant(graph, clip, i, factor);
    return;
  }
  const std::string name = graph.value(v).name + "_evened";
  const ValueId out =
      graph.add_value(graph.unique_value_name(name), DType::Float32, *graph.value(v).shape);
  graph.set_input(concat, k, out);
  const ValueId constant =
      graph.add_constant(graph.unique_value_name(name + "_factor"), Tensor::scalar(factor));
  graph.add_node("Mul", graph.unique_node_name(name), {v, constant}, {out}, {});
}

void divide_columns(Graph& graph, const Reader& reader, const std::vector<int>& octaves) {
  const Node& n = graph.node(reader.node);
  const auto factor = [&](std::size_t column) {
    const std::size_t part = reader.parts[column];
    return part == 0 ? 1.0F : std::ldexp(1.0F, -octaves[part - 1]);
  };
  const Value& old = graph.value(n.inputs[1]);
  Tensor scaled = old.constant;
  auto data = scaled.mutable_data<float>();
  const WeightColumns column(graph, n);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] *= factor(column(i));
  const std::string name = graph.unique_value_name(old.name);
  graph.set_input(reader.node, 1, graph.add_constant(name, std::move(scaled)));
}

}  // namespace

std::int64_t even_concats(Graph& graph, const calib::Statistics& statistics) {
  std::int64_t changes = 0;
  for (NodeId id : graph.topological_order()) {
    const Node n = graph.node(id);
    if (n.op != "Concat") continue;
    const std::vector<Reader> readers = readers_of(graph, n);
    if (readers.empty()) continue;
    const std::vector<int> octaves = octaves_of(graph, n, readers, statistics);
    if (std::all_of(octaves.begin(), octaves.end(), [](int e) { return e == 0; })) continue;
    for (std::size_t k = 0; k < octaves.size(); ++k) {
      if (octaves[k] == 0) continue;
      scale_operand(graph, id, k, std::ldexp(1.0F, octaves[k]));
      ++changes;
    }
    for (const Reader& reader : readers) divide_columns(graph, reader, octaves);
  }
  return changes;
}

}  // namespace espquant::quant
