#include "schedule/value_range.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/fixed_point.h"
#include "espdl/filter_layout.h"

namespace espquant::schedule {
namespace {

Range full_range(DType dtype) {
  if (dtype == DType::Int8) return {-128, 127};
  if (dtype == DType::Int16) return {-32768, 32767};
  return {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
}

bool keeps_elements(std::string_view op) {
  return op == "MaxPool" || op == "Reshape" || op == "Flatten" || op == "Squeeze" ||
         op == "Unsqueeze" || op == "Identity" || op == "Transpose" || op == "Slice" ||
         op == "Split" || op == "Gather";
}

const espdl::Constant* table_of(const espdl::Node& node, const espdl::ModelIndex& index) {
  if (node.attributes.find("lut") == node.attributes.end()) return nullptr;
  return index.initializer(node.get_string("lut", ""));
}

Range range_of_elements(const Tensor& tensor) {
  const Tensor wide = tensor.cast(DType::Int64);
  const auto elements = wide.data<std::int64_t>();
  const auto [low, high] = std::minmax_element(elements.begin(), elements.end());
  return {*low, *high};
}

}  // namespace

const espdl::Constant* bias_of(const espdl::Node& node, const espdl::ModelIndex& index) {
  return node.inputs.size() > 2 && !node.inputs[2].empty() ? index.initializer(node.inputs[2])
                                                           : nullptr;
}

std::optional<Weights> weights_of(const espdl::Node& node, const espdl::ModelIndex& index,
                                  const Target& target) {
  if ((node.op != "Conv" && node.op != "Gemm") || node.inputs.size() < 2) return std::nullopt;
  const auto* input = index.value(node.inputs[0]);
  const auto* filter = index.initializer(node.inputs[1]);
  if (input == nullptr || filter == nullptr) return std::nullopt;
  if (input->dtype != DType::Int8 && input->dtype != DType::Int16) return std::nullopt;
  Weights weights;
  weights.depthwise = node.op == "Conv" && node.get_int("group", 1) > 1;
  weights.lanes = target.lanes(input->dtype == DType::Int8 ? 8 : 16);
  const Shape& dims = filter->data.shape();
  const DType dtype = filter->data.dtype();
  const std::size_t rank = node.op == "Gemm" ? 4 : input->shape.size();
  if (dims.size() != rank || (dtype != DType::Int8 && dtype != DType::Int16) ||
      (weights.depthwise && dims.back() != 1))
    return std::nullopt;
  weights.logical = espdl::unpack_filter(filter->data, weights.depthwise, weights.lanes);
  return weights;
}

Range partial_sums(const Weights& weights, const espdl::Constant* bias, std::int64_t channel,
                   const Range& input) {
  Range sums;
  if (bias != nullptr) {
    const Tensor wide = bias->data.cast(DType::Int64);
    sums.low = sums.high = wide.data<std::int64_t>()[static_cast<std::size_t>(channel)];
  }
  const std::int64_t taps = weights.logical.size() / weights.channels();
  const auto add = [&](const auto& all) {
    for (const auto w :
         all.subspan(static_cast<std::size_t>(channel * taps), static_cast<std::size_t>(taps))) {
      const std::int64_t a = w * input.low, b = w * input.high;
      // A tap in the padding adds nothing.
      sums.low += std::min<std::int64_t>({a, b, 0});
      sums.high += std::max<std::int64_t>({a, b, 0});
    }
  };
  if (weights.logical.dtype() == DType::Int8)
    add(weights.logical.data<std::int8_t>());
  else
    add(weights.logical.data<std::int16_t>());
  return sums;
}

ValueRanges::ValueRanges(const espdl::Model& model, const espdl::ModelIndex& index,
                         const Target& target)
    : index_(index), target_(target) {
  for (const auto& node : model.nodes) {
    if (node.inputs.empty()) continue;
    for (const auto& name : node.outputs) {
      const auto* value = index.value(name);
      if (value != nullptr) ranges_[name] = range_of(node, of(node.inputs[0]), value->dtype);
    }
  }
}

Range ValueRanges::of(std::string_view tensor) const {
  if (const auto at = ranges_.find(tensor); at != ranges_.end()) return at->second;
  const auto* value = index_.value(tensor);
  return full_range(value == nullptr ? DType::Undefined : value->dtype);
}

bool ValueRanges::holds_biases(const espdl::Constant* bias, const espdl::ValueInfo& input) const {
  if (bias == nullptr) return true;
  const Range all = range_of_elements(bias->data);
  const int bits = std::min(target_.accumulator_bits(input.dtype == DType::Int8 ? 8 : 16), 40);
  return wrap_bits(all.low, bits) == all.low && wrap_bits(all.high, bits) == all.high;
}

Range ValueRanges::range_of(const espdl::Node& node, const Range& input, DType dtype) const {
  const Range full = full_range(dtype);
  if (const auto* table = table_of(node, index_); table != nullptr && table->data.size() > 0)
    return range_of_elements(table->data);
  if (keeps_elements(node.op)) return input;
  const bool relu = node.op == "Relu" || node.get_string("activation", "Linear") == "Relu";
  const auto weights = weights_of(node, index_, target_);
  const auto* filter = weights ? index_.initializer(node.inputs[1]) : nullptr;
  if (weights && filter->exponents.size() == 1) {
    // Before rounding, which is monotonic.
    const auto* in = index_.value(node.inputs[0]);
    const auto* out = index_.value(node.outputs[0]);
    const int shift = out->exponent() - in->exponent() - filter->exponent();
    constexpr int kLargestShift = 30;
    // Lanes that saturate on the way end between the same limits, from a bias that they hold.
    if (shift >= 0 && shift <= kLargestShift && holds_biases(bias_of(node, index_), *in)) {
      Range all{full.high, full.low};
      for (std::int64_t c = 0; c < weights->channels(); ++c) {
        const Range sums = partial_sums(*weights, bias_of(node, index_), c, input);
        all.low = std::min(all.low, round_shift(sums.low, shift, target_.rounding));
        all.high = std::max(all.high, round_shift(sums.high, shift, target_.rounding));
      }
      all.low = std::clamp(all.low, full.low, full.high);
      all.high = std::clamp(all.high, full.low, full.high);
      return relu ? Range{std::max<std::int64_t>(all.low, 0), std::max<std::int64_t>(all.high, 0)}
                  : all;
    }
  }
  return relu ? Range{0, full.high} : full;
}

}  // namespace espquant::schedule
