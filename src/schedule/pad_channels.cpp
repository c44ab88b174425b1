#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>

#include "base/fixed_point.h"
#include "espdl/filter_layout.h"
#include "schedule/dataflow.h"
#include "schedule/rewrites.h"
#include "schedule/value_range.h"

/// Channels that do not fill vectors take the slow kernels, in the convolution that makes them and
/// in the one that reads them (ESP-DL 3.0). Filters get channels of zeros up to whole vectors; what
/// stands in those is never read by a weight other than zero.
namespace espquant::schedule {
namespace {

/// Of a network's time. Less is within what an estimate is off by.
constexpr double kLeastPaddingGain = 0.005;
/// Elements from which on element-wise kernels take their vector path.
constexpr std::int64_t kLeastForVectors = 64;
/// The S3's shift register for byte lanes, and the P4's, so far as it is known (ESP-DL 3.1).
constexpr int kLargestLaneShift = 31;

bool is_dense(const espdl::Node& node) {
  return node.op == "Gemm" || (node.op == "Conv" && node.get_int("group", 1) <= 1);
}

bool keeps_channels(std::string_view op) {
  return op == "MaxPool" || op == "AveragePool" || op == "GlobalAveragePool" || op == "Resize";
}

/// Decides which tensors can have more channels, and gives them.
class ChannelPadding {
 public:
  ChannelPadding(const espdl::Model& model, const Target& target)
      : model_(model),
        target_(target),
        flow_(model),
        ranges_(model, flow_.index(), target),
        group_of_(flow_.tensors().size()) {
    std::iota(group_of_.begin(), group_of_.end(), std::size_t{0});
    for (std::size_t n = 0; n < model.nodes.size(); ++n)
      for (const std::size_t t : tied_to_output(n)) join(t, flow_.nodes()[n].outputs[0]);
    for (std::size_t t = 0; t < flow_.tensors().size(); ++t)
      if (fills_no_vector(t)) members_[root(t)].push_back(t);
    std::erase_if(members_, [&](const auto& group) {
      return !std::all_of(group.second.begin(), group.second.end(),
                          [&](std::size_t t) { return can_be_padded(t); });
    });
  }

  std::vector<std::size_t> groups() const {
    std::vector<std::size_t> all;
    for (const auto& [group, members] : members_) all.push_back(group);
    return all;
  }

  /// The model with these groups of tensors padded.
  espdl::Model padded(const std::vector<std::size_t>& groups) const;

 private:
  const FlowTensor& tensor(std::size_t t) const { return flow_.tensors()[t]; }
  std::int64_t channels_of(std::size_t t) const { return tensor(t).value->shape.back(); }
  std::int64_t padded_channels(std::size_t t) const {
    const std::int64_t lanes = target_.lanes(tensor(t).value->dtype == DType::Int8 ? 8 : 16);
    return (channels_of(t) + lanes - 1) / lanes * lanes;
  }
  bool fills_no_vector(std::size_t t) const {
    const auto& value = *tensor(t).value;
    return (value.dtype == DType::Int8 || value.dtype == DType::Int16) && value.shape.size() > 1 &&
           padded_channels(t) != channels_of(t);
  }

  std::size_t root(std::size_t t) const {
    while (group_of_[t] != t) t = group_of_[t];
    return t;
  }
  void join(std::size_t a, std::size_t b) { group_of_[root(a)] = root(b); }

  /// Inputs of a node that have the channels of its output: all of them are padded, or none.
  std::vector<std::size_t> tied_to_output(std::size_t n) const {
    const espdl::Node& node = model_.nodes[n];
    const FlowNode& flow = flow_.nodes()[n];
    std::vector<std::size_t> tied;
    if (flow.outputs.size() != 1 || flow.inputs.empty() || flow.inputs[0] == kNoTensor ||
        flow.outputs[0] == kNoTensor)
      return {};
    const auto same_channels = [&](std::size_t t) {
      return channels_of(t) == channels_of(flow.outputs[0]) &&
             target_.lanes(tensor(t).value->dtype == DType::Int8 ? 8 : 16) ==
                 target_.lanes(tensor(flow.outputs[0]).value->dtype == DType::Int8 ? 8 : 16);
    };
    if (tensor(flow.inputs[0]).value->shape.empty() ||
        tensor(flow.outputs[0]).value->shape.empty() || !same_channels(flow.inputs[0]))
      return {};
    const bool depthwise = node.op == "Conv" && node.get_int("group", 1) > 1;
    if (depthwise || keeps_channels(node.op)) return {flow.inputs[0]};
    if (!is_elementwise(node, flow)) return {};
    for (const std::size_t t : flow.inputs)
      if (t != kNoTensor) tied.push_back(t);
    return tied;
  }

  /// All operands have the shape of the output, or one element; enough elements for the vector
  /// path, without the runtime's fault of large ones (ESP-DL 3.11).
  bool is_elementwise(const espdl::Node& node, const FlowNode& flow) const {
    if (!flow.rule || node.op == "PRelu" || node.op == "Concat" || node.op == "Split" ||
        node.op == "Slice" || node.op == "Conv")
      return false;
    const Shape& shape = tensor(flow.outputs[0]).value->shape;
    for (std::size_t i = 0; i < flow.inputs.size(); ++i) {
      if (flow.inputs[i] != kNoTensor) {
        if (tensor(flow.inputs[i]).value->shape != shape) return false;
      } else if (const auto* constant = flow_.index().initializer(node.inputs[i]);
                 constant != nullptr && constant->data.size() != 1) {
        return false;
      }
    }
    const std::int64_t elements = element_count(shape);
    return elements >= kLeastForVectors && same_on_fewer(node, flow_.index(), elements, target_);
  }

  /// What makes it can make more channels, and computes the others as it does now.
  bool can_be_padded(std::size_t t) const {
    const auto& producer = tensor(t).producer;
    if (!producer) return false;
    const espdl::Node& node = model_.nodes[*producer];
    if (!tied_to_output(*producer).empty())
      return node.op != "Conv" || weights_of(node, flow_.index(), target_).has_value();
    return is_dense(node) && flow_.nodes()[*producer].outputs.size() == 1 &&
           lanes_compute_the_rest(node);
  }

  /// Channels behind the last whole vector are summed in a wider register. With more channels they
  /// go to the lanes, which must never reach their limit (ESP-DL 3.1, 3.2).
  bool lanes_compute_the_rest(const espdl::Node& node) const {
    const auto weights = weights_of(node, flow_.index(), target_);
    if (!weights) return false;
    const auto* in = flow_.index().value(node.inputs[0]);
    const auto* out = flow_.index().value(node.outputs[0]);
    const auto* filter = flow_.index().initializer(node.inputs[1]);
    const auto* bias = bias_of(node, flow_.index());
    if (bias != nullptr && bias->data.size() != weights->channels()) return false;
    const int bits = in->dtype == DType::Int8 ? 8 : 16;
    const int width = std::min(target_.accumulator_bits(bits), 40);
    const std::int64_t from = weights->channels() / weights->lanes * weights->lanes;
    for (std::int64_t c = from; c < weights->channels(); ++c) {
      const int exponent = filter->exponents.size() > 1
                               ? filter->exponents[static_cast<std::size_t>(c)]
                               : filter->exponent();
      const int shift = out->exponent() - in->exponent() - exponent;
      if (bits == 8 && (shift < 0 || shift > kLargestLaneShift)) return false;
      const Range sums = partial_sums(*weights, bias, c, ranges_.of(node.inputs[0]));
      if (saturate_bits(sums.low, width) != sums.low ||
          saturate_bits(sums.high, width) != sums.high)
        return false;
    }
    return true;
  }

  /// Whether the node can read the tensor with more channels.
  bool takes_padded(std::size_t n, std::size_t t) const {
    const espdl::Node& node = model_.nodes[n];
    const FlowNode& flow = flow_.nodes()[n];
    const auto tied = tied_to_output(n);
    if (std::find(tied.begin(), tied.end(), t) != tied.end()) return true;
    if (!is_dense(node) || flow.inputs[0] != t) return false;
    const auto weights = weights_of(node, flow_.index(), target_);
    return weights && weights->logical.shape()[3] == channels_of(t) &&
           sums_stay_wide(node, *weights);
  }

  /// The scalar accumulator of 16-bit sums takes products in groups that padding moves.
  bool sums_stay_wide(const espdl::Node& node, const Weights& weights) const {
    if (flow_.index().value(node.inputs[0])->dtype == DType::Int8) return true;
    constexpr int kScalarBits = 40;
    for (std::int64_t c = weights.channels() / weights.lanes * weights.lanes;
         c < weights.channels(); ++c) {
      const Range sums =
          partial_sums(weights, bias_of(node, flow_.index()), c, ranges_.of(node.inputs[0]));
      if (saturate_bits(sums.low, kScalarBits) != sums.low ||
          saturate_bits(sums.high, kScalarBits) != sums.high)
        return false;
    }
    return true;
  }

  /// Gives `node`, made from node `n` of the model, a filter and a bias of so many channels.
  void pad_weights(espdl::Model& made, Names& names, std::size_t n, espdl::Node& node,
                   std::int64_t in, std::int64_t out) const;

  const espdl::Model& model_;
  const Target& target_;
  const Dataflow flow_;
  const ValueRanges ranges_;
  std::vector<std::size_t> group_of_;
  std::map<std::size_t, std::vector<std::size_t>> members_;
};

void lengthen(std::vector<int>& exponents, std::int64_t count) {
  if (exponents.size() > 1) exponents.resize(static_cast<std::size_t>(count), exponents.back());
}

/// [N][H][W][C] in a larger one; the rest is zero.
Tensor with_zeros(const Tensor& logical, std::int64_t n, std::int64_t c) {
  const Shape& from = logical.shape();
  Tensor wide(logical.dtype(), {n, from[1], from[2], c});
  const std::size_t size = size_of(logical.dtype());
  const auto run = static_cast<std::size_t>(from[3]) * size;
  const auto stride = static_cast<std::size_t>(c) * size;
  const auto runs = static_cast<std::size_t>(from[0] * from[1] * from[2]);
  for (std::size_t r = 0; r < runs; ++r)
    std::memcpy(wide.mutable_bytes().data() + r * stride, logical.bytes().data() + r * run, run);
  return wide;
}

void ChannelPadding::pad_weights(espdl::Model& made, Names& names, std::size_t n, espdl::Node& node,
                                 std::int64_t in, std::int64_t out) const {
  const auto weights = weights_of(model_.nodes[n], flow_.index(), target_);
  ESPQUANT_ASSERT(weights.has_value(), "a node without weights is given more channels");
  const auto* filter = flow_.index().initializer(node.inputs[1]);
  espdl::Constant wide = *filter;
  wide.name = names.unique(filter->name + "_padded");
  Tensor packed = espdl::pack_filter(with_zeros(weights->logical, out, weights->depthwise ? 1 : in),
                                     weights->depthwise, weights->lanes);
  Shape dims = packed.shape();
  dims.erase(dims.begin(),
             dims.begin() + static_cast<std::ptrdiff_t>(dims.size() - filter->data.shape().size()));
  wide.data = packed.reshaped(dims);
  lengthen(wide.exponents, out);
  if (espdl::parse_filter_layout(wide.doc))
    wide.doc = espdl::filter_layout_doc(static_cast<int>(dims.size()) - 2, weights->depthwise,
                                        weights->lanes, out);
  node.inputs[1] = wide.name;
  made.initializers.push_back(std::move(wide));
  const auto* bias = bias_of(node, flow_.index());
  if (bias == nullptr || bias->data.size() == out) return;
  espdl::Constant more{names.unique(bias->name + "_padded"), Tensor(bias->data.dtype(), {out}),
                       bias->exponents, bias->doc};
  std::memcpy(more.data.mutable_bytes().data(), bias->data.bytes().data(), bias->data.byte_size());
  lengthen(more.exponents, out);
  node.inputs[2] = more.name;
  made.initializers.push_back(std::move(more));
}

espdl::Model ChannelPadding::padded(const std::vector<std::size_t>& groups) const {
  std::vector<bool> is_padded(flow_.tensors().size(), false);
  for (const std::size_t group : groups)
    for (const std::size_t t : members_.at(group)) is_padded[t] = true;
  espdl::Model made = model_;
  made.nodes.clear();
  Names names(model_);
  // Where somebody needs the tensor as it was, that keeps the name.
  std::vector<std::string> padded_names(flow_.tensors().size());
  std::vector<bool> is_cropped(flow_.tensors().size(), false);
  for (std::size_t t = 0; t < is_padded.size(); ++t) {
    if (!is_padded[t]) continue;
    bool cropped = tensor(t).is_visible;
    for (std::size_t n = 0; n < model_.nodes.size(); ++n) {
      const auto& inputs = flow_.nodes()[n].inputs;
      cropped = cropped ||
                (std::find(inputs.begin(), inputs.end(), t) != inputs.end() && !takes_padded(n, t));
    }
    is_cropped[t] = cropped;
    padded_names[t] = names.unique(tensor(t).value->name + "_padded");
    espdl::ValueInfo wide = *tensor(t).value;
    wide.name = padded_names[t];
    wide.shape.back() = padded_channels(t);
    made.values.push_back(std::move(wide));
  }
  for (std::size_t n = 0; n < model_.nodes.size(); ++n) {
    const FlowNode& flow = flow_.nodes()[n];
    espdl::Node node = model_.nodes[n];
    for (std::size_t i = 0; i < flow.inputs.size(); ++i)
      if (flow.inputs[i] != kNoTensor && is_padded[flow.inputs[i]] &&
          takes_padded(n, flow.inputs[i]))
        node.inputs[i] = padded_names[flow.inputs[i]];
    const bool wide_in = flow.inputs.size() > 0 && flow.inputs[0] != kNoTensor &&
                         node.inputs[0] == padded_names[flow.inputs[0]] &&
                         is_padded[flow.inputs[0]];
    const std::size_t out = flow.outputs.size() == 1 ? flow.outputs[0] : kNoTensor;
    const bool wide_out = out != kNoTensor && is_padded[out];
    if ((wide_in || wide_out) && (node.op == "Conv" || node.op == "Gemm")) {
      const auto channels = [&](std::size_t t, bool wide) {
        return wide ? padded_channels(t) : channels_of(t);
      };
      const std::int64_t outputs = channels(out, wide_out);
      if (node.op == "Conv" && node.get_int("group", 1) > 1)
        node.attributes.insert_or_assign("group", outputs);
      pad_weights(made, names, n, node, channels(flow.inputs[0], wide_in), outputs);
    }
    if (wide_out) node.outputs[0] = padded_names[out];
    made.nodes.push_back(std::move(node));
    if (!wide_out || !is_cropped[out]) continue;
    const auto list = [&](const char* what, std::int64_t number) {
      made.initializers.push_back(list_constant(
          names.unique(fmt::format("{}_{}", tensor(out).value->name, what)), {number}));
      return made.initializers.back().name;
    };
    espdl::Node crop;
    crop.name = names.unique(tensor(out).value->name + "_crop");
    crop.op = "Slice";
    crop.inputs = {
        padded_names[out], list("crop_starts", 0), list("crop_ends", channels_of(out)),
        list("crop_axes", static_cast<std::int64_t>(tensor(out).value->shape.size()) - 1),
        list("crop_steps", 1)};
    crop.outputs = {tensor(out).value->name};
    crop.attributes["quant_type"] = std::string(espdl::quant_type_of(tensor(out).value->dtype));
    made.nodes.push_back(std::move(crop));
  }
  remove_unused(made);
  return made;
}

}  // namespace

std::int64_t pad_channels(espdl::Model& model, const Conditions& conditions) {
  if (conditions.target.family == Family::C) return 0;
  const espdl::Model before = model;
  const ChannelPadding padding(before, conditions.target);
  const auto all = padding.groups();
  if (all.empty()) return 0;
  cost::LatencyOptions latency = conditions.latency;
  latency.parameters_in_flash = !conditions.planner.copy_parameters;
  const auto milliseconds = [&](const espdl::Model& one) {
    return cost::estimate_latency(one, conditions.target, latency).milliseconds;
  };
  // A layer gains most where its inputs and its outputs are padded: from all down.
  std::vector<std::size_t> chosen = all;
  espdl::Model best = padding.padded(chosen);
  double least = milliseconds(best);
  for (const std::size_t group : all) {
    auto fewer = chosen;
    std::erase(fewer, group);
    espdl::Model other = padding.padded(fewer);
    const double without = milliseconds(other);
    if (without > least) continue;
    chosen = std::move(fewer);
    best = std::move(other);
    least = without;
  }
  if (chosen.empty() || least > (1 - kLeastPaddingGain) * milliseconds(before)) return 0;
  model = std::move(best);
  return static_cast<std::int64_t>(chosen.size());
}

}  // namespace espquant::schedule
