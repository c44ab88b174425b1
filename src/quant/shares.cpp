#include "quant/shares.h"

#include <algorithm>
#include <numeric>

#include "ops/op.h"
#include "quant/concat_parts.h"

namespace espquant::quant {
namespace {

using ops::QuantRule;

// Each is followed by a label of its own.
constexpr std::int64_t kMostElements = std::int64_t{1} << 23;

QuantRule rule_of_reader(const Node& n) {
  const ops::OpDef* def = ops::find_op(n.op);
  return def != nullptr ? def->quant : QuantRule::Float;
}

bool is_sum(const Node& n) { return n.op == "Add" || n.op == "Sub"; }

bool is_looked_through(const Node& n) {
  return n.op == "Relu" || n.op == "Clip" || rule_of_reader(n) == QuantRule::PassThrough;
}

}  // namespace

Shares::Shares(const Graph& graph, const Plan& plan, const calib::Statistics& statistics)
    : graph_(graph), plan_(plan), statistics_(statistics), shares_(graph.value_count(), 1.0) {
  const std::vector<NodeId> order = graph.topological_order();
  gather_signals(order);
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

void Shares::gather_signals(const std::vector<NodeId>& order) {
  signals_.assign(graph_.value_count(), 0.0);
  const auto signal_of = [&](ValueId v) -> double& {
    return signals_[static_cast<std::size_t>(v)];
  };
  for (std::size_t i = 0; i < signals_.size(); ++i) {
    const Value& value = graph_.value(static_cast<ValueId>(i));
    if (!value.is_constant()) {
      signals_[i] = statistics_.of(static_cast<ValueId>(i)).sum_squares;
      continue;
    }
    if (value.dtype != DType::Float32) continue;
    for (float x : value.constant.data<float>())
      signals_[i] += static_cast<double>(x) * static_cast<double>(x);
    signals_[i] *= static_cast<double>(statistics_.samples);
  }
  for (NodeId id : order) {
    const Node& n = graph_.node(id);
    for (ValueId v : n.outputs) {
      // Not looked at by itself: fused with its reader, or moved.
      if (v == kNone || statistics_.of(v).count > 0) continue;
      signal_of(v) = 0;
      if (is_sum(n) || is_looked_through(n))
        for (ValueId in : n.inputs)
          if (in != kNone && graph_.value(in).dtype == DType::Float32)
            signal_of(v) += signal_of(in);
    }
  }
}

double Shares::signal(ValueId v) const { return signals_[static_cast<std::size_t>(v)]; }

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

std::vector<Shares::View> Shares::views_of(const Node& concat) const {
  const std::size_t parts = concat.inputs.size();
  std::vector<View> views;
  // What each element is multiplied by, summed over those of each operand.
  const auto add_view = [&](const Tensor& labels, double share, double of_signal,
                            const std::function<double(std::size_t)>& weight) {
    View view{std::vector<double>(parts, 0.0), share, of_signal};
    const auto data = labels.data<float>();
    for (std::size_t i = 0; i < data.size(); ++i)
      if (data[i] >= 1) view.weights[static_cast<std::size_t>(data[i]) - 1] += weight(i);
    views.push_back(std::move(view));
  };
  const auto even = [](std::size_t) { return 1.0; };
  const auto move = [&](const Node& n, std::size_t input, const Tensor& labels) {
    if (n.op == "Relu" || (n.op == "Clip" && input == 0))
      return std::optional(std::vector<Tensor>{labels});
    return moved_labels(graph_, n, input, labels);
  };
  follow_labels(graph_, concat.outputs[0], part_labels(graph_, concat), move,
                [&](NodeId id, ValueId at, const Tensor& labels) {
                  if (id == kNone) return add_view(labels, 1, 0, even);
                  const Node& n = graph_.node(id);
                  const ValueId out = n.outputs[0];
                  if (is_sum(n) && is_quantizable(graph_, out))
                    return add_view(labels, of(out), signal(out), even);
                  if (n.op == "Concat" && is_quantizable(graph_, out))
                    return add_view(labels, of_operand(at, id), 0, even);
                  if (!is_weighted(graph_, n) || n.inputs[0] != at ||
                      graph_.value(n.inputs[1]).constant.rank() < 2)
                    return add_view(labels, 1, 0, even);
                  const std::vector<double> columns = column_weights(graph_, n);
                  const ColumnOf column(n, labels.shape(), columns.size());
                  add_view(labels, 1, 0, [&](std::size_t i) { return columns[column(i)]; });
                });
  return views;
}

void Shares::look_at_concat(NodeId id) {
  const Node& n = graph_.node(id);
  const ValueId out = n.outputs[0];
  std::vector<double> elements;
  for (ValueId v : n.inputs)
    elements.push_back(static_cast<double>(element_count(*graph_.value(v).shape)));
  std::vector<double>& shares = concats_[id];
  shares.assign(n.inputs.size(), 0.0);
  std::vector<View> views;
  if (element_count(*graph_.value(out).shape) <= kMostElements) views = views_of(n);
  if (views.empty()) views.push_back({elements});

  for (const View& view : views) {
    std::vector<double> seen(n.inputs.size(), 0.0);
    for (std::size_t k = 0; k < n.inputs.size(); ++k)
      if (elements[k] > 0) seen[k] = signal(n.inputs[k]) * view.weights[k] / elements[k];
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
  if (shows_all) shares_[static_cast<std::size_t>(out)] = 0;
}

}  // namespace espquant::quant
