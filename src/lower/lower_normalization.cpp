#include <fmt/format.h>

#include "base/strided_copy.h"
#include "lower/rules.h"

/// LayerNormalization, RMSNormalization, LpNormalization (ESP-DL 3.18): rows of innermost elements.
namespace espquant::lower {
namespace {

void refuse_statistics(const Builder& b, const Node& n) {
  for (std::size_t i = 1; i < n.outputs.size(); ++i) {
    const ValueId v = n.outputs[i];
    if (v != kNone && (!b.graph().value(v).consumers.empty() || b.graph().is_output(v)))
      refuse(n, fmt::format("its output {} is used, which espquant does not write", i),
             "Compute means and deviations by nodes of their own");
  }
}

/// A gain or bias, which ONNX broadcasts to the elements that are normalized together, for each of
/// them.
Tensor for_each_element(const Node& n, const Tensor& given, const Shape& normalized) {
  const Shape& own = given.shape();
  const auto misfit = [&] {
    refuse(n,
           fmt::format("a gain or bias of shape {} for elements of shape {}", to_string(own),
                       to_string(normalized)),
           "Give it one element for each that is normalized");
  };
  if (own.size() > normalized.size()) misfit();
  const std::size_t missing = normalized.size() - own.size();
  StridedView view{normalized, Shape(normalized.size(), 0), 0};
  std::int64_t stride = 1;
  for (std::size_t i = own.size(); i-- > 0;) {
    if (own[i] != 1 && own[i] != normalized[missing + i]) misfit();
    if (own[i] != 1) view.strides[missing + i] = stride;
    stride *= own[i];
  }
  Tensor spread(given.dtype(), normalized);
  strided_copy(simplified(std::move(view)), size_of(given.dtype()), given.bytes().data(),
               spread.mutable_bytes().data());
  return spread;
}

struct Rows {
  std::int64_t axis;
  /// Of the axes from there on.
  Shape normalized;
};

Rows rows_of(const Builder& b, const Node& n) {
  const Shape& shape = b.shape(n.inputs[0]);
  const std::int64_t axis =
      normalize_axis(n.attributes.get_int("axis", -1), static_cast<std::int64_t>(shape.size()));
  return {axis, Shape(shape.begin() + axis, shape.end())};
}

const Tensor& constant_operand(const Builder& b, const Node& n, std::size_t input) {
  const Value& value = b.graph().value(n.inputs[input]);
  if (!value.is_constant())
    refuse(n, "its gain or bias is computed at run time", "Make it a constant");
  return value.constant;
}

void write_rows(Builder& b, const Node& n, const Rows& rows, std::vector<std::string> operands) {
  const Perm perm = identity_perm(b.shape(n.inputs[0]).size());
  operands.insert(operands.begin(), b.read_as(n.inputs[0], perm, input_quant(b, n)));
  espdl::Node& node = b.node(n.op, n.name, std::move(operands), {b.define(n.outputs[0], perm)},
                             quant_of(b, n.outputs[0]).bits);
  node.attributes["axis"] = rows.axis;
  node.attributes["epsilon"] = n.attributes.get_float("epsilon", 1e-5F);
}

}  // namespace

void lower_layer_normalization(Builder& b, const Node& n) {
  refuse_statistics(b, n);
  const Rows rows = rows_of(b, n);
  std::vector<std::string> operands;
  for (std::size_t i : {1, 2}) {
    if (n.input(i) == kNone) continue;
    const TensorQuant& quant = quant_of(b, n.inputs[i]);
    const Tensor all = for_each_element(n, constant_operand(b, n, i), rows.normalized);
    operands.push_back(b.constant(b.unique_name(b.graph().value(n.inputs[i]).name),
                                  b.quantized(all, quant), quant.exponents));
  }
  write_rows(b, n, rows, std::move(operands));
}

void lower_rms_normalization(Builder& b, const Node& n) {
  const Rows rows = rows_of(b, n);
  // The gain stays float (ESP-DL 4.3).
  const Tensor gain = for_each_element(n, constant_operand(b, n, 1), rows.normalized);
  write_rows(b, n, rows, {b.constant(b.unique_name(b.graph().value(n.inputs[1]).name), gain, {0})});
}

void lower_lp_normalization(Builder& b, const Node& n) {
  const Perm perm = b.stored(n.inputs[0]).perm;
  const std::int64_t axis =
      normalize_axis(n.attributes.get_int("axis", -1), static_cast<std::int64_t>(perm.size()));
  const std::string input = b.read_as(n.inputs[0], perm, input_quant(b, n));
  espdl::Node& node =
      b.node(n.op, n.name, {input}, {b.define(n.outputs[0], perm)}, quant_of(b, n.outputs[0]).bits);
  node.attributes["axis"] = stored_axis(perm, axis);
  node.attributes["p"] = n.attributes.get_int("p", 2);
}

}  // namespace espquant::lower
