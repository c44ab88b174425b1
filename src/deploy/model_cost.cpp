#include "deploy/model_cost.h"

#include <fmt/format.h>

#include <algorithm>

#include "deploy/chip_facts.h"

namespace espquant::deploy {
namespace {

constexpr std::size_t kKiB = 1024;

bool file_in_ram(const ProjectRequest& request) {
  return request.storage == Storage::SdCard || request.key.has_value();
}

std::size_t kib(std::size_t bytes) { return (bytes + kKiB - 1) / kKiB; }

}  // namespace

std::optional<cost::InternalRam> recommended_internal_ram(const espdl::Model& model,
                                                          const Target& target,
                                                          const cost::PlannerOptions& planner,
                                                          const cost::LatencyOptions& latency) {
  if (!planner.has_psram.value_or(cost::default_has_psram(target))) return std::nullopt;
  const std::size_t most = chip_facts(target).free_ram_kib * kKiB / 2;
  return cost::recommend_internal_ram(model, target, planner, latency, most);
}

bool has_psram(const ProjectRequest& request) {
  return request.has_psram.value_or(cost::default_has_psram(*request.target));
}

bool copies_parameters(const ProjectRequest& request) {
  return has_psram(request) && !file_in_ram(request);
}

ModelCost cost_of(const ProjectRequest& request, const ProjectModel& model) {
  ModelCost cost;
  cost::PlannerOptions options;
  options.has_psram = has_psram(request);
  options.copy_parameters = copies_parameters(request);
  options.max_internal_size = request.internal_ram;
  cost.plan = cost::plan_memory(model.model, *request.target, options);
  cost.ram_bytes = cost.plan.ram_bytes() + (file_in_ram(request) ? model.bytes : 0);
  cost::LatencyOptions latency;
  latency.parameters_in_flash = !options.copy_parameters && !file_in_ram(request);
  latency.internal_tensors = cost::internal_tensors_of(cost.plan);
  cost.latency = cost::estimate_latency(model.model, *request.target, latency);
  return cost;
}

RamVerdict ram_verdict(const ProjectRequest& request) {
  std::size_t most = 0;
  for (const ProjectModel& model : request.models) {
    const std::size_t bytes = cost_of(request, model).ram_bytes;
    most = request.app == App::Camera ? most + bytes : std::max(most, bytes);
  }
  const std::string take = request.models.size() == 1   ? "The model takes"
                           : request.app == App::Camera ? "The models together take"
                                                        : "The largest of the models takes";
  const ChipFacts& chip = chip_facts(*request.target);
  if (has_psram(request))
    return {true, fmt::format("{} {} KiB of RAM, which come from the PSRAM.", take, kib(most))};
  const std::size_t free = chip.free_ram_kib;
  if (kib(most) > free)
    return {false,
            fmt::format("{} {} KiB of RAM, which do not fit: without PSRAM, an application on "
                        "the {} finds about {} KiB. Fit the model with espquant optimize "
                        "--fit ram={}K, make the network or its input smaller, or take a "
                        "board with PSRAM.",
                        take, kib(most), chip.name, free, free)};
  constexpr std::size_t kTight = 80;  // percent
  return {true, fmt::format("{} {} KiB of RAM. Without PSRAM, an application on the "
                            "{} finds about {} KiB{}.",
                            take, kib(most), chip.name, free,
                            100 * kib(most) > kTight * free
                                ? ", so little is left: it may fail where that is in pieces"
                                : ": it fits")};
}

}  // namespace espquant::deploy
