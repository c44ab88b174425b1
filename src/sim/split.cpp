#include <fmt/format.h>

#include <cstring>
#include <numeric>

#include "sim/operators.h"
#include "sim/prepare.h"

/// Split (ESP-DL 3.14): rows are copied to the outputs in order.
namespace espquant::sim {
namespace {

void require_parts(const NodeContext& context, std::int64_t count) {
  if (count == std::ssize(context.node.outputs)) return;
  refuse(fmt::format("{} parts for {} outputs (ESP-DL takes num_outputs for the size of a part)",
                     count, context.node.outputs.size()),
         "Give the sizes as a constant input");
}

/// Where the sizes are not given, the runtime reads num_outputs as the size of a part. The number
/// of parts that this makes agrees with the model only where ONNX's sizes come out as well.
std::vector<std::int64_t> equal_parts(const NodeContext& context, std::int64_t extent) {
  const std::int64_t size = context.node.get_int("num_outputs", -1);
  if (size <= 0)
    refuse("Split with neither sizes nor num_outputs", "Give the sizes as a constant input");
  const std::int64_t count = extent / size + (extent % size != 0 ? 1 : 0);
  require_parts(context, count);
  std::vector<std::int64_t> parts(static_cast<std::size_t>(count), size);
  if (count > 0) parts.back() = extent - size * (count - 1);
  return parts;
}

std::vector<std::int64_t> part_sizes(const NodeContext& context, std::int64_t extent) {
  std::vector<std::int64_t> parts = has_parameter(context, 1, "split")
                                        ? integer_parameter(context, 1, "split")
                                        : equal_parts(context, extent);
  for (std::int64_t part : parts)
    if (part < 0 || part > extent) refuse("Split into a part of impossible size", "Check 'split'");
  require_parts(context, std::ssize(parts));
  if (std::accumulate(parts.begin(), parts.end(), std::int64_t{0}) != extent)
    refuse(fmt::format("the parts do not add up to {}", extent), "Check the input 'split'");
  return parts;
}

}  // namespace

Prepared prepare_split(const NodeContext& context) {
  const DType dtype = context.input(0).dtype;
  const Shape& in = context.input(0).shape;
  if (in.empty()) refuse("ESP-DL does not split a tensor without axes", "Drop the node");
  const std::size_t axis = checked_axis(context.node.get_int("axis", 0), in.size());
  const std::vector<std::int64_t> parts = part_sizes(context, in[axis]);
  const AxisSplit whole = split_at(in, axis);
  const std::size_t unit = static_cast<std::size_t>(whole.inner) * size_of(dtype);

  Prepared prepared;
  std::vector<std::size_t> part_bytes;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Shape shape = in;
    shape[axis] = parts[i];
    part_bytes.push_back(static_cast<std::size_t>(parts[i]) * unit);
    prepared.outputs.push_back(context.node.outputs[i].empty()
                                   ? TensorDesc{}
                                   : output_desc(context, i, std::move(shape), dtype));
    if (!is_float(dtype) && prepared.outputs[i].dtype != DType::Undefined &&
        prepared.outputs[i].exponent() != context.input(0).exponent())
      add_fault(prepared, "exponents-ignored");
  }
  prepared.kernel =
      make_kernel([part_bytes = std::move(part_bytes), rows = whole.outer](const KernelArgs& args) {
        const std::byte* from = args.inputs[0];
        for (std::int64_t row = 0; row < rows; ++row)
          for (std::size_t i = 0; i < part_bytes.size(); ++i) {
            const std::size_t bytes = part_bytes[i];
            if (args.outputs[i] != nullptr)
              std::memcpy(args.outputs[i] + static_cast<std::size_t>(row) * bytes, from, bytes);
            from += bytes;
          }
      });
  return prepared;
}

}  // namespace espquant::sim
