#include "ops/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ops/infer.h"
#include "ops/known_value.h"
#include "ops/most_inputs.h"
#include "ops/unsupported.h"

namespace espquant::ops {
namespace {

/// Constants evaluated only to know shapes: small ones, so that a hostile file cannot make
/// inference slow.
constexpr std::int64_t kMaxShapeElements = 4096;
constexpr std::int64_t kMaxShapeInputElements = std::int64_t{1} << 16;

template <typename F>
auto naming(const Node& node, F&& f) {
  try {
    return f();
  } catch (Error& e) {
    if (e.node().empty()) e.node(node.name);
    throw;
  }
}

std::vector<InferOutput> infer_node(const Node& node, std::int64_t opset,
                                    std::span<const InferInput> inputs) {
  if (node.outputs.empty()) malformed("the node has no output");
  const auto given =
      std::find_if(node.inputs.rbegin(), node.inputs.rend(), [](ValueId v) { return v != kNone; });
  if (const auto count = static_cast<std::size_t>(node.inputs.rend() - given);
      count > most_inputs(op_of(node).type))
    malformed(fmt::format("{} takes {} inputs at most, this one has {}", node.op,
                          most_inputs(node.op), count));
  std::vector<InferOutput> outputs(node.outputs.size());
  op_of(node).infer({node, opset, inputs, outputs});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].dtype == DType::Undefined) {
      if (node.outputs[i] == kNone) continue;
      malformed(fmt::format("{} has no output {}", node.op, i));
    }
    check_extents(outputs[i].shape);
  }
  return outputs;
}

std::vector<Tensor> run_inferred(const Node& node, std::int64_t opset,
                                 std::span<const Tensor* const> inputs,
                                 std::span<const InferOutput> inferred) {
  std::vector<Tensor> outputs(inferred.size());
  for (std::size_t i = 0; i < inferred.size(); ++i)
    if (inferred[i].dtype != DType::Undefined)
      outputs[i] = Tensor(inferred[i].dtype, inferred[i].shape);
  op_of(node).run({node, opset, inputs, outputs});
  return outputs;
}

bool all_of_outputs(std::span<const InferOutput> outputs, auto&& predicate) {
  return std::all_of(outputs.begin(), outputs.end(), [&](const InferOutput& o) {
    return o.dtype == DType::Undefined || predicate(o);
  });
}

/// Empty when the outputs are not known.
std::vector<Tensor> fold_inferred(const Node& node, std::int64_t opset,
                                  std::span<const Tensor* const> known,
                                  std::span<const InferOutput> outputs, std::int64_t max_elements) {
  if (!all_of_outputs(outputs,
                      [&](const InferOutput& o) { return element_count(o.shape) <= max_elements; }))
    return {};
  if (all_of_outputs(outputs, [](const InferOutput& o) { return o.value.defined(); })) {
    std::vector<Tensor> values;
    for (const InferOutput& o : outputs) values.push_back(o.value);
    return values;
  }
  for (std::size_t i = 0; i < node.inputs.size(); ++i)
    if (node.inputs[i] != kNone && known[i] == nullptr) return {};
  return run_inferred(node, opset, known, outputs);
}

/// Shape inference of a whole graph, with the small constants that it depends on.
class Inference {
 public:
  Inference(Graph& graph, std::int64_t batch)
      : graph_(graph), batch_(batch), known_(graph.value_count()) {}

  /// Of all nodes, or of some.
  void run(const std::set<NodeId>* only = nullptr) {
    if (only == nullptr) refuse_unknown(graph_);
    for (std::size_t i = 0; i < graph_.value_count(); ++i) set_constant(static_cast<ValueId>(i));
    set_inputs();
    for (NodeId n : graph_.topological_order())
      if (only == nullptr || only->contains(n))
        naming(graph_.node(n), [&] { set_outputs(graph_.node(n)); });
  }

  void set_inputs() {
    for (ValueId v : graph_.inputs()) set_input(v);
  }

  /// Of whatever can be inferred.
  std::vector<NodeRefusal> run_as_far_as_possible() {
    for (std::size_t i = 0; i < graph_.value_count(); ++i) set_constant(static_cast<ValueId>(i));
    for (ValueId v : graph_.inputs())
      if (!is_open_beyond_batch(v)) set_input(v);
    std::vector<NodeRefusal> refused;
    for (NodeId n : graph_.topological_order()) {
      const Node& node = graph_.node(n);
      try {
        op_of(node);
        if (std::any_of(node.inputs.begin(), node.inputs.end(),
                        [&](ValueId v) { return v != kNone && is_unknown(v); }))
          continue;
        naming(node, [&] { set_outputs(node); });
      } catch (const Error& error) {
        refused.push_back({n, error});
      }
    }
    return refused;
  }

  /// Of what `v` depends on, and nothing else.
  KnownValue run_for(ValueId v) {
    const std::set<NodeId> before = producers_of(v);
    run(&before);
    return {graph_.value(v).shape, known_[static_cast<std::size_t>(v)]};
  }

 private:
  std::set<NodeId> producers_of(ValueId v) const {
    std::set<NodeId> found;
    std::vector<ValueId> open{v};
    while (!open.empty()) {
      const NodeId n = graph_.value(open.back()).producer;
      open.pop_back();
      if (n == kNone || !found.insert(n).second) continue;
      for (ValueId input : graph_.node(n).inputs)
        if (input != kNone) open.push_back(input);
    }
    return found;
  }

  void set_constant(ValueId id) {
    Value& v = graph_.value(id);
    if (!v.is_constant()) return;
    try {
      check_extents(v.constant.shape());
    } catch (Error& e) {
      throw e.tensor(v.name);
    }
    v.dtype = v.constant.dtype();
    v.shape = v.constant.shape();
    known_[static_cast<std::size_t>(id)] = v.constant;
  }

  bool is_unknown(ValueId id) const {
    const Value& v = graph_.value(id);
    return !v.shape ||
           std::any_of(v.shape->begin(), v.shape->end(), [](std::int64_t e) { return e < 0; });
  }

  bool is_open_beyond_batch(ValueId id) const {
    const Value& v = graph_.value(id);
    return !v.shape || (!v.shape->empty() && std::any_of(v.shape->begin() + 1, v.shape->end(),
                                                         [](std::int64_t e) { return e < 0; }));
  }

  void set_input(ValueId id) {
    Value& v = graph_.value(id);
    if (v.is_constant()) return;
    if (!v.shape)
      throw Error(ErrorCode::Unsupported, "the network's input has no shape")
          .tensor(v.name)
          .remedy(fmt::format("Give it: --input-shape {}=1,3,224,224", v.name));
    for (std::size_t i = 0; i < v.shape->size(); ++i) {
      std::int64_t& extent = (*v.shape)[i];
      if (extent >= 0) continue;
      if (i != 0) refuse_open_extents(v);
      extent = batch_;
    }
    try {
      check_extents(*v.shape);
    } catch (Error& e) {
      throw e.tensor(v.name);
    }
  }

  [[noreturn]] static void refuse_open_extents(const Value& v) {
    std::string shape;
    for (std::size_t i = 0; i < v.shape->size(); ++i) {
      const std::int64_t extent = (*v.shape)[i];
      shape += i == 0 ? "" : ",";
      shape += extent >= 0 ? fmt::format("{}", extent) : i == 0 ? "1" : "?";
    }
    throw Error(ErrorCode::Unsupported, "the network leaves the extents of its input open")
        .tensor(v.name)
        .remedy(fmt::format("Give them: --input-shape {}={} with numbers for the question marks; "
                            "or export the network with a fixed input shape",
                            v.name, shape));
  }

  void set_outputs(const Node& node) {
    std::vector<InferInput> inputs(node.inputs.size());
    // No shape is the result of a convolution: what multiplies much is not worth the time.
    bool small = op_of(node).macs == nullptr;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      if (id == kNone) continue;
      const Value& v = graph_.value(id);
      if (!v.shape) malformed(fmt::format("input '{}' is computed by no node", v.name));
      inputs[i] = {v.dtype, &*v.shape, nullptr};
      if (const Tensor& value = known_[static_cast<std::size_t>(id)]; value.defined()) {
        inputs[i].constant = &value;
        small = small && value.size() <= kMaxShapeInputElements;
      }
    }
    const std::vector<InferOutput> outputs = infer_node(node, graph_.opset, inputs);
    std::vector<const Tensor*> constants;
    for (const InferInput& input : inputs) constants.push_back(input.constant);
    std::vector<Tensor> values;
    if (small) values = fold_inferred(node, graph_.opset, constants, outputs, kMaxShapeElements);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const ValueId id = node.outputs[i];
      if (id == kNone) continue;
      graph_.value(id).dtype = outputs[i].dtype;
      graph_.value(id).shape = outputs[i].shape;
      if (!values.empty()) known_[static_cast<std::size_t>(id)] = values[i];
    }
  }

  Graph& graph_;
  std::int64_t batch_;
  std::vector<Tensor> known_;
};

}  // namespace

const Shape& InferContext::shape(std::size_t i) const {
  if (!has(i)) malformed(fmt::format("{} lacks its input {}", node.op, i));
  return *inputs[i].shape;
}

DType InferContext::dtype(std::size_t i) const {
  if (!has(i)) malformed(fmt::format("{} lacks its input {}", node.op, i));
  return inputs[i].dtype;
}

std::vector<std::int64_t> InferContext::constant_ints(std::size_t i) const {
  shape(i);
  if (inputs[i].constant == nullptr)
    unsupported(fmt::format("input {} of {} depends on the network's data", i, node.op),
                "Shapes must be known at conversion time: export with fixed sizes");
  return to_ints(*inputs[i].constant);
}

void infer_shapes(Graph& graph, std::int64_t batch) { Inference(graph, batch).run(); }

void settle_inputs(Graph& graph, std::int64_t batch) { Inference(graph, batch).set_inputs(); }

std::vector<NodeRefusal> infer_known_shapes(Graph& graph) {
  return Inference(graph, 1).run_as_far_as_possible();
}

KnownValue known_of(const Graph& graph, ValueId v, std::int64_t batch) {
  try {
    Graph copy = graph;
    return Inference(copy, batch).run_for(v);
  } catch (const Error&) {
    return {};
  }
}

std::optional<std::vector<Tensor>> fold_node(const Graph& graph, const Node& node,
                                             std::int64_t max_elements) {
  return naming(node, [&]() -> std::optional<std::vector<Tensor>> {
    const bool shape_only = op_of(node).shape_only;
    std::vector<InferInput> inputs(node.inputs.size());
    std::vector<const Tensor*> constants(node.inputs.size(), nullptr);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (node.inputs[i] == kNone) continue;
      const Value& v = graph.value(node.inputs[i]);
      if (v.is_constant()) {
        constants[i] = &v.constant;
        inputs[i] = {v.constant.dtype(), &v.constant.shape(), &v.constant};
      } else if (v.shape && shape_only) {
        inputs[i] = {v.dtype, &*v.shape, nullptr};
      } else {
        return std::nullopt;
      }
    }
    const auto outputs = infer_node(node, graph.opset, inputs);
    auto values = fold_inferred(node, graph.opset, constants, outputs, max_elements);
    if (values.empty()) return std::nullopt;
    return values;
  });
}

std::vector<Tensor> run_node(const Graph& graph, const Node& node,
                             std::span<const Tensor* const> inputs) {
  return naming(node, [&] {
    std::vector<InferInput> described(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i] == nullptr) continue;
      check_extents(inputs[i]->shape());
      described[i] = {inputs[i]->dtype(), &inputs[i]->shape(), inputs[i]};
    }
    return run_inferred(node, graph.opset, inputs, infer_node(node, graph.opset, described));
  });
}

std::vector<Tensor> run_gradient(const Graph& graph, const Node& node,
                                 std::span<const Tensor* const> inputs,
                                 std::span<const Tensor> outputs,
                                 std::span<const Tensor> output_gradients,
                                 const std::vector<bool>& wanted) {
  return naming(node, [&] {
    const OpDef& op = op_of(node);
    if (op.gradient == nullptr)
      unsupported(fmt::format("operator {} has no gradient", node.op),
                  "Train only layers behind it, or leave training out");
    std::vector<Tensor> gradients(inputs.size());
    if (std::none_of(output_gradients.begin(), output_gradients.end(),
                     [](const Tensor& t) { return t.defined(); }))
      return gradients;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (wanted.at(i) && inputs[i] != nullptr)
        gradients[i] = Tensor(inputs[i]->dtype(), inputs[i]->shape());
    op.gradient({node, graph.opset, inputs, outputs, output_gradients, gradients});
    return gradients;
  });
}

std::int64_t macs_of(const Graph& graph, const Node& node) {
  const OpDef& op = op_of(node);
  if (op.macs == nullptr) return 0;
  const auto shapes = [&](std::span<const ValueId> ids) {
    std::vector<Shape> result;
    for (ValueId v : ids)
      result.push_back(v == kNone ? Shape() : graph.value(v).shape.value_or(Shape()));
    return result;
  };
  return naming(node, [&] { return op.macs(node, shapes(node.inputs), shapes(node.outputs)); });
}

}  // namespace espquant::ops
