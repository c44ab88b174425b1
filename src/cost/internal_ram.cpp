#include "cost/internal_ram.h"

#include <algorithm>
#include <vector>

namespace espquant::cost {
namespace {

constexpr std::size_t kStep = 8 * 1024;
/// Shares of the time without internal RAM: what is worth having, and what is about as fast.
constexpr double kWorthwhile = 0.02, kAbout = 0.005;

InternalRam with_internal(const espdl::Model& model, const Target& target, PlannerOptions planner,
                          LatencyOptions latency, std::size_t bytes) {
  planner.max_internal_size = bytes;
  const MemoryPlan plan = plan_memory(model, target, planner);
  latency.parameters_in_flash = !planner.copy_parameters;
  latency.internal_tensors = internal_tensors_of(plan);
  return {bytes, plan.internal_bytes, plan.psram_bytes,
          estimate_latency(model, target, latency).milliseconds};
}

}  // namespace

std::optional<InternalRam> recommend_internal_ram(const espdl::Model& model, const Target& target,
                                                  const PlannerOptions& planner,
                                                  const LatencyOptions& latency, std::size_t most) {
  if (!planner.has_psram.value_or(default_has_psram(target))) return std::nullopt;
  const InternalRam without = with_internal(model, target, planner, latency, 0);
  std::vector<InternalRam> all;
  // With as much as there is in all, nothing is left outside.
  const std::size_t whole = (without.psram_bytes + kStep - 1) / kStep * kStep;
  for (std::size_t bytes = kStep; bytes <= std::min(most, whole); bytes += kStep)
    all.push_back(with_internal(model, target, planner, latency, bytes));
  double best = without.milliseconds;
  for (const InternalRam& one : all) best = std::min(best, one.milliseconds);
  if (best > (1 - kWorthwhile) * without.milliseconds) return std::nullopt;
  return *std::find_if(all.begin(), all.end(), [&](const InternalRam& one) {
    return one.milliseconds <= best + kAbout * without.milliseconds;
  });
}

}  // namespace espquant::cost
