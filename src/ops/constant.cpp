#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "ops/operators.h"
#include "ops/visit.h"

/// Constant, ConstantOfShape, Range, Shape, Size: tensors made from attributes and shapes.
namespace espquant::ops {
namespace {

Tensor constant_of(const Attributes& attributes) {
  if (const Tensor* value = attributes.get_tensor("value")) return *value;
  if (attributes.has("value_int")) return Tensor::scalar(attributes.get_int("value_int", 0));
  if (attributes.has("value_float")) return Tensor::scalar(attributes.get_float("value_float", 0));
  if (attributes.has("value_ints")) {
    const auto values = attributes.get_ints("value_ints");
    return Tensor::of<std::int64_t>({static_cast<std::int64_t>(values.size())}, std::span(values));
  }
  if (attributes.has("value_floats")) {
    const auto values = attributes.get_floats("value_floats");
    return Tensor::of<float>({static_cast<std::int64_t>(values.size())}, std::span(values));
  }
  unsupported("a Constant that is neither a tensor nor numbers",
              "Strings and sparse tensors are not handled");
}

void infer_constant(const InferContext& context) {
  const Tensor value = constant_of(context.node.attributes);
  set_output(context, 0, value.dtype(), value.shape());
}

void run_constant(const RunContext& context) {
  context.outputs[0] = constant_of(context.node.attributes);
}

Tensor fill_value(const Attributes& attributes) {
  const Tensor* value = attributes.get_tensor("value");
  if (value == nullptr) return Tensor::scalar(0.0F);
  if (value->size() != 1) malformed("attribute 'value' must have one element");
  return *value;
}

void infer_constant_of_shape(const InferContext& context) {
  set_output(context, 0, fill_value(context.node.attributes).dtype(), context.constant_ints(0));
}

void run_constant_of_shape(const RunContext& context) {
  Tensor& out = context.outputs[0];
  const Tensor value = fill_value(context.node.attributes);
  visit_width(out.dtype(), [&]<typename T>(T) {
    auto to = mutable_raw<T>(out);
    std::fill(to.begin(), to.end(), raw<T>(value)[0]);
  });
}

template <typename T>
std::int64_t range_length(T start, T limit, T delta) {
  if (delta == T{0}) malformed("Range with a step of zero");
  const double length = std::ceil((static_cast<double>(limit) - static_cast<double>(start)) /
                                  static_cast<double>(delta));
  if (!(length <= static_cast<double>(kMaxElements))) bad_data("Range of too many elements");
  return std::max<std::int64_t>(static_cast<std::int64_t>(std::max(length, 0.0)), 0);
}

void infer_range(const InferContext& context) {
  for (std::size_t i = 0; i < 3; ++i) {
    require_same_dtype(context, 0, i);
    if (element_count(context.shape(i)) != 1) malformed("Range of something other than scalars");
    if (context.inputs[i].constant == nullptr)
      unsupported("Range of bounds that depend on the network's data",
                  "Shapes must be known at conversion time: export with fixed sizes");
  }
  visit_number(context.dtype(0), [&]<typename T>(T) {
    const auto scalar = [&](std::size_t i) { return context.inputs[i].constant->data<T>()[0]; };
    set_output(context, 0, context.dtype(0), {range_length(scalar(0), scalar(1), scalar(2))});
  });
}

void run_range(const RunContext& context) {
  visit_number(context.in(0).dtype(), [&]<typename T>(T) {
    const T start = context.in(0).data<T>()[0], delta = context.in(2).data<T>()[0];
    auto to = context.outputs[0].mutable_data<T>();
    for (std::size_t i = 0; i < to.size(); ++i)
      to[i] = wrapping_add(start, wrapping_mul(static_cast<T>(i), delta));
  });
}

Tensor extents_between(const Node& node, const Shape& shape) {
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto clamp = [&](std::int64_t i) {
    return std::clamp<std::int64_t>(i < 0 ? i + rank : i, 0, rank);
  };
  const std::int64_t start = clamp(node.attributes.get_int("start", 0));
  const std::int64_t end = std::max(start, clamp(node.attributes.get_int("end", rank)));
  return Tensor::of<std::int64_t>({end - start},
                                  std::span(shape).subspan(static_cast<std::size_t>(start),
                                                           static_cast<std::size_t>(end - start)));
}

void set_value(const InferContext& context, Tensor value) {
  set_output(context, 0, value.dtype(), value.shape());
  context.outputs[0].value = std::move(value);
}

void infer_shape(const InferContext& context) {
  set_value(context, extents_between(context.node, context.shape(0)));
}
void run_shape(const RunContext& context) {
  context.outputs[0] = extents_between(context.node, context.in(0).shape());
}

void infer_size(const InferContext& context) {
  set_value(context, Tensor::scalar(element_count(context.shape(0))));
}
void run_size(const RunContext& context) {
  context.outputs[0] = Tensor::scalar(context.in(0).size());
}

}  // namespace

const OpDef kConstant{"Constant", QuantRule::None, infer_constant, run_constant};
const OpDef kConstantOfShape{"ConstantOfShape", QuantRule::None, infer_constant_of_shape,
                             run_constant_of_shape};
const OpDef kRange{"Range", QuantRule::None, infer_range, run_range};
const OpDef kShape{"Shape", QuantRule::None, infer_shape, run_shape, nullptr, nullptr, true};
const OpDef kSize{"Size", QuantRule::None, infer_size, run_size, nullptr, nullptr, true};

}  // namespace espquant::ops
