#include "quant/shares.h"

#include <algorithm>
#include <numeric>

#include "ops/op.h"

namespace espquant::quant {
namespace {

using ops::QuantRule;

// Positions are followed as float numbers, which are exact up to here.
constexpr std::int64_t kMostPositions = std::int64_t{1} << 24;

QuantRule rule_of_reader(const Node& n) {
  const ops::OpDef* def = ops::find_op(n.op);
  return def != nullptr ? def->quant : QuantRule::Float;
}

bool is_sum(const Node& n) { return n.op == "Add" || n.op == "Sub"; }

bool is_looked_through(const Node& n) {
  return n.op == "Relu" || n.op == "Clip" || rule_of_reader(n) == QuantRule::PassThrough;
}

/// Mean square of what each input element of a weighted layer is multiplied by; channels for
/// convolutions, features else.
std::vector<double> column_weights(const Graph& graph, const Node& n) {
  const Tensor& w = graph.value(n.inputs[1]).constant;
  const auto data = w.data<float>();
  const Shape& shape = w.shape();
  const auto square = [&](std::int64_t i) {
    const double x = data[static_cast<std::size_t>(i)];
    return x * x;
  };
  if (n.op == "Conv") {
    const std::int64_t groups = n.attributes.get_int("group", 1), in = shape.at(1);
    const std::int64_t out = shape.at(0) / groups, taps = w.size() / (shape.at(0) * in);
    std::vector<double> weights(static_cast<std::size_t>(groups * in), 0.0);
    for (std::int64_t i = 0; i < w.size(); ++i) {
      const std::int64_t o = i / (in * taps), c = i / taps % in;
      weights[static_cast<std::size_t>(o / out * in + c)] += square(i);
    }
    return weights;
  }
  const bool transposed = n.op == "Gemm" && n.attributes.get_int("transB", 0) != 0;
  const std::size_t axis = n.op == "ConvTranspose" ? 0
                           : transposed            ? shape.size() - 1
                                                   : shape.size() - 2;
  std::int64_t behind = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) behind *= shape[i];
  std::vector<double> weights(static_cast<std::size_t>(shape[axis]), 0.0);
  for (std::int64_t i = 0; i < w.size(); ++i)
    weights[static_cast<std::size_t>(i / behind % shape[axis])] += square(i);
  return weights;
}

/// The same, per element of the layer's input in the network's order.
std::vector<double> element_weights(const Graph& graph, const Node& n) {
  const Shape& shape = *graph.value(n.inputs[0]).shape;
  const auto size = static_cast<std::size_t>(element_count(shape));
  if (!is_weighted(graph, n) || graph.value(n.inputs[1]).constant.rank() < 2)
    return std::vector<double>(size, 1.0);
  const std::vector<double> columns = column_weights(graph, n);
  const bool features = n.op == "Gemm" || n.op == "MatMul";
  std::size_t behind = 1;
  for (std::size_t i = features ? shape.size() : 2; i < shape.size(); ++i)
    behind *= static_cast<std::size_t>(shape[i]);
  std::vector<double> weights(size);
  for (std::size_t i = 0; i < size; ++i) weights[i] = columns[i / behind % columns.size()];
  return weights;
}

}  // namespace

Shares::Shares(const Graph& graph, const Plan& plan, const calib::Statistics& statistics)
    : graph_(graph), plan_(plan), statistics_(statistics), shares_(graph.value_count(), 1.0) {
  const std::vector<NodeId> order = graph.topological_order();
  const auto decide = [&](ValueId v) {
    if (!is_quantizable(graph, v)) return;
    const auto& readers = graph.value(v).consumers;
    double most = readers.empty() || graph.is_output(v) ? 1.0 : 0.0;
    for (NodeId reader : readers) most = std::max(most, by_reader(v, reader));
    shares_[static_cast<std::size_t>(v)] = most;
  };
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const Node& n = graph.node(*id);
    for (ValueId v : n.outputs)
      if (v != kNone) decide(v);
    if (n.op == "Concat" && is_quantizable(graph, n.outputs[0])) look_at_concat(*id);
  }
  for (ValueId v : graph.inputs()) decide(v);
}

double Shares::signal(ValueId v) const {
  const Value& value = graph_.value(v);
  if (value.is_constant()) {
    double sum = 0;
    if (value.dtype == DType::Float32)
      for (float x : value.constant.data<float>())
        sum += static_cast<double>(x) * static_cast<double>(x);
    return sum * static_cast<double>(statistics_.samples);
  }
  const calib::ValueStatistics& s = statistics_.of(v);
  if (s.count > 0 || value.producer == kNone) return s.sum_squares;
  // Not looked at by itself: fused with its reader, or moved.
  const Node& n = graph_.node(value.producer);
  double sum = 0;
  if (is_sum(n) || is_looked_through(n))
    for (ValueId in : n.inputs)
      if (in != kNone && graph_.value(in).dtype == DType::Float32) sum += signal(in);
  return sum;
}

double Shares::by_reader(ValueId v, NodeId id) const {
  const Node& n = graph_.node(id);
  if (n.op == "Concat" || is_sum(n))
    return is_quantizable(graph_, n.outputs[0]) ? of_operand(v, id) : 1.0;
  if (!is_looked_through(n) || n.input(0) != v) return 1.0;
  double most = 0;
  for (ValueId out : n.outputs) {
    if (!is_quantizable(graph_, out)) continue;
    // As shares_ is of the outputs by now.
    most = std::max(most, of(out));
  }
  return most;
}

double Shares::of_operand(ValueId v, NodeId id) const {
  const Node& n = graph_.node(id);
  if (n.op == "Concat") {
    const auto& shares = concats_.at(id);
    double sum = 0;
    for (std::size_t i = 0; i < n.inputs.size(); ++i)
      if (n.inputs[i] == v) sum += shares[i];
    return sum;
  }
  const double whole = signal(n.outputs[0]);
  return whole > 0 ? signal(v) / whole * of(n.outputs[0]) : 1.0;
}

std::vector<Shares::View> Shares::views_of(ValueId value) const {
  struct Place {
    ValueId at;
    /// Position in `value` of each element, from 1; 0 for what was put in between.
    Tensor from;
  };
  const auto size = static_cast<std::size_t>(element_count(*graph_.value(value).shape));
  Tensor positions(DType::Float32, *graph_.value(value).shape);
  auto numbers = positions.mutable_data<float>();
  std::iota(numbers.begin(), numbers.end(), 1.0F);
  std::vector<View> views;
  std::vector<Place> open{{value, positions}};
  while (!open.empty()) {
    const Place place = std::move(open.back());
    open.pop_back();
    const auto add_view = [&](const std::vector<double>& weights, double share, double of_signal) {
      View view{std::vector<double>(size, 0.0), share, of_signal};
      const auto from = place.from.data<float>();
      for (std::size_t i = 0; i < from.size(); ++i)
        if (from[i] >= 1) view.weights[static_cast<std::size_t>(from[i]) - 1] += weights[i];
      views.push_back(std::move(view));
    };
    const std::vector<double> even(static_cast<std::size_t>(place.from.size()), 1.0);
    std::vector<NodeId> readers = graph_.value(place.at).consumers;
    if (readers.empty() || graph_.is_output(place.at)) add_view(even, 1, 0);
    std::sort(readers.begin(), readers.end());
    readers.erase(std::unique(readers.begin(), readers.end()), readers.end());
    for (NodeId id : readers) {
      const Node& n = graph_.node(id);
      const ValueId out = n.outputs[0];
      if (is_looked_through(n) && n.input(0) == place.at) {
        std::vector<Tensor> moved;
        if (n.op == "Relu" || n.op == "Clip") {
          moved.push_back(place.from);
        } else {
          std::vector<const Tensor*> inputs{&place.from};
          for (std::size_t i = 1; i < n.inputs.size(); ++i)
            inputs.push_back(n.inputs[i] == kNone ? nullptr : &graph_.value(n.inputs[i]).constant);
          moved = ops::run_node(graph_, n, inputs);
        }
        for (std::size_t i = 0; i < n.outputs.size(); ++i)
          if (is_quantizable(graph_, n.outputs[i])) open.push_back({n.outputs[i], moved[i]});
      } else if (is_sum(n) && is_quantizable(graph_, out)) {
        add_view(even, of(out), signal(out));
      } else if (n.op == "Concat" && is_quantizable(graph_, out)) {
        add_view(even, of_operand(place.at, id), 0);
      } else if (is_weighted(graph_, n) && n.inputs[0] == place.at) {
        add_view(element_weights(graph_, n), 1, 0);
      } else {
        add_view(even, 1, 0);
      }
    }
  }
  return views;
}

void Shares::look_at_concat(NodeId id) {
  const Node& n = graph_.node(id);
  const ValueId out = n.outputs[0];
  const Shape& shape = *graph_.value(out).shape;
  const std::int64_t size = element_count(shape);
  std::vector<double>& shares = concats_[id];
  shares.assign(n.inputs.size(), 0.0);
  std::vector<View> views;
  if (size <= kMostPositions) views = views_of(out);
  if (views.empty()) views.push_back({std::vector<double>(static_cast<std::size_t>(size), 1.0)});

  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto axis = static_cast<std::size_t>(normalize_axis(n.attributes.get_int("axis", 0), rank));
  std::int64_t inner = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  const std::int64_t row = shape[axis] * inner;
  for (const View& view : views) {
    std::vector<double> seen(n.inputs.size(), 0.0);
    std::int64_t begin = 0;
    for (std::size_t k = 0; k < n.inputs.size(); ++k) {
      const std::int64_t width = graph_.value(n.inputs[k]).shape->at(axis) * inner;
      double sum = 0;
      for (std::int64_t at = begin; at < size; at += row)
        for (std::int64_t i = 0; i < width; ++i)
          sum += view.weights[static_cast<std::size_t>(at + i)];
      const std::int64_t elements = width * (size / std::max<std::int64_t>(row, 1));
      if (elements > 0) seen[k] = signal(n.inputs[k]) * sum / static_cast<double>(elements);
      begin += width;
    }
    const double whole =
        view.of_signal > 0 ? view.of_signal : std::accumulate(seen.begin(), seen.end(), 0.0);
    if (whole <= 0) continue;
    for (std::size_t k = 0; k < seen.size(); ++k)
      shares[k] = std::max(shares[k], seen[k] / whole * view.share);
  }
  // Its elements are those of its operands: nothing is rounded once more.
  const bool shows_all = std::all_of(n.inputs.begin(), n.inputs.end(), [&](ValueId v) {
    return is_quantizable(graph_, v) && (plan_.rounded[static_cast<std::size_t>(v)] ||
                                         plan_.exponents.find(v) == plan_.exponents.find(out));
  });
  const bool measured = plan_.methods[static_cast<std::size_t>(out)] == Method::Auto &&
                        !statistics_.of(out).output_errors.empty();
  if (measured)
    std::fill(shares.begin(), shares.end(), 0.0);
  else if (shows_all)
    shares_[static_cast<std::size_t>(out)] = 0;
}

}  // namespace espquant::quant
