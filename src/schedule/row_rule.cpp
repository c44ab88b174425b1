#include "schedule/row_rule.h"

#include <array>
#include <string_view>

#include "sim/program.h"

namespace espquant::schedule {
namespace {

using std::string_view_literals::operator""sv;
using Operand = RowRule::Operand;

/// One element out of those at the same place.
constexpr std::array kElementwise = {"Add"sv,
                                     "Clip"sv,
                                     "DequantizeLinear"sv,
                                     "Elu"sv,
                                     "Exp"sv,
                                     "Gelu"sv,
                                     "HardSigmoid"sv,
                                     "HardSwish"sv,
                                     "LUT"sv,
                                     "LeakyRelu"sv,
                                     "Log"sv,
                                     "Mul"sv,
                                     "Neg"sv,
                                     "PRelu"sv,
                                     "QuantizeLinear"sv,
                                     "Relu"sv,
                                     "Sigmoid"sv,
                                     "Sqrt"sv,
                                     "RequantizeLinear"sv,
                                     "Sub"sv,
                                     "Swish"sv,
                                     "Tanh"sv};

/// Vectors of the element-wise kernels: fewer elements take other paths.
constexpr std::int64_t kLeastElements = 64;

bool is_elementwise(std::string_view op) {
  return std::find(kElementwise.begin(), kElementwise.end(), op) != kElementwise.end();
}

std::int64_t at(const std::vector<std::int64_t>& list, std::size_t i, std::int64_t otherwise) {
  return i < list.size() ? list[i] : otherwise;
}

/// A tensor with rows, of one image.
bool has_rows(const espdl::ValueInfo* value) {
  return value != nullptr && (value->shape.size() == 3 || value->shape.size() == 4) &&
         value->shape[0] == 1 && value->shape[1] > 0;
}

/// Of an operand that is broadcast over an image of that rank, by numpy's rules.
bool spans_no_rows(const Shape& shape, std::size_t rank) {
  if (shape.size() + 1 < rank) return true;
  const std::size_t axis = shape.size() + 1 - rank;
  return axis < shape.size() && shape[axis] == 1;
}

std::optional<RowRule> window_rule(const espdl::Node& node, const espdl::ModelIndex& index) {
  RowRule rule;
  const auto* in = index.value(node.inputs[0]);
  const auto* out = index.value(node.outputs[0]);
  if (node.op == "Conv") {
    const auto* filter = node.inputs.size() > 1 ? index.initializer(node.inputs[1]) : nullptr;
    if (filter == nullptr || filter->data.shape().size() != in->shape.size()) return std::nullopt;
    rule.kernel = filter->data.shape()[0];
    if (node.inputs.size() > 2 && !node.inputs[2].empty() &&
        index.initializer(node.inputs[2]) == nullptr)
      return std::nullopt;
  } else {
    rule.kernel = at(node.get_ints("kernel_shape"), 0, 1);
  }
  rule.stride = at(node.get_ints("strides"), 0, 1);
  rule.dilation = node.op == "Conv" ? at(node.get_ints("dilations"), 0, 1) : 1;
  const auto pads = node.get_ints("pads");
  rule.pad_before = at(pads, 0, 0);
  rule.pad_after = at(pads, pads.size() / 2, 0);
  if (rule.kernel < 1 || rule.stride < 1 || rule.dilation < 1 || rule.pad_before < 0 ||
      rule.pad_after < 0)
    return std::nullopt;
  const std::int64_t reach = rule.dilation * (rule.kernel - 1) + 1;
  const std::int64_t padded = in->shape[1] + rule.pad_before + rule.pad_after;
  if (padded < reach || (padded - reach) / rule.stride + 1 != out->shape[1]) return std::nullopt;
  rule.operands.assign(node.inputs.size(), Operand::Whole);
  rule.operands[0] = Operand::Rows;
  return rule;
}

std::optional<RowRule> elementwise_rule(const espdl::Node& node, const espdl::ModelIndex& index) {
  const Shape& shape = index.value(node.outputs[0])->shape;
  RowRule rule;
  bool any = false;
  for (const auto& name : node.inputs) {
    const auto* constant = index.initializer(name);
    const auto* value = constant == nullptr ? index.value(name) : nullptr;
    if (value != nullptr && value->shape.size() == shape.size() && value->shape[1] == shape[1]) {
      rule.operands.push_back(Operand::Rows);
      any = true;
      continue;
    }
    const Shape* other = constant != nullptr ? &constant->data.shape()
                         : value != nullptr  ? &value->shape
                                             : nullptr;
    // PRelu has a slope for each channel, however its axes are written (ESP-DL 3.12).
    const bool is_slope = node.op == "PRelu" && constant != nullptr;
    if (!is_slope && (other == nullptr ? !name.empty() : !spans_no_rows(*other, shape.size())))
      return std::nullopt;
    rule.operands.push_back(Operand::Whole);
  }
  if (!any) return std::nullopt;
  return rule;
}

/// Of an axis attribute, counted from the front.
std::int64_t positive(std::int64_t axis, std::size_t rank) {
  return axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis;
}

std::optional<RowRule> concat_rule(const espdl::Node& node, const espdl::ModelIndex& index) {
  const std::size_t rank = index.value(node.outputs[0])->shape.size();
  if (positive(node.get_int("axis", 0), rank) < 2) return std::nullopt;
  for (const auto& name : node.inputs)
    if (index.initializer(name) != nullptr || !has_rows(index.value(name))) return std::nullopt;
  RowRule rule;
  rule.operands.assign(node.inputs.size(), Operand::Rows);
  return rule;
}

std::optional<RowRule> split_rule(const espdl::Node& node, const espdl::ModelIndex& index) {
  const std::size_t rank = index.value(node.inputs[0])->shape.size();
  if (node.op == "Split") {
    if (positive(node.get_int("axis", 0), rank) < 2) return std::nullopt;
  } else {  // Slice
    const auto* axes = node.inputs.size() > 3 ? index.initializer(node.inputs[3]) : nullptr;
    if (axes == nullptr || axes->data.size() == 0) return std::nullopt;
    const Tensor wide = axes->data.cast(DType::Int64);
    for (const std::int64_t axis : wide.data<std::int64_t>())
      if (positive(axis, rank) < 2) return std::nullopt;
  }
  RowRule rule;
  rule.operands.assign(node.inputs.size(), Operand::Whole);
  rule.operands[0] = Operand::Rows;
  return rule;
}

/// Twice as many rows, each of them twice. Extents must follow from the factors.
std::optional<RowRule> resize_rule(const espdl::Node& node, const espdl::ModelIndex& index) {
  const auto& in = index.value(node.inputs[0])->shape;
  const auto& out = index.value(node.outputs[0])->shape;
  if (node.get_string("mode", "nearest") != "nearest" || out[1] != 2 * in[1]) return std::nullopt;
  RowRule rule;
  rule.grows = 2;
  bool has_factors = false;
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    const auto* constant = index.initializer(node.inputs[i]);
    if (node.inputs[i].empty()) continue;
    if (constant == nullptr || constant->data.dtype() == DType::Int64) return std::nullopt;
    has_factors = has_factors || constant->data.size() > 0;
  }
  if (!has_factors) return std::nullopt;
  rule.operands.assign(node.inputs.size(), Operand::Whole);
  rule.operands[0] = Operand::Rows;
  return rule;
}

}  // namespace

std::optional<RowRule> row_rule(const espdl::Node& node, const espdl::ModelIndex& index) {
  if (node.inputs.empty() || node.outputs.empty()) return std::nullopt;
  if (!has_rows(index.value(node.inputs[0])) || index.initializer(node.inputs[0]) != nullptr)
    return std::nullopt;
  for (const auto& name : node.outputs)
    if (!has_rows(index.value(name))) return std::nullopt;
  if (node.op == "Conv" || node.op == "MaxPool" || node.op == "AveragePool")
    return node.outputs.size() == 1 ? window_rule(node, index) : std::nullopt;
  if (is_elementwise(node.op)) return elementwise_rule(node, index);
  if (node.op == "Concat") return concat_rule(node, index);
  if (node.op == "Split" || node.op == "Slice") return split_rule(node, index);
  if (node.op == "Resize") return resize_rule(node, index);
  return std::nullopt;
}

NeededRows rows_needed(const RowRule& rule, const Rows& output, std::int64_t extent) {
  if (rule.grows > 1)
    return {{output.first / rule.grows, (output.end + rule.grows - 1) / rule.grows}, 0, 0};
  const std::int64_t first = output.first * rule.stride - rule.pad_before;
  const std::int64_t end =
      (output.end - 1) * rule.stride - rule.pad_before + rule.dilation * (rule.kernel - 1) + 1;
  return {{std::max<std::int64_t>(first, 0), std::min(end, extent)},
          std::max<std::int64_t>(-first, 0),
          std::max<std::int64_t>(end - extent, 0)};
}

bool stays_inside(const RowRule& rule, const NeededRows& needed, std::int64_t outputs) {
  if (rule.grows > 1) return true;
  const std::int64_t reach = rule.dilation * (rule.kernel - 1) + 1;
  const std::int64_t rows = needed.rows.count();
  if (rows < 1 || needed.pad_before >= reach || needed.pad_after >= reach) return false;
  const std::int64_t head = (needed.pad_before + rule.stride - 1) / rule.stride;
  const std::int64_t body =
      std::max<std::int64_t>((rows + needed.pad_before - reach) / rule.stride + 1 - head, 0);
  return head + body <= outputs &&
         (body == 0 || (head + body - 1) * rule.stride - needed.pad_before + reach <= rows);
}

bool same_on_fewer(const espdl::Node& node, const espdl::ModelIndex& index, std::int64_t elements,
                   const Target& target) {
  if (!is_elementwise(node.op)) return true;
  if (elements < kLeastElements) return false;
  if (node.op != "RequantizeLinear") return true;
  const auto* in = index.value(node.inputs[0]);
  const auto* out = index.value(node.outputs[0]);
  return !sim::assign_leaves_tail_unwritten(in->dtype, out->dtype, out->exponent() - in->exponent(),
                                            elements, target.family);
}

void set_row_pads(espdl::Node& node, std::int64_t before, std::int64_t after) {
  auto pads = node.get_ints("pads");
  if (pads.size() < 2) return;
  pads[0] = before;
  pads[pads.size() / 2] = after;
  node.attributes.insert_or_assign("pads", std::move(pads));
}

}  // namespace espquant::schedule
