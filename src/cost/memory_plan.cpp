#include "cost/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "cost/arena.h"
#include "cost/overwrites.h"
#include "cost/scratch.h"
#include "cost/tensor_records.h"

namespace espquant::cost {
namespace {

/// Places records step by step: first gives back, then takes, both in the order of the records
/// (ESP-DL 5.3).
class Placement {
 public:
  Placement(bool has_psram, std::size_t max_internal_size)
      : main_(has_psram ? Memory::Psram : Memory::Internal) {
    // The runtime asks for more than its alignment before it uses internal RAM at all.
    if (has_psram && max_internal_size > kTensorAlignment) {
      bounded_internal_ = true;
      arena(Memory::Internal).add_free(max_internal_size);
    }
  }

  void run(const std::vector<TensorRecord>& records, std::size_t steps) {
    places_.resize(records.size());
    std::vector<std::vector<std::size_t>> taken(steps), given_back(steps);
    for (std::size_t r = 0; r < records.size(); ++r) {
      if (records[r].leader != kNoRecord) continue;
      taken[static_cast<std::size_t>(records[r].begin)].push_back(r);
      if (records[r].end != kNever && records[r].end < static_cast<std::int64_t>(steps))
        given_back[static_cast<std::size_t>(records[r].end)].push_back(r);
    }
    for (std::size_t step = 0; step < steps; ++step) {
      for (const std::size_t r : given_back[step])
        arena(places_[r].memory).give_back(places_[r].offset);
      for (const std::size_t r : taken[step]) places_[r] = take(records[r].bytes);
    }
  }

  struct Place {
    Memory memory = Memory::Psram;
    std::size_t offset = 0;
  };
  const Place& of(std::size_t record) const { return places_[record]; }
  std::size_t size(Memory memory) { return arena(memory).size(); }

 private:
  Place take(std::size_t bytes) {
    if (bounded_internal_)
      if (const auto offset = arena(Memory::Internal).take_free(bytes))
        return {Memory::Internal, *offset};
    return {main_, arena(main_).take(bytes)};
  }
  Arena& arena(Memory memory) { return memory == Memory::Internal ? internal_ : psram_; }

  Memory main_;
  bool bounded_internal_ = false;
  Arena internal_, psram_;
  std::vector<Place> places_;
};

std::size_t stored_bytes(const espdl::Constant& constant) {
  return aligned_size(constant.data.byte_size());
}

/// The loader copies a constant for each node that names it, as an input or as its table, and of
/// several copies only forgets the others (dl_model_base.cpp, Model::load; ModelContext::add_tensor).
std::size_t copied_bytes(const espdl::Model& model, const espdl::ModelIndex& index) {
  std::size_t sum = 0;
  const auto add = [&](std::string_view name) {
    if (const auto* constant = index.initializer(name)) sum += stored_bytes(*constant);
  };
  for (const auto& node : model.nodes) {
    for (const auto& name : node.inputs) add(name);
    if (node.has("lut")) add(node.get_string("lut", ""));
  }
  return sum;
}

}  // namespace

std::string_view to_string(Memory memory) {
  return memory == Memory::Internal ? "internal" : "psram";
}

bool default_has_psram(const Target& target) {
  // The other chips of the C family have no PSRAM interface (C5: on few modules).
  return target.family != Family::C || target.name == "esp32" || target.name == "esp32s2";
}

std::size_t MemoryPlan::kept_scratch_bytes() const {
  std::size_t sum = 0;
  for (const auto& s : scratch) sum += s.kept;
  return sum;
}

std::size_t MemoryPlan::largest_scratch_bytes() const {
  std::size_t largest = 0;
  for (const auto& s : scratch) largest = std::max(largest, s.per_run);
  return largest;
}

MemoryPlan plan_memory(const espdl::Model& model, const Target& target,
                       const PlannerOptions& options) {
  if (options.max_internal_size % kTensorAlignment != 0)
    throw Error(ErrorCode::Usage,
                fmt::format("{} bytes of internal RAM for activations are no "
                            "multiple of {}: the runtime would let tensors overlap",
                            options.max_internal_size, kTensorAlignment))
        .remedy("Round it down");
  const std::vector<TensorRecord> records = make_tensor_records(model);
  Placement placement(options.has_psram.value_or(default_has_psram(target)),
                      options.max_internal_size);
  placement.run(records, model.nodes.size());

  MemoryPlan plan;
  for (std::size_t r = 0; r < records.size(); ++r) {
    const auto& record = records[r];
    const auto& place = placement.of(owner_of(records, r));
    TensorPlace tensor;
    tensor.name = record.name;
    tensor.bytes = record.bytes;
    tensor.memory = place.memory;
    tensor.offset = place.offset;
    tensor.begin = static_cast<std::size_t>(record.begin);
    const auto end = records[owner_of(records, r)].end;
    if (end != kNever) tensor.end = static_cast<std::size_t>(end);
    if (record.leader != kNoRecord) tensor.shares = records[record.leader].name;
    plan.tensors.push_back(std::move(tensor));
  }
  plan.internal_bytes = placement.size(Memory::Internal);
  plan.psram_bytes = placement.size(Memory::Psram);
  for (const auto& constant : model.initializers) plan.parameter_bytes += stored_bytes(constant);
  const espdl::ModelIndex index(model);
  if (options.copy_parameters) plan.parameter_copy_bytes = copied_bytes(model, index);
  for (const auto& node : model.nodes)
    plan.scratch.push_back(scratch_of(node, index, target, options.copy_parameters));
  plan.overwrites = find_overwrites(model, plan.tensors);
  return plan;
}

}  // namespace espquant::cost
