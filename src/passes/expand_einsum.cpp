#include <algorithm>
#include <map>

#include "ops/einsum.h"
#include "passes/movement.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

/// Einsum as transposes, one product of matrices for each pair of operands, and sums.
namespace espquant::passes {
namespace {

using Labels = std::vector<int>;

struct Operand {
  ValueId value;
  Labels labels;
};

bool holds(const Labels& labels, int label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

class EinsumExpansion {
 public:
  EinsumExpansion(Graph& graph, const Node& node) : graph_(graph), name_(node.name) {
    std::vector<Shape> shapes;
    for (const ValueId v : node.inputs) shapes.push_back(shape_of(graph, v));
    const auto terms = ops::parse_einsum(node.attributes.get_string("equation", ""), shapes);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      operands_.push_back({node.inputs[i], terms.inputs[i]});
      for (const int label : terms.inputs[i])
        extents_[label] = ops::extent_of_label(terms, shapes, label);
    }
    output_ = terms.output;
  }

  /// Diagonals ("ii") stay.
  bool is_usual() const {
    return std::all_of(operands_.begin(), operands_.end(), [](const Operand& o) {
      Labels sorted = o.labels;
      std::sort(sorted.begin(), sorted.end());
      return std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
    });
  }

  ValueId run() {
    Operand result = prepared(operands_[0]);
    for (std::size_t i = 1; i < operands_.size(); ++i)
      result = product(result, prepared(operands_[i]), i + 1);
    result = summed(result, output_);
    return ordered(result, output_);
  }

 private:
  /// Labels that the output or an operand from `next` on still needs.
  bool is_needed_later(int label, std::size_t next) const {
    if (holds(output_, label)) return true;
    return std::any_of(operands_.begin() + static_cast<std::ptrdiff_t>(next), operands_.end(),
                       [&](const Operand& o) { return holds(o.labels, label); });
  }

  /// Broadcast axes get their extent.
  Operand prepared(Operand operand) {
    operand.value =
        insert_expand(graph_, name_ + "_expanded", operand.value, shape(operand.labels));
    return operand;
  }

  Shape shape(const Labels& labels) const {
    Shape result;
    for (const int label : labels) result.push_back(extents_.at(label));
    return result;
  }

  std::int64_t count(const Labels& labels) const { return element_count(shape(labels)); }

  ValueId ordered(const Operand& operand, const Labels& order) {
    std::vector<std::int64_t> perm;
    for (const int label : order)
      perm.push_back(std::find(operand.labels.begin(), operand.labels.end(), label) -
                     operand.labels.begin());
    return insert_transpose(graph_, name_ + "_ordered", operand.value, perm);
  }

  /// What is not in `kept` is summed away.
  Operand summed(const Operand& operand, const Labels& kept) {
    std::vector<std::int64_t> axes;
    Labels left;
    for (std::size_t i = 0; i < operand.labels.size(); ++i) {
      if (holds(kept, operand.labels[i]))
        left.push_back(operand.labels[i]);
      else
        axes.push_back(static_cast<std::int64_t>(i));
    }
    if (axes.empty()) return operand;
    Attributes attributes;
    attributes.set("keepdims", std::int64_t{0});
    const ValueId sum = insert_node(graph_, "ReduceSum", name_ + "_sum",
                                    {operand.value, add_ints(graph_, name_ + "_axes", axes)},
                                    DType::Float32, shape(left), std::move(attributes));
    return {sum, left};
  }

  /// One step, after which operands from `next` on are left.
  Operand product(Operand a, Operand b, std::size_t next) {
    // The constant operand comes second: that is where the chip has weights.
    if (constant_of(graph_, a.value) != nullptr) std::swap(a, b);
    Labels batch, rows, columns, inner;
    const auto lonely = [&](const Operand& own, const Labels& other) {
      Labels kept;
      for (const int label : own.labels)
        if (holds(other, label) || is_needed_later(label, next)) kept.push_back(label);
      return summed(own, kept);
    };
    a = lonely(a, b.labels);
    b = lonely(b, a.labels);
    for (const int label : a.labels) {
      if (!holds(b.labels, label))
        rows.push_back(label);
      else
        (is_needed_later(label, next) ? batch : inner).push_back(label);
    }
    for (const int label : b.labels)
      if (!holds(a.labels, label)) columns.push_back(label);
    Labels left = batch;
    left.insert(left.end(), rows.begin(), rows.end());
    left.insert(left.end(), columns.begin(), columns.end());
    if (inner.empty()) return {outer(a, b, batch, rows, columns), left};
    Labels of_a = batch, of_b = batch;
    of_a.insert(of_a.end(), rows.begin(), rows.end());
    of_a.insert(of_a.end(), inner.begin(), inner.end());
    of_b.insert(of_b.end(), inner.begin(), inner.end());
    of_b.insert(of_b.end(), columns.begin(), columns.end());
    Shape left_shape{count(rows), count(inner)}, right_shape{count(inner), count(columns)},
        out{count(rows), count(columns)};
    if (!batch.empty())
      for (Shape* s : {&left_shape, &right_shape, &out}) s->insert(s->begin(), count(batch));
    const ValueId x = insert_reshape(graph_, name_ + "_left", ordered(a, of_a), left_shape),
                  y = insert_reshape(graph_, name_ + "_right", ordered(b, of_b), right_shape);
    const ValueId matrix =
        insert_node(graph_, "MatMul", name_ + "_product", {x, y}, DType::Float32, out);
    return {insert_reshape(graph_, name_ + "_shaped", matrix, shape(left)), left};
  }

  /// Nothing is summed: a product element by element, broadcast.
  ValueId outer(const Operand& a, const Operand& b, const Labels& batch, const Labels& rows,
                const Labels& columns) {
    Labels of_a = batch, of_b = batch;
    of_a.insert(of_a.end(), rows.begin(), rows.end());
    of_b.insert(of_b.end(), columns.begin(), columns.end());
    Shape left = shape(of_a), right = shape(batch), out = left;
    left.insert(left.end(), columns.size(), 1);
    right.insert(right.end(), rows.size(), 1);
    const Shape tail = shape(columns);
    right.insert(right.end(), tail.begin(), tail.end());
    out.insert(out.end(), tail.begin(), tail.end());
    const ValueId x = insert_reshape(graph_, name_ + "_left", ordered(a, of_a), left),
                  y = insert_reshape(graph_, name_ + "_right", ordered(b, of_b), right);
    return insert_node(graph_, "Mul", name_ + "_product", {x, y}, DType::Float32, out);
  }

  Graph& graph_;
  std::string name_;
  std::vector<Operand> operands_;
  Labels output_;
  std::map<int, std::int64_t> extents_;
};

bool expand(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.op != "Einsum" || graph.value(node.outputs.at(0)).dtype != DType::Float32) return false;
  EinsumExpansion expansion(graph, node);
  if (!expansion.is_usual()) return false;
  take_over(graph, id, expansion.run());
  return true;
}

}  // namespace

std::int64_t expand_einsum(Graph& graph) {
  return for_each_node(graph, [&](NodeId id) { return expand(graph, id); });
}

}  // namespace espquant::passes
