#include "cost/scratch.h"

#include <algorithm>
#include <cmath>

#include "cost/arena.h"

namespace espquant::cost {
namespace {

constexpr std::size_t kTableEntries = 256;

/// A node with the types and shapes of what it reads and writes.
class Description {
 public:
  Description(const espdl::Node& node, const espdl::ModelIndex& index)
      : node_(node), index_(index) {}

  const espdl::Constant* constant(std::size_t input) const {
    return input < node_.inputs.size() ? index_.initializer(node_.inputs[input]) : nullptr;
  }
  const espdl::ValueInfo* input(std::size_t i) const {
    return i < node_.inputs.size() ? index_.value(node_.inputs[i]) : nullptr;
  }
  const espdl::ValueInfo* output() const {
    return node_.outputs.empty() ? nullptr : index_.value(node_.outputs.front());
  }
  bool is_int8() const { return input(0) != nullptr && input(0)->dtype == DType::Int8; }
  /// Last axis of the first input and output: the channels of N,H,W,C.
  std::size_t in_channels() const { return last_axis(input(0)); }
  std::size_t out_channels() const { return last_axis(output()); }

 private:
  static std::size_t last_axis(const espdl::ValueInfo* value) {
    return value == nullptr || value->shape.empty() ? 0
                                                    : static_cast<std::size_t>(value->shape.back());
  }

  const espdl::Node& node_;
  const espdl::ModelIndex& index_;
};

/// The S3 re-packs the bias into 20-bit and 40-bit fields at the first run (4.3).
std::size_t packed_bias_bytes(std::size_t channels, bool int8, bool depthwise) {
  if (!int8) return aligned_size(channels * 8);
  const std::size_t in_lanes = depthwise ? channels : channels / 16 * 16;
  return aligned_size(in_lanes * 4 + (channels - in_lanes) * 8);
}

bool has_pads(const espdl::Node& node) {
  const auto pads = node.get_ints("pads", {});
  return std::any_of(pads.begin(), pads.end(), [](std::int64_t pad) { return pad != 0; });
}

/// Gemm and MatMul are 1x1 convolutions, too.
bool is_pointwise(const espdl::Node& node, const Description& d) {
  if (node.op != "Conv") return true;
  const auto* filter = d.constant(1);
  if (filter == nullptr || filter->data.shape().size() < 3 || node.get_int("group", 1) > 1)
    return false;
  const Shape& shape = filter->data.shape();
  return std::all_of(shape.begin(), shape.end() - 2, [](std::int64_t side) { return side == 1; });
}

std::size_t portable_convolution_bytes(const espdl::Node& node, const Description& d,
                                       const Target& target) {
  if (target.release.has(Feature::PortableRows) && is_pointwise(node, d) && !has_pads(node))
    return aligned_size(8 * d.in_channels() + (d.is_int8() ? 16 * d.out_channels() : 0));
  const std::size_t accumulator = d.is_int8() ? 4 : 8;
  return aligned_size(d.out_channels() * accumulator);
}

NodeScratch convolution(const espdl::Node& node, const Description& d, const Target& target,
                        bool copied) {
  NodeScratch scratch;
  if (target.family == Family::C) scratch.per_run = portable_convolution_bytes(node, d, target);
  if (const auto* filter = d.constant(1);
      target.family == Family::P4 && filter != nullptr && filter->exponents.size() > 1)
    scratch.per_run = aligned_size(d.out_channels() * (d.is_int8() ? 1 : 2));
  // Pixels of the padding are the kernel on a vector of zeros.
  if (target.family != Family::C && target.release.has(Feature::TiledPointwise) &&
      is_pointwise(node, d) && has_pads(node))
    scratch.per_run += aligned_size(d.in_channels() * (d.is_int8() ? 1 : 2));
  if (const auto* bias = d.constant(2); target.family == Family::S3 && bias != nullptr) {
    const std::size_t packed =
        packed_bias_bytes(static_cast<std::size_t>(bias->data.size()), d.is_int8(),
                          node.op == "Conv" && node.get_int("group", 1) > 1);
    const std::size_t stored = aligned_size(bias->data.byte_size());
    scratch.kept = copied ? packed - std::min(packed, stored) : packed;
  }
  return scratch;
}

NodeScratch recurrent(const espdl::Node& node, const Description& d) {
  const auto hidden =
      static_cast<std::size_t>(std::max<std::int64_t>(node.get_int("hidden_size", 0), 0));
  const bool lstm = node.op == "LSTM";
  const std::size_t gates = lstm ? 4 : 3;
  const std::size_t element = d.is_int8() ? 1 : 2;
  const auto gate_exponent = std::clamp<std::int64_t>(node.get_int("gate_exponent", -8), -15, 0);
  const double step = std::ldexp(1.0, static_cast<int>(gate_exponent));
  const auto table = [&](double bound) {
    return sizeof(float) * (static_cast<std::size_t>(bound / step) + 2);
  };
  NodeScratch scratch;
  scratch.kept = 2 * aligned_size(gates * hidden * 2)     // both gate pre-activations, int16
                 + aligned_size(gates * hidden * 4)       // gates, float
                 + aligned_size(hidden * element)         // h of the step before
                 + (lstm ? aligned_size(hidden * 2) : 0)  // c of the step before
                 + aligned_size(table(6.3)) + aligned_size(table(3.5));  // sigmoid and tanh (3.19)
  return scratch;
}

NodeScratch linear_resize(const espdl::Node& node, const Description& d) {
  NodeScratch scratch;
  const auto* out = d.output();
  if (node.get_string("mode", "nearest") == "nearest" || out == nullptr) return scratch;
  const std::size_t channels = d.out_channels();
  if (out->shape.size() == 4) {
    const auto width = static_cast<std::size_t>(out->shape[2]);
    scratch.kept = aligned_size(sizeof(float) * (3 * width + 2 * width * channels));
  } else {
    scratch.kept = aligned_size(sizeof(float) * 2 * channels);
  }
  return scratch;
}

NodeScratch streaming_cache(const espdl::Node& node, const Description& d) {
  NodeScratch scratch;
  const auto* out = d.output();
  if (out == nullptr || out->shape.empty()) return scratch;
  auto axis = node.get_int("frame_axis", 1);
  if (axis < 0) axis += static_cast<std::int64_t>(out->shape.size());
  if (axis < 0 || axis >= static_cast<std::int64_t>(out->shape.size())) return scratch;
  Shape shape = out->shape;
  shape[static_cast<std::size_t>(axis)] =
      std::max<std::int64_t>(node.get_int("window_size", 1) - 1, 0);
  scratch.kept = aligned_size(static_cast<std::size_t>(element_count(shape)) * size_of(out->dtype));
  return scratch;
}

}  // namespace

NodeScratch scratch_of(const espdl::Node& node, const espdl::ModelIndex& index,
                       const Target& target, bool copied) {
  const Description d(node, index);
  if (node.op == "Conv" || node.op == "Gemm" || node.op == "MatMul")
    return convolution(node, d, target, copied);
  if (node.op == "AveragePool" || node.op == "GlobalAveragePool")
    return {aligned_size(d.out_channels() * 4), 0};
  if (node.op == "LSTM" || node.op == "GRU") return recurrent(node, d);
  if (node.op == "Resize") return linear_resize(node, d);
  if (node.op == "StreamingCache") return streaming_cache(node, d);
  const bool exponential =
      node.op == "Softmax" || node.op == "LogSoftmax" || node.op == "ReduceLogSumExp";
  if (exponential && d.is_int8()) return {0, kTableEntries * sizeof(float)};
  if (node.op == "Div" && d.is_int8()) {
    const auto* a = d.input(0);
    const auto* b = d.input(1);
    const auto* constant = d.constant(1);
    const bool scalar = (b != nullptr && element_count(b->shape) == 1) ||
                        (constant != nullptr && constant->data.size() == 1) ||
                        element_count(a->shape) == 1;
    if (scalar) return {kTableEntries, 0};
  }
  return {};
}

}  // namespace espquant::cost
