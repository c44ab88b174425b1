#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/operators.h"
#include "sim/prepare.h"

/// Pad (ESP-DL 3.14): constant, edge or reflect, without any change of value.
namespace espquant::sim {
namespace {

enum class PadMode : std::uint8_t { Constant, Edge, Reflect };

/// Where the elements of each axis come from; kOutside for the constant.
constexpr std::int64_t kOutside = -1;

struct PadPlan {
  Shape in;
  std::vector<std::vector<std::int64_t>> sources;
  /// Elements behind the innermost padded axis, moved as one block.
  std::int64_t block = 1;
  std::vector<std::int64_t> in_steps, out_steps;
};

PadMode mode_of(const NodeContext& context) {
  const std::string mode = context.node.get_string("mode", "");
  if (mode == "constant") return PadMode::Constant;
  if (mode == "edge") return PadMode::Edge;
  if (mode == "reflect") return PadMode::Reflect;
  refuse(fmt::format("ESP-DL does not pad in mode '{}'", mode),
         "Use constant, edge or reflect, and store the attribute");
}

std::int64_t source_index(std::int64_t i, std::int64_t extent, PadMode mode) {
  if (i >= 0 && i < extent) return i;
  switch (mode) {
    case PadMode::Constant:
      return kOutside;
    case PadMode::Edge:
      return std::clamp<std::int64_t>(i, 0, extent - 1);
    case PadMode::Reflect:
      return i < 0 ? -i : 2 * (extent - 1) - i;
  }
  return kOutside;
}

std::vector<std::int64_t> read_pads(const NodeContext& context, std::size_t rank) {
  if (!has_parameter(context, 1, "pads")) refuse("Pad without pads", "Export them as a constant");
  if (context.has_input(1) && context.input(1).dtype != DType::Int64)
    refuse("ESP-DL reads the pads as int64 and takes other types for zeros", "Store them as int64");
  auto pads = integer_parameter(context, 1, "pads");
  if (pads.size() != 2 * rank)
    refuse(fmt::format("{} pads for {} axes", pads.size(), rank), "Give a pad for every axis");
  if (std::any_of(pads.begin(), pads.end(), [](std::int64_t p) { return p < 0 || p > 1 << 24; }))
    refuse("ESP-DL does not crop with negative pads", "Use a Slice");
  return pads;
}

/// What the runtime's kernels for 1 to 4 axes, 5 axes and more can do.
void check_reach(const Shape& in, const std::vector<std::int64_t>& pads, PadMode mode) {
  const std::size_t rank = in.size();
  if (mode == PadMode::Constant) return;
  if (rank > 5)
    refuse(fmt::format("ESP-DL pads {} axes with constants only", rank), "Reshape to fewer axes");
  if (rank == 5) {
    const bool outer = pads[0] != 0 || pads[5] != 0;
    const bool folded = in[0] != 1 && (pads[1] != 0 || pads[6] != 0);
    if (outer || folded)
      refuse("ESP-DL folds the outer two of 5 axes before it pads them by edge or reflection",
             "Pad inner axes only");
  }
  if (mode != PadMode::Reflect) return;
  for (std::size_t i = 0; i < rank; ++i)
    if (pads[i] >= in[i] || pads[i + rank] >= in[i])
      refuse(
          fmt::format("reflection by {} and {} of an axis of {}", pads[i], pads[i + rank], in[i]),
          "Reflect by less than the extent");
}

PadPlan plan_pad(const Shape& in, const std::vector<std::int64_t>& pads, PadMode mode,
                 const Shape& out) {
  PadPlan plan;
  plan.in = in;
  std::size_t axes = in.size();
  while (axes > 0 && pads[axes - 1] == 0 && pads[axes - 1 + in.size()] == 0)
    plan.block *= in[--axes];
  element_count(out);  // throws where no int64 holds it, and so the strides
  const Shape in_strides = strides_of(in), out_strides = strides_of(out);
  for (std::size_t a = 0; a < axes; ++a) {
    std::vector<std::int64_t> sources;
    for (std::int64_t o = 0; o < out[a]; ++o)
      sources.push_back(source_index(o - pads[a], in[a], mode));
    plan.sources.push_back(std::move(sources));
    plan.in_steps.push_back(in_strides[a]);
    plan.out_steps.push_back(out_strides[a]);
  }
  return plan;
}

template <typename T>
void pad_axis(const PadPlan& plan, std::size_t axis, const T* in, T value, T* out) {
  if (axis == plan.sources.size()) {
    if (plan.block > 0) std::memcpy(out, in, static_cast<std::size_t>(plan.block) * sizeof(T));
    return;
  }
  const std::int64_t step = plan.out_steps[axis];
  for (std::int64_t source : plan.sources[axis]) {
    if (source == kOutside)
      std::fill_n(out, step, value);
    else
      pad_axis(plan, axis + 1, in + source * plan.in_steps[axis], value, out);
    out += step;
  }
}

/// The bytes of the constant, read as the tensor's type whatever theirs is.
template <typename T>
T raw_value(const NodeContext& context) {
  T value = 0;
  if (!context.has_input(2)) return value;
  const auto bytes = context.constant(2).data.bytes();
  if (!bytes.empty()) std::memcpy(&value, bytes.data(), std::min(sizeof(T), bytes.size()));
  return value;
}

template <typename T>
void note_constant(const NodeContext& context, Prepared& prepared) {
  if (!context.has_input(2) || raw_value<T>(context) == T{0}) return;
  const TensorDesc &value = context.input(2), &input = context.input(0);
  if (value.dtype != input.dtype ||
      (!is_float(input.dtype) && value.exponent() != input.exponent()))
    add_fault(prepared, "pad-value-read-raw");
}

}  // namespace

Prepared prepare_pad(const NodeContext& context) {
  const TensorDesc& input = context.input(0);
  if (input.shape.empty()) refuse("ESP-DL does not pad a tensor without axes", "Reshape it");
  const PadMode mode = mode_of(context);
  const auto pads = read_pads(context, input.shape.size());
  check_reach(input.shape, pads, mode);
  Shape shape = input.shape;
  for (std::size_t i = 0; i < shape.size(); ++i) shape[i] += pads[i] + pads[i + shape.size()];

  PadPlan plan = plan_pad(input.shape, pads, mode, shape);
  return visit_element_type(input.dtype, [&]<typename T>() {
    auto kernel = make_kernel(
        [plan = std::move(plan), value = raw_value<T>(context)](const KernelArgs& args) {
          pad_axis(plan, 0, args.in<T>(0), value, args.out<T>(0));
        });
    Prepared prepared = prepared_with(context, shape, input.dtype, std::move(kernel));
    check_exponents(context, prepared, {0});
    if (mode == PadMode::Constant) note_constant<T>(context, prepared);
    return prepared;
  });
}

}  // namespace espquant::sim
