#include "measure/output_parts.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string_view>

namespace espquant::measure {
namespace {

// More are no parts that anybody tells apart.
constexpr std::size_t kMostParts = 64;
constexpr int kMostNested = 8;

/// Which part each element belongs to.
struct Labels {
  Tensor of_element;
  std::vector<std::string> names;
};

bool is_flattening(const Node& n) {
  return n.op == "Reshape" || n.op == "Flatten" || n.op == "Squeeze" || n.op == "Unsqueeze";
}

/// Whether each element of the output comes from the one of the first input in its place.
bool computes_one_from_one(const Graph& network, const Node& n) {
  const bool others_constant =
      std::all_of(n.inputs.begin() + (n.inputs.empty() ? 0 : 1), n.inputs.end(),
                  [&](ValueId v) { return v == kNone || network.value(v).is_constant(); });
  static constexpr std::array<std::string_view, 15> kOps = {
      "Identity", "Sigmoid", "HardSigmoid", "Tanh", "Relu",      "Exp",   "Clip",   "Mul",
      "Add",      "Sub",     "Div",         "Cast", "LeakyRelu", "PRelu", "Softmax"};
  return others_constant && std::find(kOps.begin(), kOps.end(), n.op) != kOps.end() &&
         network.value(n.inputs.at(0)).shape == network.value(n.outputs.at(0)).shape;
}

std::optional<Labels> labels_of(const Graph& network, ValueId v, int depth);

Tensor filled(const Shape& shape, std::int64_t label) {
  const std::vector<std::int64_t> all(static_cast<std::size_t>(element_count(shape)), label);
  return Tensor::of<std::int64_t>(shape, std::span<const std::int64_t>(all));
}

void write_labels(const Tensor& from, std::int64_t first, std::int64_t inner, std::int64_t stride,
                  std::int64_t offset, std::span<std::int64_t> into) {
  const auto labels = from.data<std::int64_t>();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    into[static_cast<std::size_t>(at / inner * stride + offset + at % inner)] = first + labels[i];
  }
}

Labels labels_of_concat(const Graph& network, const Node& n, int depth) {
  std::vector<std::optional<Labels>> operands;
  for (ValueId v : n.inputs) operands.push_back(labels_of(network, v, depth + 1));
  const bool alike =
      std::all_of(operands.begin(), operands.end(), [&](const std::optional<Labels>& l) {
        return l && operands.front() && l->names.size() == operands.front()->names.size();
      });
  const Shape& shape = *network.value(n.outputs[0]).shape;
  std::int64_t axis = n.attributes.get_int("axis", 0);
  if (axis < 0) axis += static_cast<std::int64_t>(shape.size());
  std::int64_t within = 1;
  for (std::size_t i = static_cast<std::size_t>(axis) + 1; i < shape.size(); ++i)
    within *= shape[i];
  const std::int64_t stride = within * shape[static_cast<std::size_t>(axis)];

  Labels joined;
  if (alike) joined.names = operands.front()->names;
  std::vector<std::int64_t> all(static_cast<std::size_t>(element_count(shape)));
  std::int64_t offset = 0;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    const Value& value = network.value(n.inputs[k]);
    const std::int64_t inner = within * value.shape->at(static_cast<std::size_t>(axis));
    const auto first = alike ? 0 : static_cast<std::int64_t>(joined.names.size());
    if (operands[k]) {
      write_labels(operands[k]->of_element, first, inner, stride, offset, all);
      if (!alike)
        joined.names.insert(joined.names.end(), operands[k]->names.begin(),
                            operands[k]->names.end());
    } else {
      write_labels(filled(*value.shape, 0), first, inner, stride, offset, all);
      joined.names.push_back(value.name);
    }
    offset += inner;
  }
  joined.of_element = Tensor::of<std::int64_t>(shape, std::span<const std::int64_t>(all));
  return joined;
}

std::vector<std::int64_t> perm_of(const Node& transpose, std::size_t rank) {
  std::vector<std::int64_t> reversed(rank);
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  return transpose.attributes.get_ints("perm", std::move(reversed));
}

std::optional<Labels> labels_of(const Graph& network, ValueId v, int depth) {
  if (depth > kMostNested) return std::nullopt;
  std::vector<const Node*> way;
  const auto producer = [&](ValueId value) {
    const NodeId id = network.value(value).producer;
    return id == kNone ? nullptr : &network.node(id);
  };
  const Node* n = producer(v);
  for (; n != nullptr && n->op != "Concat"; n = producer(n->inputs[0])) {
    if (!is_flattening(*n) && n->op != "Transpose" && !computes_one_from_one(network, *n))
      return std::nullopt;
    way.push_back(n);
  }
  if (n == nullptr) return std::nullopt;
  Labels labels = labels_of_concat(network, *n, depth);
  for (auto it = way.rbegin(); it != way.rend(); ++it) {
    const Node& step = **it;
    Tensor& at = labels.of_element;
    if (is_flattening(step)) at = at.reshaped(*network.value(step.outputs[0]).shape);
    if (step.op == "Transpose") at = at.transposed(perm_of(step, at.shape().size()));
  }
  return labels;
}

}  // namespace

OutputParts parts_of_output(const Graph& network, ValueId output) {
  const std::optional<Labels> labels = labels_of(network, output, 0);
  if (!labels || labels->names.size() < 2 || labels->names.size() > kMostParts) return {};
  OutputParts parts{{}, labels->names};
  for (std::int64_t label : labels->of_element.data<std::int64_t>())
    parts.of_element.push_back(static_cast<std::uint16_t>(label));
  return parts;
}

}  // namespace espquant::measure
