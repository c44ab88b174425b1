#include "sim/prepare.h"

#include <fmt/format.h>

#include <algorithm>

namespace espquant::sim {
namespace {


/// No tensor of a microcontroller comes near; a file that declares more is broken.
constexpr std::int64_t kMaxTensorBytes = std::int64_t{1} << 31;

DType type_named(const NodeContext& context, std::string_view quant_type) {
  if (quant_type == "S8") return DType::Int8;
  if (quant_type == "S16") return DType::Int16;
  if (quant_type == "F32") return DType::Float32;
  throw Error(ErrorCode::Malformed, fmt::format("quant_type '{}' is not known", quant_type))
      .node(context.node.name)
      .remedy("S8, S16 and F32 are");
}

std::vector<std::int64_t> integers_of(const Tensor& tensor) {
  if (tensor.dtype() != DType::Int64 && tensor.dtype() != DType::Int32)
    refuse(
        fmt::format("a parameter of type {}, where ESP-DL reads int64", to_string(tensor.dtype())),
        "Store it as int64");
  const Tensor wide = tensor.cast(DType::Int64);
  const auto values = wide.data<std::int64_t>();
  return {values.begin(), values.end()};
}

}  // namespace

const Operator& find_operator(const espdl::Node& node) {
  for (const Operator& op : all_operators())
    if (op.type == node.op) return op;
  throw Error(ErrorCode::Unsupported,
              fmt::format("operator '{}' is not one that ESP-DL runs", node.op))
      .node(node.name)
      .remedy("Express it with operators of ESP-DL's table, or compute it outside of the network");
}

TensorDesc describe(const espdl::Constant& constant) {
  return {constant.data.dtype(), constant.data.shape(), constant.exponents};
}

TensorDesc describe(const espdl::ValueInfo& value) {
  return {value.dtype, value.shape,
          value.exponents.empty() ? std::vector<int>{0} : value.exponents};
}

void check_desc(const std::string& name, const TensorDesc& desc) {
  if (size_of(desc.dtype) == 0)
    throw Error(ErrorCode::Malformed, "the model does not say the type of its elements")
        .tensor(name)
        .remedy("Export the model again");
  if (std::find(desc.shape.begin(), desc.shape.end(), 0) != desc.shape.end())
    throw Error(ErrorCode::BadData,
                fmt::format("shape {} holds no elements, with which ESP-DL's kernels do not reckon",
                            to_string(desc.shape)))
        .tensor(name)
        .remedy("Check the shape of the model's input");
  if (element_count(desc.shape) > kMaxTensorBytes / static_cast<std::int64_t>(size_of(desc.dtype)))
    throw Error(ErrorCode::BadData,
                fmt::format("shape {} is beyond any chip", to_string(desc.shape)))
        .tensor(name)
        .remedy("Check the shape of the model's input");
}

void refuse(std::string rule, std::string_view remedy) {
  throw Error(ErrorCode::Illegal, std::move(rule)).remedy(remedy);
}

DType element_type(const NodeContext& context) {
  const DType stored = context.input(0).dtype;
  const std::string quant_type = context.node.get_string("quant_type", "");
  if (quant_type.empty()) return stored;
  const DType computed = type_named(context, quant_type);
  if (computed != stored)
    refuse(fmt::format("quant_type is {}, but input 0 is {}", quant_type, to_string(stored)),
           "Insert a requantize node, or quantize the tensor as the operator is");
  return computed;
}

void require_type(const NodeContext& context, std::size_t i, DType dtype) {
  if (context.input(i).dtype == dtype) return;
  refuse(
      fmt::format("input {} is {}, where {} of {} reads {}", i, to_string(context.input(i).dtype),
                  context.node.op, to_string(context.input(0).dtype), to_string(dtype)),
      "Insert a requantize node, or quantize both tensors alike");
}

TensorDesc output_desc(const NodeContext& context, std::size_t i, Shape shape, DType written) {
  if (i >= context.declared.size() || context.declared[i].dtype == DType::Undefined)
    throw Error(ErrorCode::Malformed, fmt::format("the model does not describe output {}", i))
        .node(context.node.name)
        .remedy("Export the model again");
  const TensorDesc& declared = context.declared[i];
  if (declared.dtype != written)
    refuse(fmt::format("{} writes {}, but the model declares {}", context.node.op,
                       to_string(written), to_string(declared.dtype)),
           "Export the model again with the type that the operator writes");
  return {written, std::move(shape), declared.exponents};
}

Prepared prepared_with(const NodeContext& context, Shape shape, DType written,
                       std::unique_ptr<Kernel> kernel) {
  Prepared prepared;
  prepared.outputs.push_back(output_desc(context, 0, std::move(shape), written));
  prepared.kernel = std::move(kernel);
  return prepared;
}

bool uses_vector_kernels(const NodeContext& context) {
  const Family family = context.target.family;
  return family == Family::S3 || (family == Family::P4 && !context.options.p4_portable_kernels);
}

void note_portable_kernel(const NodeContext& context, Prepared& prepared) {
  if (context.target.family == Family::P4 && context.options.p4_portable_kernels)
    add_fault(prepared, "p4-vector-kernel-differs");
}

void add_fault(Prepared& prepared, std::string_view name) {
  if (std::find(prepared.faults.begin(), prepared.faults.end(), name) == prepared.faults.end())
    prepared.faults.emplace_back(name);
}

void check_exponents(const NodeContext& context, Prepared& prepared,
                     std::initializer_list<std::size_t> inputs) {
  const TensorDesc& output = prepared.outputs.at(0);
  for (std::size_t i : inputs) {
    if (!context.has_input(i) || is_float(context.inputs[i].dtype)) continue;
    if (context.inputs[i].exponent() != output.exponent()) add_fault(prepared, "exponents-ignored");
  }
}

float chip_scale(int exponent) {
  if (exponent < -kLargestScaleShift || exponent > kLargestScaleShift)
    refuse(fmt::format("2^{} overflows the 32-bit shift that ESP-DL computes it with", exponent),
           "Choose exponents between -30 and 30");
  return pow2(exponent);
}

std::vector<std::int64_t> integer_parameter(const NodeContext& context, std::size_t input,
                                            std::string_view attribute) {
  if (context.has_input(input)) return integers_of(context.constant(input).data);
  if (attribute.empty() || !context.node.has(attribute)) return {};
  const auto value = context.node.attributes.find(attribute);
  if (const auto* tensor = std::get_if<espdl::Constant>(&value->second))
    return integers_of(tensor->data);
  if (const auto* single = std::get_if<std::int64_t>(&value->second)) return {*single};
  return context.node.get_ints(attribute);
}

bool has_parameter(const NodeContext& context, std::size_t input, std::string_view attribute) {
  return context.has_input(input) || (!attribute.empty() && context.node.has(attribute));
}

std::size_t checked_axis(std::int64_t axis, std::size_t rank) {
  const auto r = static_cast<std::int64_t>(rank);
  if (axis < -r || axis >= r)
    refuse(fmt::format("axis {} of a tensor with {} axes", axis, rank), "Export the model again");
  return static_cast<std::size_t>(axis < 0 ? axis + r : axis);
}

AxisSplit split_at(const Shape& shape, std::size_t axis) {
  AxisSplit split;
  for (std::size_t i = 0; i < shape.size(); ++i)
    (i < axis ? split.outer : i == axis ? split.length : split.inner) *= shape[i];
  return split;
}

void require_single_image(const NodeContext& context, const Shape& shape, std::size_t least_rank,
                          std::size_t most_rank) {
  if (shape.size() < least_rank || shape.size() > most_rank)
    refuse(fmt::format("{} of shape {}, where ESP-DL takes {} to {} axes, channels last",
                       context.node.op, to_string(shape), least_rank, most_rank),
           "Reshape the tensor before the operator");
  if (shape[0] != 1)
    refuse(
        fmt::format("{} of {} images: ESP-DL computes only the first", context.node.op, shape[0]),
        "Export the model for a batch of one");
}

}  // namespace espquant::sim
