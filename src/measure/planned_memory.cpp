#include "measure/planned_memory.h"

#include <algorithm>
#include <set>

#include "cost/arena.h"

namespace espquant::measure {
namespace {

/// The tensors that are lost, each with the first node that writes over it.
std::vector<cost::Overwrite> first_overwrites(const cost::MemoryPlan& plan) {
  std::vector<cost::Overwrite> first;
  std::set<std::string_view> lost;
  for (const auto& overwrite : plan.overwrites)
    if (lost.insert(overwrite.tensor).second) first.push_back(overwrite);
  return first;
}

/// Both memories as one, internal RAM first.
sim::MemoryLayout layout_of(const cost::MemoryPlan& plan, const sim::Program& program) {
  sim::MemoryLayout layout;
  layout.size = plan.activation_bytes();
  for (const auto& tensor : plan.tensors) {
    const bool internal = tensor.memory == cost::Memory::Internal;
    const std::size_t offset = tensor.offset + (internal ? 0 : plan.internal_bytes);
    layout.offsets.emplace(tensor.name, offset);
    // Shapes are computed anew, and may be larger than the file says.
    layout.size =
        std::max(layout.size, offset + program.desc(program.tensor_index(tensor.name)).byte_size());
  }
  // What no node reads has no place in the plan.
  for (const std::size_t t : program.inputs()) {
    const bool is_new = layout.offsets.emplace(program.tensor_name(t), layout.size).second;
    if (is_new) layout.size += cost::aligned_size(program.desc(t).byte_size());
  }
  return layout;
}

}  // namespace

std::vector<cost::Overwrite> compute_in_planned_memory(sim::Program& program) {
  const cost::MemoryPlan plan = cost::plan_memory(program.model(), program.target());
  if (!plan.overwrites.empty()) program.lay_out(layout_of(plan, program));
  return first_overwrites(plan);
}

std::vector<sim::Finding> check_model(const espdl::Model& model, const Target& target,
                                      std::span<const Error> defects) {
  std::vector<sim::Finding> findings = sim::check(model, target, defects);
  try {
    for (const auto& overwrite : first_overwrites(cost::plan_memory(model, target)))
      findings.push_back(
          {.node = overwrite.node,
           .tensor = overwrite.tensor,
           .rule = "ESP-DL 5.2",
           .name = "overwritten",
           .message = "the node writes over this tensor in place, but it is read later",
           .remedy = "Move the node behind the last reader of the tensor, or insert an "
                     "operator that does not work in place, as Transpose or Slice"});
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Internal) throw;
  }
  return findings;
}

}  // namespace espquant::measure
