#include <fmt/format.h>

#include <algorithm>

#include "schedule/rewrites.h"

/// Nodes that only move data: a Transpose that moves nothing becomes a Reshape, which is an alias;
/// two in a row become one; a RequantizeLinear from and to the same goes; a Pad of zeros around an
/// image becomes the padding of the convolution that reads it.
namespace espquant::schedule {
namespace {

/// Looks at one model; each change is made at once, and ends the look.
class MoveMerger {
 public:
  explicit MoveMerger(espdl::Model& model)
      : model_(model), index_(model), sole_makers_(model), visible_(model) {}

  bool change_one() {
    for (std::size_t n = 0; n < model_.nodes.size(); ++n) {
      const std::string op = model_.nodes[n].op;
      if (op == "Transpose" && (join_transposes(n) || make_alias(n))) return true;
      if (op == "RequantizeLinear" && skip(n)) return true;
      if (op == "Conv" && take_pads(n)) return true;
    }
    return false;
  }

 private:
  /// The node that makes the tensor, where nobody else reads or sees it.
  espdl::Node* only_maker_of(const std::string& tensor) {
    const auto maker = sole_makers_.maker_of(tensor);
    return maker ? &model_.nodes[*maker] : nullptr;
  }
  void erase(const espdl::Node* node) {
    model_.nodes.erase(model_.nodes.begin() + (node - model_.nodes.data()));
  }

  bool join_transposes(std::size_t n) {
    espdl::Node& node = model_.nodes[n];
    espdl::Node* before = only_maker_of(node.inputs[0]);
    if (before == nullptr || before->op != "Transpose") return false;
    const auto first = before->get_ints("perm"), second = node.get_ints("perm");
    if (first.size() != second.size() || first.empty()) return false;
    std::vector<std::int64_t> both;
    for (const std::int64_t axis : second) {
      if (axis < 0 || axis >= static_cast<std::int64_t>(first.size())) return false;
      both.push_back(first[static_cast<std::size_t>(axis)]);
    }
    node.attributes.insert_or_assign("perm", both);
    node.inputs[0] = before->inputs[0];
    erase(before);
    return true;
  }

  /// Elements stay in their places where only axes of one element change theirs.
  bool make_alias(std::size_t n) {
    espdl::Node& node = model_.nodes[n];
    const auto* in = index_.value(node.inputs[0]);
    const auto* out = index_.value(node.outputs[0]);
    const auto perm = node.get_ints("perm");
    if (in == nullptr || out == nullptr || perm.size() != in->shape.size()) return false;
    std::int64_t last = -1;
    for (const std::int64_t axis : perm) {
      if (axis < 0 || axis >= static_cast<std::int64_t>(perm.size())) return false;
      if (in->shape[static_cast<std::size_t>(axis)] == 1) continue;
      if (axis < last) return false;
      last = axis;
    }
    Names names(model_);
    model_.initializers.push_back(list_constant(names.unique(node.name + "_shape"), out->shape));
    node.op = "Reshape";
    node.inputs = {node.inputs[0], model_.initializers.back().name};
    node.attributes.erase("perm");
    return true;
  }

  /// A copy: its readers read what it copies.
  bool skip(std::size_t n) {
    const espdl::Node& node = model_.nodes[n];
    const auto* in = index_.value(node.inputs[0]);
    const auto* out = index_.value(node.outputs[0]);
    if (in == nullptr || out == nullptr || in->dtype != out->dtype ||
        in->exponent() != out->exponent() || in->exponents.size() > 1 ||
        out->exponents.size() > 1 || visible_.contains(out->name))
      return false;
    const std::string from = out->name, to = in->name;
    for (auto& reader : model_.nodes)
      std::replace(reader.inputs.begin(), reader.inputs.end(), from, to);
    erase(&model_.nodes[n]);
    return true;
  }

  bool take_pads(std::size_t n) {
    espdl::Node& conv = model_.nodes[n];
    espdl::Node* pad = only_maker_of(conv.inputs[0]);
    if (pad == nullptr || pad->op != "Pad" || pad->get_string("mode", "") != "constant" ||
        pad->inputs.size() < 2)
      return false;
    const auto* in = index_.value(pad->inputs[0]);
    const auto* amounts = index_.initializer(pad->inputs[1]);
    const auto* filter = conv.inputs.size() > 1 ? index_.initializer(conv.inputs[1]) : nullptr;
    if (in == nullptr || amounts == nullptr || filter == nullptr ||
        amounts->data.dtype() != DType::Int64)
      return false;
    if (pad->inputs.size() > 2 && !pad->inputs[2].empty()) {
      const auto* value = index_.initializer(pad->inputs[2]);
      if (value == nullptr || !std::all_of(value->data.bytes().begin(), value->data.bytes().end(),
                                           [](std::byte b) { return b == std::byte{0}; }))
        return false;
    }
    const std::size_t rank = in->shape.size(), spatial = rank - 2;
    const auto list = amounts->data.data<std::int64_t>();
    auto pads = conv.get_ints("pads");
    if (rank < 3 || rank > 4 || list.size() != 2 * rank) return false;
    if (pads.empty()) pads.assign(2 * spatial, 0);
    const auto dilations = conv.get_ints("dilations");
    if (pads.size() != 2 * spatial || filter->data.shape().size() != rank) return false;
    for (const std::size_t axis : {std::size_t{0}, rank - 1})
      if (list[axis] != 0 || list[axis + rank] != 0) return false;
    for (std::size_t s = 0; s < spatial; ++s) {
      const std::int64_t dilation = s < dilations.size() ? dilations[s] : 1;
      const std::int64_t reach = dilation * (filter->data.shape()[s] - 1) + 1;
      pads[s] += list[s + 1];
      pads[s + spatial] += list[s + 1 + rank];
      // More padding than kernel, and the runtime's loops leave the input (ESP-DL 3.1).
      if (std::max(pads[s], pads[s + spatial]) >= reach) return false;
    }
    conv.attributes.insert_or_assign("pads", pads);
    conv.inputs[0] = in->name;
    erase(pad);
    return true;
  }

  espdl::Model& model_;
  const espdl::ModelIndex index_;
  const SoleMakers sole_makers_;
  const Visible visible_;
};

}  // namespace

std::int64_t merge_moves(espdl::Model& model, const Conditions&) {
  return change_one_by_one(model, [](espdl::Model& next) { return MoveMerger(next).change_one(); });
}

}  // namespace espquant::schedule
