#include "passes/softmax_masks.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <set>
#include <string_view>

#include "ops/op.h"
#include "passes/rewrite.h"

namespace espquant::passes {
namespace {

/// Positions are carried through nodes as floats.
constexpr std::int64_t kMostPositions = std::int64_t{1} << 23;
constexpr std::size_t kMostNodesBetween = 16;
/// Those that scale or add are counted, too: an adversary's chain has no end.
constexpr int kDeepestMask = 64;

bool only_moves(std::string_view op) {
  static constexpr std::array<std::string_view, 8> kOps = {
      "Dropout", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

Tensor positions_of(const Shape& shape) {
  Tensor t(DType::Float32, shape);
  auto data = t.mutable_data<float>();
  std::iota(data.begin(), data.end(), 0.0F);
  return t;
}

/// For each element of `out`, the element of `in` that is broadcast to it.
std::vector<std::int32_t> broadcast_elements(const Shape& in, const Shape& out) {
  std::vector<std::int32_t> elements(static_cast<std::size_t>(element_count(out)));
  const Shape dense = strides_of(in);
  Shape index(out.size(), 0);
  for (auto& element : elements) {
    std::int64_t at = 0;
    for (std::size_t i = 0; i < in.size(); ++i)
      if (in[i] != 1) at += dense[i] * index[out.size() - in.size() + i];
    element = static_cast<std::int32_t>(at);
    for (std::size_t d = out.size(); d-- > 0;) {
      if (++index[d] < out[d]) break;
      index[d] = 0;
    }
  }
  return elements;
}

bool broadcasts_to(const Shape& in, const Shape& out) {
  if (in.size() > out.size()) return false;
  for (std::size_t i = 0; i < in.size(); ++i)
    if (in[i] != 1 && in[i] != out[out.size() - in.size() + i]) return false;
  return true;
}

std::optional<Shape> broadcast_together(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()), 1);
  for (const Shape* s : {&a, &b})
    for (std::size_t i = 0; i < s->size(); ++i) {
      std::int64_t& extent = out[out.size() - s->size() + i];
      if ((*s)[i] == 1 || (*s)[i] == extent) continue;
      if (extent != 1) return std::nullopt;
      extent = (*s)[i];
    }
  return out;
}

std::vector<float> broadcast_floats(const Tensor& t, const Shape& out) {
  std::vector<float> values;
  for (std::int32_t e : broadcast_elements(t.shape(), out))
    values.push_back(t.data<float>()[static_cast<std::size_t>(e)]);
  return values;
}

/// From a Softmax upwards.
class MaskSearch {
 public:
  MaskSearch(const Graph& graph, NodeId softmax, std::vector<MaskPlace>& found)
      : graph_(graph), softmax_(softmax), found_(found) {}

  /// What produces `v`, which nothing but this path reads.
  void visit(ValueId v, float factor) {
    if (depth_ == kDeepestMask) return;
    ++depth_;
    visit_producer(v, factor);
    --depth_;
  }

 private:
  void visit_producer(ValueId v, float factor) {
    if (v == kNone || only_reader(graph_, v) == kNone || path_.size() > kMostNodesBetween) return;
    const NodeId id = graph_.value(v).producer;
    if (id == kNone) return;
    const Node& n = graph_.node(id);
    if (only_moves(n.op)) {
      path_.push_back(id);
      visit(n.inputs[0], factor);
      path_.pop_back();
    } else if (n.op == "Mul" || n.op == "Div") {
      visit_scale(n, factor);
    } else if (n.op == "Add" || n.op == "Sub") {
      visit_sum(id, factor);
    } else if (n.op == "Where") {
      visit_where(id, factor);
    }
  }

  bool same_shape(ValueId in, const Node& n) const {
    return graph_.value(in).shape && graph_.value(n.outputs[0]).shape &&
           *graph_.value(in).shape == *graph_.value(n.outputs[0]).shape;
  }

  void visit_scale(const Node& n, float factor) {
    const auto operands = split_constant(graph_, n);
    if (!operands || (n.op == "Div" && operands->data != n.inputs[0])) return;
    const auto scale = scalar_of(graph_, operands->constant);
    if (!scale || *scale <= 0 || !same_shape(operands->data, n)) return;
    visit(operands->data, n.op == "Mul" ? factor * *scale : factor / *scale);
  }

  void visit_sum(NodeId id, float factor) {
    const Node& n = graph_.node(id);
    const auto operands = split_constant(graph_, n);
    if (operands && (n.op == "Add" || operands->data == n.inputs[0])) {
      found_.push_back({softmax_, id, operands->data, factor, path_});
      if (same_shape(operands->data, n)) visit(operands->data, factor);
      return;
    }
    if (operands) return;
    // A bias that is computed beside the mask.
    if (same_shape(n.inputs[0], n)) visit(n.inputs[0], factor);
    if (n.op == "Add" && n.inputs[1] != n.inputs[0] && same_shape(n.inputs[1], n))
      visit(n.inputs[1], factor);
  }

  void visit_where(NodeId id, float factor) {
    const Node& n = graph_.node(id);
    const Tensor *yes = constant_of(graph_, n.input(1)), *no = constant_of(graph_, n.input(2));
    if (constant_of(graph_, n.input(0)) == nullptr || (yes == nullptr) == (no == nullptr)) return;
    const ValueId data = yes != nullptr ? n.inputs[2] : n.inputs[1];
    found_.push_back({softmax_, id, data, factor, path_});
    if (same_shape(data, n)) visit(data, factor);
  }

  const Graph& graph_;
  NodeId softmax_;
  std::vector<MaskPlace>& found_;
  /// From the Softmax upwards.
  std::vector<NodeId> path_;
  int depth_ = 0;
};

bool take_sum(const Graph& graph, const Node& n, SoftmaxMask& mask) {
  const Tensor& c = graph.value(n.inputs[0] == mask.data ? n.inputs[1] : n.inputs[0]).constant;
  if (c.dtype() != DType::Float32) return false;
  mask.shape = c.shape();
  const float sign = n.op == "Add" ? mask.factor : -mask.factor;
  for (float x : c.data<float>()) mask.added.push_back(sign * x);
  mask.passes.assign(mask.added.size(), true);
  return true;
}

bool take_where(const Graph& graph, const Node& n, SoftmaxMask& mask) {
  const Tensor& condition = graph.value(n.inputs[0]).constant;
  const bool chosen_passes = n.inputs[1] == mask.data;
  const Tensor& choice = graph.value(n.inputs[chosen_passes ? 2 : 1]).constant;
  const auto shape = broadcast_together(condition.shape(), choice.shape());
  if (!shape || choice.dtype() != DType::Float32) return false;
  mask.shape = *shape;
  const Tensor conditions = condition.cast(DType::Float32);
  const std::vector<float> taken = broadcast_floats(conditions, *shape),
                           given = broadcast_floats(choice, *shape);
  for (std::size_t i = 0; i < taken.size(); ++i) {
    mask.passes.push_back((taken[i] != 0) == chosen_passes);
    mask.added.push_back(mask.passes.back() ? 0 : mask.factor * given[i]);
  }
  return true;
}

}  // namespace

SoftmaxRows softmax_rows(const Graph& graph, const Node& softmax) {
  const auto& shape = graph.value(softmax.inputs[0]).shape;
  if (!shape || shape->empty()) return {};
  const auto rank = static_cast<std::int64_t>(shape->size());
  const std::int64_t axis = normalize_axis(softmax.attributes.get_int("axis", -1), rank);
  SoftmaxRows rows;
  rows.length = (*shape)[static_cast<std::size_t>(axis)];
  for (std::int64_t d = axis + 1; d < rank; ++d)
    rows.inner *= (*shape)[static_cast<std::size_t>(d)];
  rows.count = rows.length > 0 ? element_count(*shape) / rows.length : 0;
  return rows;
}

std::vector<MaskPlace> mask_places(const Graph& graph, NodeId softmax) {
  std::vector<MaskPlace> found;
  const Node& n = graph.node(softmax);
  if (softmax_rows(graph, n).count > 0) MaskSearch(graph, softmax, found).visit(n.inputs[0], 1);
  return found;
}

std::optional<SoftmaxMask> mask_at(const Graph& graph, const MaskPlace& place) {
  const Node& n = graph.node(place.node);
  SoftmaxMask mask;
  mask.softmax = place.softmax;
  mask.node = place.node;
  mask.data = place.data;
  mask.factor = place.factor;
  if (!(n.op == "Where" ? take_where(graph, n, mask) : take_sum(graph, n, mask)))
    return std::nullopt;
  const auto& out = graph.value(n.outputs[0]).shape;
  if (!out || !broadcasts_to(mask.shape, *out) || element_count(*out) > kMostPositions)
    return std::nullopt;
  Tensor positions = positions_of(*out);
  for (auto id = place.path.rbegin(); id != place.path.rend(); ++id) {
    const Node& move = graph.node(*id);
    std::vector<const Tensor*> inputs{&positions};
    for (std::size_t i = 1; i < move.inputs.size(); ++i) {
      const Tensor* c = constant_of(graph, move.inputs[i]);
      if (c == nullptr && move.inputs[i] != kNone) return std::nullopt;
      inputs.push_back(c);
    }
    positions = ops::run_node(graph, move, inputs).at(0);
  }
  const std::vector<std::int32_t> elements = broadcast_elements(mask.shape, *out);
  mask.element_at.reserve(static_cast<std::size_t>(positions.size()));
  for (float p : positions.data<float>())
    mask.element_at.push_back(elements[static_cast<std::size_t>(p)]);
  return mask;
}

}  // namespace espquant::passes
