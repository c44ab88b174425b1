#include <algorithm>
#include <limits>
#include <set>

#include "ops/op.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/softmax_masks.h"

/// -1e9, float's lowest and -infinity in front of a Softmax all say the same: this score does not
/// count. As numbers they take the integers' range from the scores that do.
namespace espquant::passes {
namespace {

/// What masked scores become: still nothing beside the others, and finite. The scores' range, once
/// it is calibrated, brings it closer.
constexpr float kBound = 1000;
/// Beside such numbers float32 does not see the scores: a row of them is uniform.
constexpr float kAbsorbs = 1e7;

struct Bounded {
  std::vector<float> keep, fill;
  bool changed = false;
};

/// The largest of each row.
std::vector<float> row_maxima(const SoftmaxMask& mask, const SoftmaxRows& rows) {
  std::vector<float> maxima(static_cast<std::size_t>(rows.count),
                            -std::numeric_limits<float>::infinity());
  for (std::int64_t row = 0; row < rows.count; ++row)
    for (std::int64_t i = 0; i < rows.length; ++i)
      maxima[static_cast<std::size_t>(row)] =
          std::max(maxima[static_cast<std::size_t>(row)],
                   mask.added[static_cast<std::size_t>(
                       mask.element_at[static_cast<std::size_t>(rows.at(row, i))])]);
  return maxima;
}

/// Factor and summand of each element of the mask, in its own units. Nothing where an element
/// serves rows that want different ones.
std::optional<Bounded> bounded(const SoftmaxMask& mask, const SoftmaxRows& rows) {
  const std::vector<float> maxima = row_maxima(mask, rows);
  Bounded result;
  const std::size_t count = mask.added.size();
  result.keep.resize(count);
  result.fill.resize(count);
  std::vector<bool> seen(count, false);
  for (std::int64_t row = 0; row < rows.count; ++row) {
    const float most = maxima[static_cast<std::size_t>(row)];
    // A row that is masked throughout: Softmax only sees differences.
    const bool throughout = most <= -kMasked;
    for (std::int64_t i = 0; i < rows.length; ++i) {
      const auto e =
          static_cast<std::size_t>(mask.element_at[static_cast<std::size_t>(rows.at(row, i))]);
      const float added = mask.added[e];
      const float beside = added == most ? 0 : added - (throughout ? most : 0);
      float keep = mask.passes[e] ? 1.0F : 0.0F, fill = throughout ? beside : added;
      if (added - most <= -kMasked) {
        keep = 0;
        fill = -kBound;
      } else if (most <= -kAbsorbs) {
        keep = 0;
      }
      if (seen[e] && (result.keep[e] != keep || result.fill[e] != fill)) return std::nullopt;
      seen[e] = true;
      result.keep[e] = keep;
      result.fill[e] = fill;
      const bool as_it_was = keep == 1 && fill == added;
      result.changed = result.changed || !as_it_was;
    }
  }
  for (std::size_t e = 0; e < count; ++e) {
    if (!seen[e]) result.keep[e] = 1;
    result.fill[e] = seen[e] ? result.fill[e] / mask.factor : 0;
  }
  return result;
}

bool all_ones(const std::vector<float>& keep) {
  return std::all_of(keep.begin(), keep.end(), [](float k) { return k == 1; });
}

/// True when `v` is a product with a constant that is 0 wherever `keep` is.
bool is_zero_where_masked(const Graph& graph, ValueId v, const Tensor& keep) {
  const NodeId mul = producer(graph, v, "Mul");
  const auto operands = mul == kNone ? std::nullopt : split_constant(graph, graph.node(mul));
  if (!operands) return false;
  const Tensor& factor = graph.value(operands->constant).constant;
  if (factor.dtype() != DType::Float32) return false;
  // Compared in the shape of the mask: the factor must not vary along what the mask repeats.
  const Shape &small = factor.shape(), &large = keep.shape();
  Shape aligned = small;
  while (aligned.size() > large.size() && aligned.front() == 1) aligned.erase(aligned.begin());
  if (aligned.size() > large.size()) return false;
  const Shape strides = strides_of(aligned);
  const std::size_t lead = large.size() - aligned.size();
  for (std::size_t i = 0; i < aligned.size(); ++i)
    if (aligned[i] != 1 && aligned[i] != large[lead + i]) return false;
  Shape index(large.size(), 0);
  for (float k : keep.data<float>()) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < aligned.size(); ++i)
      if (aligned[i] != 1) at += strides[i] * index[lead + i];
    if (k == 0 && factor.data<float>()[static_cast<std::size_t>(at)] != 0) return false;
    for (std::size_t d = large.size(); d-- > 0;) {
      if (++index[d] < large[d]) break;
      index[d] = 0;
    }
  }
  return true;
}

/// Of constants, elementwise.
Tensor computed(const Graph& graph, std::string_view op, const Tensor& a, const Tensor& b) {
  Node n;
  n.name = n.op = op;
  n.outputs = {kNone};
  const std::vector<const Tensor*> inputs{&a, &b};
  return ops::run_node(graph, n, inputs).at(0);
}

/// `data` times `keep`: by the constant factor before it, where there is one, else by a node of its
/// own. `reader` is what reads the data.
ValueId kept(Graph& graph, ValueId data, NodeId reader, const Tensor& keep) {
  if (is_zero_where_masked(graph, data, keep)) return data;
  const std::string name = graph.value(data).name;
  const Shape shape = shape_of(graph, data);
  const NodeId before = graph.value(data).producer;
  if (before != kNone && only_reader(graph, data) == reader &&
      keep.shape().size() <= shape.size()) {
    const Node& n = graph.node(before);
    const bool scales =
        n.op == "Mul" || (n.op == "Div" && constant_of(graph, n.input(1)) != nullptr);
    const auto operands = scales ? split_constant(graph, n) : std::nullopt;
    const Tensor* scale = operands ? constant_of(graph, operands->constant) : nullptr;
    if (scale != nullptr && scale->dtype() == DType::Float32 &&
        scale->shape().size() <= shape.size() && shape_of(graph, operands->data) == shape) {
      Tensor factor = computed(graph, n.op, keep, *scale);
      become(graph, before, "Mul",
             {operands->data, add_constant(graph, name + "_kept", std::move(factor))});
      return data;
    }
  }
  return insert_node(graph, "Mul", name + "_kept",
                     {data, add_constant(graph, name + "_keep", keep)}, DType::Float32,
                     broadcast(shape, keep.shape()));
}

bool bound_mask(Graph& graph, const SoftmaxMask& mask) {
  const auto result = bounded(mask, softmax_rows(graph, graph.node(mask.softmax)));
  if (!result || !result->changed) return false;
  // A Where that masks nothing is not this pass's.
  const bool masks =
      std::any_of(mask.added.begin(), mask.added.end(), [](float a) { return a <= -kMasked; });
  if (!masks) return false;
  const Tensor keep = Tensor::of<float>(mask.shape, std::span<const float>(result->keep));
  Tensor fill = Tensor::of<float>(mask.shape, std::span<const float>(result->fill));
  const Node& node = graph.node(mask.node);
  const bool done_already =
      node.op == "Add" &&
      std::equal(result->fill.begin(), result->fill.end(), mask.added.begin(),
                 [&](float f, float a) { return f * mask.factor == a; }) &&
      (all_ones(result->keep) || is_zero_where_masked(graph, mask.data, keep));
  if (done_already) return false;
  ValueId data = mask.data;
  NodeId reader = mask.node;
  // (x + c) * keep + fill = x * keep + (c * keep + fill)
  if (const NodeId before = producer(graph, data, "Add");
      before != kNone && only_reader(graph, data) == reader) {
    const auto operands = split_constant(graph, graph.node(before));
    const Tensor* c = operands ? constant_of(graph, operands->constant) : nullptr;
    if (c != nullptr && is_finite(*c) && shape_of(graph, operands->data) == shape_of(graph, data)) {
      fill = computed(graph, "Add", computed(graph, "Mul", *c, keep), fill);
      data = operands->data;
      reader = before;
    }
  }
  if (!all_ones(result->keep)) data = kept(graph, data, reader, keep);
  const std::string name = graph.node(mask.node).name;
  become(graph, mask.node, "Add", {data, add_constant(graph, name + "_mask", std::move(fill))});
  return true;
}

}  // namespace

namespace {

std::int64_t bound_masks_of(Graph& graph, NodeId softmax) {
  std::int64_t changes = 0;
  // What is rewritten may have masks behind it: one at a time, each node once.
  std::set<NodeId> done;
  for (bool again = true; again;) {
    again = false;
    std::vector<MaskPlace> places = mask_places(graph, softmax);
    // Those nearest to the scores first.
    for (auto place = places.rbegin(); place != places.rend() && !again; ++place) {
      if (!done.insert(place->node).second) continue;
      const auto mask = mask_at(graph, *place);
      if (!mask || !bound_mask(graph, *mask)) continue;
      ++changes;
      again = true;
    }
  }
  return changes;
}

}  // namespace

std::int64_t bound_masks(Graph& graph) {
  std::int64_t changes = 0;
  // What LogSoftmax makes of a masked score is no nothing, but the mask itself.
  for (NodeId id : graph.topological_order())
    if (graph.node(id).op == "Softmax") changes += bound_masks_of(graph, id);
  return changes;
}

}  // namespace espquant::passes
