#include "quant/concat_parts.h"

#include <algorithm>
#include <utility>

#include "ops/op.h"
#include "quant/groups.h"

namespace espquant::quant {

Tensor part_labels(const Graph& graph, const Node& concat) {
  const Shape& shape = *graph.value(concat.outputs[0]).shape;
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto axis =
      static_cast<std::size_t>(normalize_axis(concat.attributes.get_int("axis", 0), rank));
  std::int64_t inner = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  Tensor labels(DType::Float32, shape);
  auto data = labels.mutable_data<float>();
  for (std::size_t at = 0; at < data.size();)
    for (std::size_t k = 0; k < concat.inputs.size(); ++k) {
      const auto width =
          static_cast<std::size_t>(graph.value(concat.inputs[k]).shape->at(axis) * inner);
      std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(at), width, static_cast<float>(k + 1));
      at += width;
    }
  return labels;
}

std::optional<std::vector<Tensor>> moved_labels(const Graph& graph, const Node& n,
                                                std::size_t input, const Tensor& labels) {
  if (input != 0 || !ops::follows(n, ops::QuantRule::PassThrough)) return std::nullopt;
  std::vector<const Tensor*> inputs{&labels};
  for (std::size_t i = 1; i < n.inputs.size(); ++i) {
    const ValueId v = n.inputs[i];
    if (v != kNone && !graph.value(v).is_constant()) return std::nullopt;
    inputs.push_back(v == kNone ? nullptr : &graph.value(v).constant);
  }
  // A label is no number to be turned or filled up with.
  const Tensor nothing = Tensor::scalar(0);
  if (n.op == "Neg") return std::vector<Tensor>{labels};
  if (n.op == "Pad" && inputs.size() > 2) inputs[2] = &nothing;
  return ops::run_node(graph, n, inputs);
}

void follow_labels(const Graph& graph, ValueId v, Tensor labels, const MoveLabels& move,
                   const std::function<void(NodeId, ValueId, const Tensor&)>& visit) {
  struct Place {
    ValueId at;
    Tensor labels;
  };
  std::vector<Place> open;
  open.push_back({v, std::move(labels)});
  while (!open.empty()) {
    const Place place = std::move(open.back());
    open.pop_back();
    std::vector<NodeId> readers = graph.value(place.at).consumers;
    if (readers.empty() || graph.is_output(place.at)) visit(kNone, place.at, place.labels);
    std::sort(readers.begin(), readers.end());
    readers.erase(std::unique(readers.begin(), readers.end()), readers.end());
    for (NodeId id : readers) {
      const Node& n = graph.node(id);
      const auto input = std::find(n.inputs.begin(), n.inputs.end(), place.at);
      const bool once = std::find(input + 1, n.inputs.end(), place.at) == n.inputs.end();
      auto moved = once ? move(n, static_cast<std::size_t>(input - n.inputs.begin()), place.labels)
                        : std::nullopt;
      if (!moved) {
        visit(id, place.at, place.labels);
        continue;
      }
      for (std::size_t i = 0; i < n.outputs.size(); ++i)
        if (is_quantizable(graph, n.outputs[i]))
          open.push_back({n.outputs[i], std::move((*moved)[i])});
    }
  }
}

WeightColumns::WeightColumns(const Graph& graph, const Node& n) {
  const Shape& shape = graph.value(n.inputs[1]).constant.shape();
  const auto extent = [&](std::size_t axis) { return static_cast<std::size_t>(shape.at(axis)); };
  const bool transposed = n.op == "Gemm" && n.attributes.get_int("transB", 0) != 0;
  std::size_t axis = shape.size() - (transposed ? 1 : 2);
  if (n.op == "Conv") {
    const auto groups = static_cast<std::size_t>(n.attributes.get_int("group", 1));
    axis = 1;
    count_ = groups * extent(1);
    if (groups > 1) rows_per_group_ = extent(0) / groups;
  } else {
    if (n.op == "ConvTranspose") axis = 0;
    count_ = extent(axis);
  }
  each_ = extent(axis);
  for (std::size_t a = axis + 1; a < shape.size(); ++a) behind_ *= extent(a);
}

std::vector<double> column_weights(const Graph& graph, const Node& n) {
  const WeightColumns column(graph, n);
  std::vector<double> weights(column.count(), 0.0);
  const auto data = graph.value(n.inputs[1]).constant.data<float>();
  for (std::size_t i = 0; i < data.size(); ++i) {
    const double x = data[i];
    weights[column(i)] += x * x;
  }
  return weights;
}

ColumnOf::ColumnOf(const Node& n, const Shape& input, std::size_t columns) : columns_(columns) {
  const bool features = n.op == "Gemm" || n.op == "MatMul";
  for (std::size_t i = features ? input.size() : 2; i < input.size(); ++i)
    behind_ *= static_cast<std::size_t>(input[i]);
}

}  // namespace espquant::quant
