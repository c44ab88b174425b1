#include <fmt/format.h>

#include <cstring>

#include "cost/convolution_work.h"
#include "espdl/filter_layout.h"
#include "schedule/rewrites.h"

/// A filter larger than the cache, which kernels without tiles read again for every pixel
/// (ESP-DL 7.3), becomes several that fit: one node for each range of output channels, and a
/// Concat. Ranges end where vectors do, so that each channel stays in the lanes, or in the rest
/// behind them, that compute it now.
namespace espquant::schedule {
namespace {

constexpr std::int64_t kMostParts = 16;
/// Of the node's time. For less, more nodes are not worth their memory.
constexpr double kLeastGain = 0.01;

struct Splittable {
  const espdl::Constant* filter = nullptr;
  const espdl::Constant* bias = nullptr;
  const espdl::ValueInfo* output = nullptr;
  std::int64_t channels = 0, lanes = 1;
};

std::optional<Splittable> splittable(const espdl::Node& node, const espdl::ModelIndex& index,
                                     const Target& target) {
  const auto shape = cost::convolution_shape(node, index);
  if (!shape || shape->depthwise || target.family == Family::C) return std::nullopt;
  // A product of activations has no filter to cut.
  Splittable s;
  s.filter = index.initializer(node.inputs[1]);
  s.output = index.value(node.outputs[0]);
  if (s.filter == nullptr || s.output == nullptr) return std::nullopt;
  if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
    s.bias = index.initializer(node.inputs[2]);
    if (s.bias == nullptr) return std::nullopt;
  }
  s.channels = static_cast<std::int64_t>(shape->out_channels);
  s.lanes = target.lanes(shape->bits);
  const Shape& dims = s.filter->data.shape();
  if (dims.back() != s.channels || s.output->shape.empty() || s.channels < 2 * s.lanes ||
      (s.bias != nullptr && s.bias->data.size() != s.channels) ||
      (node.op == "MatMul" && s.output->shape.size() > 3))
    return std::nullopt;
  return s;
}

std::vector<int> exponents_of(const std::vector<int>& all, std::int64_t first, std::int64_t count) {
  if (all.size() <= 1) return all;
  return {all.begin() + first, all.begin() + first + count};
}

/// Filters lie block of channels by block: a range of whole blocks is one stretch (ESP-DL 4.1).
espdl::Constant filter_part(const espdl::Constant& filter, std::int64_t first, std::int64_t count,
                            std::int64_t lanes, std::string name) {
  Shape dims = filter.data.shape();
  const auto per_channel = filter.data.byte_size() / static_cast<std::size_t>(dims.back());
  dims.back() = count;
  espdl::Constant part{std::move(name), Tensor(filter.data.dtype(), dims),
                       exponents_of(filter.exponents, first, count), filter.doc};
  std::memcpy(part.data.mutable_bytes().data(),
              filter.data.bytes().data() + static_cast<std::size_t>(first) * per_channel,
              part.data.byte_size());
  constexpr std::string_view kUnaligned = "_UNALIGNED";
  if (part.doc.ends_with(kUnaligned) && count % lanes == 0)
    part.doc.resize(part.doc.size() - kUnaligned.size());
  return part;
}

espdl::Constant bias_part(const espdl::Constant& bias, std::int64_t first, std::int64_t count,
                          std::string name) {
  espdl::Constant part{std::move(name), Tensor(bias.data.dtype(), {count}),
                       exponents_of(bias.exponents, first, count), bias.doc};
  const auto size = size_of(bias.data.dtype());
  std::memcpy(part.data.mutable_bytes().data(),
              bias.data.bytes().data() + static_cast<std::size_t>(first) * size,
              part.data.byte_size());
  return part;
}

/// `parts` ranges of whole vectors, as equal as can be; what fills no vector goes with the last.
Fragment split(const espdl::Node& node, const Splittable& s, std::int64_t parts, Names names) {
  Fragment fragment;
  std::vector<std::string> pieces;
  const std::int64_t vectors = s.channels / s.lanes;
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t first = part * vectors / parts * s.lanes;
    const std::int64_t end =
        part + 1 == parts ? s.channels : (part + 1) * vectors / parts * s.lanes;
    const std::int64_t count = end - first;
    espdl::Node piece = node;
    piece.name = names.unique(fmt::format("{}_part{}", node.name, part));
    piece.outputs = {names.unique(fmt::format("{}_part{}", node.outputs[0], part))};
    fragment.constants.push_back(
        filter_part(*s.filter, first, count, s.lanes,
                    names.unique(fmt::format("{}_part{}", s.filter->name, part))));
    piece.inputs[1] = fragment.constants.back().name;
    if (s.bias != nullptr) {
      fragment.constants.push_back(bias_part(
          *s.bias, first, count, names.unique(fmt::format("{}_part{}", s.bias->name, part))));
      piece.inputs[2] = fragment.constants.back().name;
    }
    espdl::ValueInfo value = *s.output;
    value.name = piece.outputs[0];
    value.shape.back() = count;
    pieces.push_back(value.name);
    fragment.values.push_back(std::move(value));
    fragment.nodes.push_back(std::move(piece));
  }
  fragment.nodes.push_back(concat_node(names.unique(node.name + "_parts"), std::move(pieces),
                                       *s.output,
                                       static_cast<std::int64_t>(s.output->shape.size()) - 1));
  return fragment;
}

}  // namespace

std::int64_t split_filters(espdl::Model& model, const Conditions& conditions) {
  const espdl::ModelIndex index(model);
  Names names(model);
  Replacements replacements;
  for (std::size_t n = 0; n < model.nodes.size(); ++n) {
    const espdl::Node& node = model.nodes[n];
    const auto s = splittable(node, index, conditions.target);
    if (!s) continue;
    double best = (1 - kLeastGain) * milliseconds_of(node, index, conditions);
    const std::int64_t most = std::min(kMostParts, s->channels / s->lanes);
    std::optional<std::int64_t> parts;
    for (std::int64_t count = 2; count <= most; ++count) {
      const double milliseconds = milliseconds_of(split(node, *s, count, names), index, conditions);
      if (milliseconds >= best) continue;
      best = milliseconds;
      parts = count;
    }
    if (!parts) continue;
    Fragment fragment = split(node, *s, *parts, names);
    for (const auto& made : fragment.nodes) names.unique(made.name);
    for (const auto& made : fragment.values) names.unique(made.name);
    for (const auto& made : fragment.constants) names.unique(made.name);
    replacements.emplace(n, std::move(fragment));
  }
  const auto changed = static_cast<std::int64_t>(replacements.size());
  replace_nodes(model, std::move(replacements));
  return changed;
}

}  // namespace espquant::schedule
