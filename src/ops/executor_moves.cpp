#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>

#include "ops/executor_lowering.h"
#include "ops/infer.h"
#include "ops/op.h"

/// Operators that only move elements (Concat, Slice, Transpose, nearest Resize, ...) all run by one
/// kernel, a short list of strided copies. The list is found by asking the reference kernel: it
/// runs once, beforehand, on elements that are their own positions.
namespace espquant::ops::exec {
namespace {

/// `count` pieces of `length` elements, from one input to the output.
struct Copies {
  std::int64_t from, to;
  std::int64_t length, count;
  std::int64_t from_step, to_step;
  std::size_t input;
};

void run_copies(const Copies& c, const float* from, float* to) {
  from += c.from;
  to += c.to;
  if (c.length == 1) {
    for (std::int64_t i = 0; i < c.count; ++i) to[i * c.to_step] = from[i * c.from_step];
    return;
  }
  for (std::int64_t i = 0; i < c.count; ++i)
    std::memcpy(to + i * c.to_step, from + i * c.from_step,
                static_cast<std::size_t>(c.length) * sizeof(float));
}

/// Collects single elements into pieces, and evenly spaced pieces into one entry.
class CopyList {
 public:
  void add(std::size_t input, std::int64_t from, std::int64_t to) {
    if (piece_.length > 0 && piece_.input == input && from == piece_.from + piece_.length &&
        to == piece_.to + piece_.length) {
      ++piece_.length;
      return;
    }
    flush();
    piece_ = {from, to, 1, 1, 0, 0, input};
  }

  std::vector<Copies> finish() {
    flush();
    return std::move(list_);
  }

 private:
  void flush() {
    if (piece_.length == 0) return;
    if (!list_.empty() && extends(list_.back())) {
      Copies& last = list_.back();
      last.from_step = piece_.from - last.from - (last.count - 1) * last.from_step;
      last.to_step = piece_.to - last.to - (last.count - 1) * last.to_step;
      ++last.count;
    } else {
      list_.push_back(piece_);
    }
    piece_.length = 0;
  }

  bool extends(const Copies& last) const {
    if (last.input != piece_.input || last.length != piece_.length) return false;
    return last.count == 1 || (piece_.from == last.from + last.count * last.from_step &&
                               piece_.to == last.to + last.count * last.to_step);
  }

  Copies piece_{0, 0, 0, 1, 0, 0, 0};
  std::vector<Copies> list_;
};

class MoveKernel final : public Kernel {
 public:
  /// `fill` where some elements come from no input.
  MoveKernel(std::vector<Copies> copies, std::optional<float> fill, std::int64_t count)
      : copies_(std::move(copies)), fill_(fill), count_(count) {}

  std::function<void()> bind(const Binding& binding) const override {
    std::vector<const float*> inputs;
    for (const Operand& in : binding.inputs) inputs.push_back(in.data);
    return [this, inputs = std::move(inputs), y = binding.outputs[0].data] {
      if (fill_) std::fill(y, y + count_, *fill_);
      for (const Copies& c : copies_) run_copies(c, inputs[c.input], y);
    };
  }

  std::string name() const override {
    return "move in " + std::to_string(copies_.size()) + " copies";
  }

 private:
  std::vector<Copies> copies_;
  std::optional<float> fill_;
  std::int64_t count_;
};

/// Positions are counted from 1 in float32: 0 stands for an element that comes from no input.
constexpr std::int64_t kMaxPositions = (std::int64_t{1} << 24) - 1;

/// The elements that move, as positions, and what else the node reads.
struct Probe {
  std::vector<ValueId> moved;
  std::vector<Tensor> outputs;
  float fill = 0;
};

bool moves_every_input(const Node& node) { return node.op == "Concat"; }

bool only_moves(const Node& node) {
  const bool resizes = node.op == "Resize" || node.op == "Upsample";
  return !resizes || node.attributes.get_string("mode", "nearest") == "nearest";
}

/// The number that a Pad or a cropping Resize puts beside the input; the probe gets 0 in its place.
bool take_fill(const PlanBuilder& plan, Node& probe, float& fill) {
  if (probe.op == "Resize") {
    fill = probe.attributes.get_float("extrapolation_value", 0.0F);
    probe.attributes.erase("extrapolation_value");
  }
  if (probe.op != "Pad") return true;
  fill = probe.attributes.get_float("value", 0.0F);
  probe.attributes.erase("value");
  if (const ValueId v = probe.input(2); v != kNone) {
    const Tensor* given = plan.constant(v);
    if (given == nullptr || given->dtype() != DType::Float32 || given->size() != 1) return false;
    fill = given->data<float>()[0];
    probe.inputs[2] = kNone;
  }
  return true;
}

Tensor positions(const Shape& shape, std::int64_t first) {
  Tensor t(DType::Float32, shape);
  for (float& v : t.mutable_data<float>()) v = static_cast<float>(first++);
  return t;
}

std::optional<Probe> probe(const PlanBuilder& plan, const Node& node) {
  if (!only_moves(node)) return {};
  Node asked = node;
  Probe result;
  if (!take_fill(plan, asked, result.fill)) return {};
  std::vector<Tensor> numbered;
  numbered.reserve(node.inputs.size());
  std::vector<const Tensor*> inputs(node.inputs.size(), nullptr);
  std::int64_t next = 1;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId v = asked.inputs[i];
    if (v == kNone) continue;
    if (i != 0 && !moves_every_input(node)) {
      inputs[i] = plan.constant(v);
      if (inputs[i] == nullptr) return {};
      continue;
    }
    if (!plan.is_float(v) || next + element_count(plan.shape(v)) > kMaxPositions) return {};
    inputs[i] = &numbered.emplace_back(positions(plan.shape(v), next));
    next += numbered.back().size();
    result.moved.push_back(v);
  }
  for (ValueId v : node.outputs) {
    if (!plan.is_float(v)) return {};
    result.outputs.emplace_back(DType::Float32, plan.shape(v));
  }
  op_of(node).run({asked, plan.graph().opset, inputs, result.outputs});
  return result;
}

/// Offset in storage of each element, given its offset in ONNX's order.
std::vector<std::int64_t> storage_offsets(const Shape& shape, Form form) {
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(element_count(shape)));
  const Shape steps = stored_strides(shape, form);
  Shape index(shape.size(), 0);
  std::int64_t at = 0;
  for (std::int64_t& offset : offsets) {
    offset = at;
    for (std::size_t d = shape.size(); d-- > 0;) {
      at += steps[d];
      if (++index[d] < shape[d]) break;
      at -= steps[d] * shape[d];
      index[d] = 0;
    }
  }
  return offsets;
}

struct Source {
  std::size_t input;
  std::int64_t offset;
};

/// Where each position stands: the inputs one behind the other.
std::vector<Source> moved_sources(const PlanBuilder& plan, std::span<const ValueId> moved,
                                  std::span<const Form> forms) {
  std::vector<Source> result;
  for (std::size_t i = 0; i < moved.size(); ++i)
    for (std::int64_t offset : storage_offsets(plan.shape(moved[i]), forms[i]))
      result.push_back({i, offset});
  return result;
}

struct Moves {
  std::vector<Copies> copies;
  bool fills = false;
};

Moves find_moves(const Tensor& probed, Form form, std::span<const Source> source) {
  const auto wanted = probed.data<float>();
  const auto offsets = storage_offsets(probed.shape(), form);
  std::vector<std::int64_t> element_at(offsets.size());
  for (std::size_t i = 0; i < offsets.size(); ++i)
    element_at[static_cast<std::size_t>(offsets[i])] = static_cast<std::int64_t>(i);
  CopyList list;
  Moves moves;
  for (std::size_t to = 0; to < element_at.size(); ++to) {
    const auto position =
        static_cast<std::size_t>(wanted[static_cast<std::size_t>(element_at[to])]);
    if (position == 0) {
      moves.fills = true;
      continue;
    }
    ESPQUANT_ASSERT(position <= source.size(), "a moved element comes from nowhere");
    const Source& from = source[position - 1];
    list.add(from.input, from.offset, static_cast<std::int64_t>(to));
  }
  moves.copies = list.finish();
  return moves;
}

}  // namespace

bool lower_move(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const auto probed = probe(plan, node);
  if (!probed) return false;
  std::vector<Form> forms;
  bool any_channels_last = false;
  for (ValueId v : probed->moved) {
    forms.push_back(plan.is_channels_last(v) ? Form::ChannelsLast : Form::Plain);
    any_channels_last = any_channels_last || forms.back() == Form::ChannelsLast;
  }
  if (moves_every_input(node) && any_channels_last) {
    std::fill(forms.begin(), forms.end(), Form::ChannelsLast);
  }
  const auto source = moved_sources(plan, probed->moved, forms);
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId y = node.outputs[i];
    Form form = Form::Plain;
    Moves moves = find_moves(probed->outputs[i], form, source);
    if (has_channels(plan.shape(y))) {
      Moves other = find_moves(probed->outputs[i], Form::ChannelsLast, source);
      const std::size_t fewer = other.copies.size(), plain = moves.copies.size();
      if (fewer < plain || (fewer == plain && any_channels_last)) {
        form = Form::ChannelsLast;
        moves = std::move(other);
      }
    }
    Step step;
    step.node = n;
    for (std::size_t k = 0; k < probed->moved.size(); ++k)
      step.inputs.push_back(plan.require(probed->moved[k], forms[k]));
    step.outputs = {plan.define(y, form)};
    step.kernel = std::make_shared<MoveKernel>(
        std::move(moves.copies), moves.fills ? std::optional(probed->fill) : std::nullopt,
        element_count(plan.shape(y)));
    plan.add_step(std::move(step));
  }
  return true;
}

bool lower_reshape(PlanBuilder& plan, NodeId n) {
  const Node& node = plan.graph().node(n);
  const ValueId x = node.input(0), y = node.outputs[0];
  if (!plan.is_float(x) || !plan.is_float(y)) return false;
  for (std::size_t i = 1; i < node.outputs.size(); ++i)
    if (node.outputs[i] != kNone) return false;                      // the mask of a Dropout
  if (node.op == "Dropout" && node.inputs.size() > 2) return false;  // may be training
  const bool same_shape = plan.shape(x) == plan.shape(y);
  const Form form = same_shape && plan.is_channels_last(x) ? Form::ChannelsLast : Form::Plain;
  plan.define_alias(y, form, plan.require(x, form));
  return true;
}

}  // namespace espquant::ops::exec
