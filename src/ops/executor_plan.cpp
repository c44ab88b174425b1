#include "ops/executor_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "ops/executor_convert.h"
#include "ops/executor_lowering.h"
#include "ops/executor_reference.h"
#include "ops/infer.h"
#include "ops/op.h"

namespace espquant::ops::exec {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::int32_t kNever = std::numeric_limits<std::int32_t>::max();

std::size_t rounded_up(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Axis of the value that stands at each place of memory, outermost first.
std::vector<std::int64_t> storage_order(std::size_t rank, Form form) {
  std::vector<std::int64_t> order(rank);
  std::iota(order.begin(), order.end(), 0);
  if (form == Form::ChannelsLast) std::rotate(order.begin() + 1, order.begin() + 2, order.end());
  return order;
}

bool overlap(const Storage& a, const Storage& b) { return a.first <= b.last && b.first <= a.last; }

}  // namespace

Shape stored_shape(const Shape& shape, Form form) {
  return permuted(shape, storage_order(shape.size(), form));
}

Shape stored_strides(const Shape& shape, Form form) {
  const Shape dense = strides_of(stored_shape(shape, form));
  const auto order = storage_order(shape.size(), form);
  Shape strides(shape.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    strides[static_cast<std::size_t>(order[i])] = dense[i];
  return strides;
}

bool layouts_coincide(const Shape& shape) {
  if (!has_channels(shape)) return false;
  const std::int64_t pixels =
      std::accumulate(shape.begin() + 2, shape.end(), std::int64_t{1}, std::multiplies<>());
  return shape[1] == 1 || pixels == 1;
}

PlanBuilder::PlanBuilder(const Graph& graph, bool observe_all, bool keep_all)
    : graph_(graph),
      observe_all_(observe_all),
      keep_all_(keep_all),
      slots_of_(graph.value_count()) {
  for (ValueId v : graph.inputs()) {
    Storage storage;
    storage.kind = Storage::Kind::Tensor;
    storage.first = -1;
    plan_.inputs.push_back(add_slot(v, Form::Tensor, add_storage(std::move(storage))));
    if (graph.value(v).dtype == DType::Float32) plan_.observed.push_back(plan_.inputs.back());
  }
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const auto v = static_cast<ValueId>(i);
    const bool computed_beforehand = constant(v) != nullptr && graph.value(v).producer != kNone;
    if (computed_beforehand && graph.value(v).dtype == DType::Float32)
      plan_.observed.push_back(require(v, Form::Tensor));
  }
}

bool PlanBuilder::is_float(ValueId v) const {
  return v != kNone && graph_.value(v).dtype == DType::Float32 && element_count(shape(v)) > 0;
}

const Tensor* PlanBuilder::constant(ValueId v) const {
  if (v == kNone || graph_.is_input(v) || !graph_.value(v).is_constant()) return nullptr;
  return &graph_.value(v).constant;
}

Form PlanBuilder::home(ValueId v) const {
  const auto& slots = slots_of_[static_cast<std::size_t>(v)];
  return slots.empty() ? Form::Tensor : plan_.slots[static_cast<std::size_t>(slots.front())].form;
}

SlotId PlanBuilder::require(ValueId v, Form form) {
  const auto& slots = slots_of_[static_cast<std::size_t>(v)];
  for (SlotId s : slots)
    if (slot(s).form == form) return s;
  if (constant(v) != nullptr) return add_constant_slot(v, form);
  if (slots.empty())
    throw Error(ErrorCode::Malformed, "read before any node computes it")
        .tensor(graph_.value(v).name);
  if (form != Form::Tensor && layouts_coincide(shape(v)))
    for (SlotId s : slots)
      if (slot(s).form != Form::Tensor) return add_slot(v, form, slot(s).storage);
  const SlotId from = slots.front();
  const SlotId to = define(v, form);
  Step step;
  step.inputs = {from};
  step.outputs = {to};
  step.kernel = make_conversion(shape(v), slot(from).form, form);
  add_step(std::move(step));
  return to;
}

SlotId PlanBuilder::add_constant_slot(ValueId v, Form form) {
  Storage storage;
  storage.kind = Storage::Kind::Constant;
  storage.constant = *constant(v);
  if (form == Form::ChannelsLast)
    storage.constant = storage.constant.transposed(storage_order(shape(v).size(), form));
  return add_slot(v, form, add_storage(std::move(storage)));
}

SlotId PlanBuilder::define(ValueId v, Form form) {
  Storage storage;
  storage.kind = form == Form::Tensor ? Storage::Kind::Tensor : Storage::Kind::Arena;
  if (form != Form::Tensor)
    storage.bytes = static_cast<std::size_t>(element_count(shape(v))) * sizeof(float);
  return add_slot(v, form, add_storage(std::move(storage)));
}

void PlanBuilder::define_alias(ValueId v, Form form, SlotId of) {
  const SlotId s = add_slot(v, form, slot(of).storage);
  if (plan_.steps.empty())
    plan_.observed.push_back(s);
  else
    plan_.steps.back().observed.push_back(s);
}

SlotId PlanBuilder::add_slot(ValueId v, Form form, StorageId storage) {
  plan_.slots.push_back({v, form, storage});
  const auto id = static_cast<SlotId>(plan_.slots.size() - 1);
  slots_of_[static_cast<std::size_t>(v)].push_back(id);
  return id;
}

StorageId PlanBuilder::add_storage(Storage storage) {
  plan_.storages.push_back(std::move(storage));
  return static_cast<StorageId>(plan_.storages.size() - 1);
}

void PlanBuilder::add_step(Step step) {
  if (step.node != kNone)
    for (SlotId s : step.outputs)
      if (s != kNone && graph_.value(slot(s).value).dtype == DType::Float32)
        step.observed.push_back(s);
  plan_.scratch_bytes = std::max(plan_.scratch_bytes, step.kernel->scratch_bytes());
  plan_.steps.push_back(std::move(step));
}

Plan PlanBuilder::finish() {
  for (ValueId v : graph_.outputs()) plan_.outputs.push_back(require(v, Form::Tensor));
  find_lifetimes();
  share_overwritten();
  find_releases();
  place_arena();
  return std::move(plan_);
}

void PlanBuilder::find_lifetimes() {
  for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
    const auto now = static_cast<std::int32_t>(i);
    const Step& step = plan_.steps[i];
    for (SlotId s : step.outputs)
      if (s != kNone) storage_of(s).first = storage_of(s).last = now;
    for (SlotId s : step.inputs)
      if (s != kNone) storage_of(s).last = now;
    for (SlotId s : step.observed) storage_of(s).last = now;
  }
  for (SlotId s : plan_.outputs) storage_of(s).last = kNever;
  if (keep_all_)
    for (Storage& s : plan_.storages) s.last = kNever;
}

/// An element-wise step writes over its input when that has no later reader: the memory is in the
/// cache.
void PlanBuilder::share_overwritten() {
  for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
    const Step& step = plan_.steps[i];
    for (std::size_t index : step.may_overwrite) {
      const SlotId from = step.inputs[index];
      const SlotId to = step.outputs.front();
      const Storage& old = storage_of(from);
      const Storage& fresh = storage_of(to);
      if (old.kind != Storage::Kind::Arena || fresh.kind != Storage::Kind::Arena ||
          old.last != static_cast<std::int32_t>(i) || old.bytes != fresh.bytes)
        continue;
      const bool still_shown =
          std::any_of(step.observed.begin(), step.observed.end(),
                      [&](SlotId s) { return slot(s).storage == slot(from).storage; });
      if (still_shown) continue;
      const StorageId kept = slot(from).storage;
      const StorageId dropped = slot(to).storage;
      storage_of(from).last = fresh.last;
      storage_of(to).bytes = 0;
      for (Slot& s : plan_.slots)
        if (s.storage == dropped) s.storage = kept;
      break;
    }
  }
}

void PlanBuilder::find_releases() {
  for (std::size_t i = 0; i < plan_.storages.size(); ++i) {
    const Storage& s = plan_.storages[i];
    if (s.kind != Storage::Kind::Tensor || s.last == kNever || s.last < 0) continue;
    plan_.steps[static_cast<std::size_t>(s.last)].released.push_back(static_cast<StorageId>(i));
  }
}

/// Largest first, each at the lowest offset that is free throughout its life.
void PlanBuilder::place_arena() {
  std::vector<Storage*> pending;
  for (Storage& s : plan_.storages)
    if (s.kind == Storage::Kind::Arena && s.bytes > 0) pending.push_back(&s);
  std::stable_sort(pending.begin(), pending.end(),
                   [](const Storage* a, const Storage* b) { return a->bytes > b->bytes; });
  std::vector<const Storage*> placed;  // by offset
  for (Storage* s : pending) {
    std::size_t offset = 0;
    for (const Storage* other : placed) {
      if (!overlap(*s, *other)) continue;
      if (offset + s->bytes <= other->offset) break;
      offset = std::max(offset, rounded_up(other->offset + other->bytes));
    }
    s->offset = offset;
    plan_.arena_bytes = std::max(plan_.arena_bytes, rounded_up(offset + s->bytes));
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), s,
                         [](const Storage* a, const Storage* b) { return a->offset < b->offset; }),
        s);
  }
}

Plan make_plan(const Graph& graph, bool reference, bool observe_all, bool keep_all) {
  Graph folded = graph;
  const auto order = graph.topological_order();
  std::vector<NodeId> remaining;
  for (NodeId n : order) {
    const Node& node = folded.node(n);
    if (const auto results = fold_node(folded, node, kMaxElements)) {
      for (std::size_t i = 0; i < node.outputs.size(); ++i)
        if (node.outputs[i] != kNone) folded.value(node.outputs[i]).constant = (*results)[i];
    } else {
      remaining.push_back(n);
    }
  }
  PlanBuilder builder(folded, observe_all, keep_all);
  for (NodeId n : remaining) {
    try {
      if (builder.is_skipped(n)) continue;
      if (reference || !lower_fast(builder, n)) lower_reference(builder, n);
    } catch (Error& e) {
      if (e.node().empty()) e.node(folded.node(n).name);
      throw;
    }
  }
  return builder.finish();
}

}  // namespace espquant::ops::exec
