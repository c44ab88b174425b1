#include <algorithm>
#include <numeric>

#include "compress/channels.h"
#include "ops/op.h"

namespace espquant::compress {
namespace {

using Indices = std::vector<std::size_t>;

Tensor taken(const Tensor& from, std::size_t axis, const Indices& indices) {
  Shape shape = from.shape();
  const auto extent = static_cast<std::size_t>(shape[axis]);
  std::size_t inner = size_of(from.dtype()), outer = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= static_cast<std::size_t>(shape[i]);
  for (std::size_t i = 0; i < axis; ++i) outer *= static_cast<std::size_t>(shape[i]);
  shape[axis] = static_cast<std::int64_t>(indices.size());
  Tensor made(from.dtype(), shape);
  const auto source = from.bytes();
  auto target = made.mutable_bytes().begin();
  for (std::size_t o = 0; o < outer; ++o)
    for (std::size_t i : indices)
      target = std::copy_n(source.begin() + static_cast<std::ptrdiff_t>((o * extent + i) * inner),
                           inner, target);
  return made;
}

class Remover {
 public:
  Remover(const Graph& graph, const Channels& channels, const std::vector<bool>& kept)
      : graph_(graph), before_(graph), channels_(channels), kept_(kept) {}

  Graph run() {
    for (NodeId id : before_.topological_order()) change(id);
    for (std::size_t v = 0; v < before_.value_count(); ++v) {
      const auto id = static_cast<ValueId>(v);
      if (channels_.axis_of(id) >= 0 && !graph_.value(id).is_constant())
        graph_.value(id).shape = shape_after(id);
    }
    ops::infer_shapes(graph_);
    return std::move(graph_);
  }

 private:
  /// What is left of a value's channels.
  Indices left(ValueId v) const {
    Indices indices;
    const auto classes = channels_.classes_of(v);
    for (std::size_t i = 0; i < classes.size(); ++i)
      if (kept_[static_cast<std::size_t>(classes[i])]) indices.push_back(i);
    ESPQUANT_ASSERT(!indices.empty(), "a value keeps a channel");
    return indices;
  }
  bool loses(ValueId v) const {
    return v != kNone && channels_.axis_of(v) >= 0 &&
           left(v).size() < channels_.classes_of(v).size();
  }
  std::size_t axis(ValueId v) const { return static_cast<std::size_t>(channels_.axis_of(v)); }
  Shape shape_after(ValueId v) const {
    Shape shape = *before_.value(v).shape;
    shape[axis(v)] = static_cast<std::int64_t>(left(v).size());
    return shape;
  }

  void put(NodeId id, std::size_t input, Tensor constant) {
    const ValueId v = graph_.node(id).inputs[input];
    if (graph_.value(v).consumers.size() == 1) {
      graph_.value(v).shape = constant.shape();
      graph_.value(v).constant = std::move(constant);
      return;
    }
    graph_.set_input(
        id, input,
        graph_.add_constant(graph_.unique_value_name(graph_.value(v).name), std::move(constant)));
  }
  const Tensor& constant(NodeId id, std::size_t input) const {
    return graph_.value(graph_.node(id).inputs[input]).constant;
  }
  /// Of a constant operand, along the axis that is the output's `at`.
  void take_operand(NodeId id, std::size_t input, std::size_t rank, std::size_t at,
                    const Indices& indices, std::size_t extent) {
    const Tensor& old = constant(id, input);
    const std::size_t shift = rank - old.shape().size();
    if (at < shift || static_cast<std::size_t>(old.shape()[at - shift]) != extent || extent == 1)
      return;
    put(id, input, taken(old, at - shift, indices));
  }

  void change(NodeId id) {
    const Node& n = before_.node(id);
    const ValueId in = n.input(0), out = n.outputs[0];
    const bool any = loses(in) || std::any_of(n.outputs.begin(), n.outputs.end(),
                                              [&](ValueId v) { return loses(v); });
    if (!any) return;
    if (has_weights(before_, n)) return change_weights(id);
    if (n.op == "Reshape") {
      const Shape shape = shape_after(out);
      return put(id, 1,
                 Tensor::of<std::int64_t>({static_cast<std::int64_t>(shape.size())},
                                          std::span<const std::int64_t>(shape)));
    }
    if (n.op == "Slice") return change_slice(id);
    if (n.op == "Split") return change_split(id);
    if (n.op == "Pad") return change_pad(id);
    if (n.op == "Resize") return change_resize(id);
    if (n.op == "BatchNormalization") {
      const Indices indices = left(in);
      for (std::size_t i = 1; i < 5; ++i) put(id, i, taken(constant(id, i), 0, indices));
      return;
    }
    for (std::size_t i = 0; i < n.inputs.size(); ++i) {
      const ValueId v = n.inputs[i];
      if (v == kNone || !before_.value(v).is_constant()) continue;
      if (before_.value(v).constant.dtype() != DType::Float32 || channels_.axis_of(out) < 0)
        continue;
      take_operand(id, i, before_.value(out).shape->size(), axis(out), left(out),
                   channels_.classes_of(out).size());
    }
  }

  void change_weights(NodeId id) {
    const Node& n = before_.node(id);
    const ValueId in = n.inputs[0], out = n.outputs[0];
    const WeightAxes axes = weight_axes(before_, n);
    const std::size_t rank = before_.value(in).shape->size();
    // A product along another axis than that of the channels has no weights of theirs.
    if (n.op == "MatMul" && channels_.axis_of(in) >= 0 && axis(in) != rank - 1) return;
    const bool depthwise = is_depthwise(before_, n);
    if (loses(in) && !depthwise)
      put(id, 1, taken(constant(id, 1), static_cast<std::size_t>(axes.input), left(in)));
    if (!loses(out)) return;
    const Indices indices = left(out);
    put(id, 1, taken(constant(id, 1), static_cast<std::size_t>(axes.output), indices));
    if (depthwise)
      graph_.node(id).attributes.set("group", static_cast<std::int64_t>(left(in).size()));
    if (n.input(2) == kNone) return;
    const Shape& bias = constant(id, 2).shape();
    if (!bias.empty() && bias.back() == static_cast<std::int64_t>(channels_.classes_of(out).size()))
      put(id, 2, taken(constant(id, 2), bias.size() - 1, indices));
  }

  void change_slice(NodeId id) {
    const Node& n = before_.node(id);
    const ValueId in = n.inputs[0], out = n.outputs[0];
    const auto rank = static_cast<std::int64_t>(before_.value(in).shape->size());
    Tensor starts = constant(id, 1), ends = constant(id, 2);
    const auto axes = constant(id, 3).data<std::int64_t>();
    for (std::size_t i = 0; i < axes.size(); ++i) {
      if ((axes[i] < 0 ? axes[i] + rank : axes[i]) != channels_.axis_of(in)) continue;
      const auto extent = static_cast<std::int64_t>(channels_.classes_of(in).size());
      const std::int64_t start = starts.data<std::int64_t>()[i];
      const auto from = static_cast<std::size_t>(
          std::clamp<std::int64_t>(start < 0 ? start + extent : start, 0, extent));
      std::int64_t ahead = 0;
      for (std::size_t c = 0; c < from; ++c)
        ahead += kept_[static_cast<std::size_t>(channels_.classes_of(in)[c])] ? 1 : 0;
      starts.mutable_data<std::int64_t>()[i] = ahead;
      ends.mutable_data<std::int64_t>()[i] = ahead + static_cast<std::int64_t>(left(out).size());
    }
    put(id, 1, std::move(starts));
    put(id, 2, std::move(ends));
  }

  void change_split(NodeId id) {
    const Node& n = before_.node(id);
    const auto rank = static_cast<std::int64_t>(before_.value(n.inputs[0]).shape->size());
    const std::int64_t along = n.attributes.get_int("axis", 0);
    if ((along < 0 ? along + rank : along) != channels_.axis_of(n.inputs[0])) return;
    std::vector<std::int64_t> sizes;
    for (ValueId v : n.outputs) sizes.push_back(static_cast<std::int64_t>(left(v).size()));
    put(id, 1,
        Tensor::of<std::int64_t>({static_cast<std::int64_t>(sizes.size())},
                                 std::span<const std::int64_t>(sizes)));
  }

  void change_pad(NodeId id) {
    const Node& n = before_.node(id);
    const ValueId in = n.inputs[0], out = n.outputs[0];
    Tensor pads = constant(id, 1);
    const std::size_t rank = before_.value(in).shape->size(), at = axis(in);
    const auto begin = static_cast<std::size_t>(pads.data<std::int64_t>()[at]);
    const std::size_t end = begin + channels_.classes_of(in).size();
    std::int64_t before = 0, after = 0;
    for (std::size_t i : left(out)) {
      before += i < begin ? 1 : 0;
      after += i >= end ? 1 : 0;
    }
    pads.mutable_data<std::int64_t>()[at] = before;
    pads.mutable_data<std::int64_t>()[at + rank] = after;
    put(id, 1, std::move(pads));
  }

  void change_resize(NodeId id) {
    const Node& n = before_.node(id);
    if (n.input(3) == kNone || !before_.value(n.inputs[3]).is_constant() ||
        n.attributes.has("axes"))
      return;
    const Shape shape = shape_after(n.outputs[0]);
    put(id, 3,
        Tensor::of<std::int64_t>({static_cast<std::int64_t>(shape.size())},
                                 std::span<const std::int64_t>(shape)));
  }

  Graph graph_;
  const Graph& before_;
  const Channels& channels_;
  const std::vector<bool>& kept_;
};

}  // namespace

Graph without_channels(const Graph& graph, const Channels& channels,
                       const std::vector<bool>& kept) {
  return Remover(graph, channels, kept).run();
}

}  // namespace espquant::compress
