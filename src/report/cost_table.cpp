#include "report/cost_table.h"

#include <fmt/format.h>

#include <unordered_map>

#include "report/table.h"

namespace espquant::report {
namespace {

std::string bytes_text(std::size_t bytes) {
  return fmt::format("{} bytes", with_separators(static_cast<std::int64_t>(bytes)));
}

std::string activations_text(const cost::MemoryPlan& plan) {
  if (plan.psram_bytes == 0) return bytes_text(plan.internal_bytes) + " of internal RAM";
  const std::string psram = bytes_text(plan.psram_bytes) + " of PSRAM";
  return plan.internal_bytes == 0
             ? psram
             : fmt::format("{} and {} of internal RAM", psram, bytes_text(plan.internal_bytes));
}

std::string parameters_text(const cost::MemoryPlan& plan) {
  return bytes_text(plan.parameter_bytes) +
         (plan.parameter_copy_bytes > 0 ? " of flash, copied to RAM when the model is loaded"
                                        : " of flash, read from there");
}

std::string percent_text(double part, double whole) {
  return whole > 0 ? fmt::format("{:.0f} %", 100 * part / whole) : "";
}

}  // namespace

std::string milliseconds_text(double milliseconds) {
  if (milliseconds >= 100) return fmt::format("{:.0f}", milliseconds);
  if (milliseconds >= 10) return fmt::format("{:.1f}", milliseconds);
  return milliseconds >= 1 ? fmt::format("{:.2f}", milliseconds)
                           : fmt::format("{:.3f}", milliseconds);
}

Cost cost_of(const espdl::Model& model, const Target& target, const cost::PlannerOptions& options,
             cost::LatencyOptions latency) {
  Cost cost;
  cost.memory = cost::plan_memory(model, target, options);
  latency.parameters_in_flash = !options.copy_parameters;
  latency.internal_tensors = cost::internal_tensors_of(cost.memory);
  cost.latency = cost::estimate_latency(model, target, latency);
  return cost;
}

std::string latency_text(const cost::LatencyEstimate& latency) {
  return fmt::format("{} ms on {} at {:.0f} MHz, expected within {} to {} ms",
                     milliseconds_text(latency.milliseconds),
                     latency.cores == 2 ? "two cores" : "one core", latency.clock_mhz,
                     milliseconds_text(latency.milliseconds * (1 - latency.below)),
                     milliseconds_text(latency.milliseconds * (1 + latency.above)));
}

std::string cost_summary(const Cost& cost) {
  std::string text;
  const auto line = [&](std::string_view title, std::string_view content) {
    text += fmt::format("{:<13}{}\n", title, shortened(content, width_behind(13)));
  };
  const auto& plan = cost.memory;
  line("activations", activations_text(plan));
  line("parameters", parameters_text(plan));
  line("scratch",
       fmt::format("{} kept, at most {} while a node runs", bytes_text(plan.kept_scratch_bytes()),
                   bytes_text(plan.largest_scratch_bytes())));
  line("RAM in all", bytes_text(plan.ram_bytes()));
  const auto& latency = cost.latency;
  line("latency", latency_text(latency));
  line("", fmt::format("from {}", latency.basis));
  for (const auto& overwrite : plan.overwrites)
    line("warning", fmt::format("the runtime overwrites '{}' in node '{}' while it is needed",
                                shortened(overwrite.tensor, width_behind(74)),
                                shortened(overwrite.node, width_behind(74))));
  return text;
}

std::string internal_ram_text(const cost::InternalRam& internal, double without) {
  return fmt::format(
      "recommended  max_internal_size {}: {} ms ({:+.1f} %) by estimate, {} of PSRAM\n",
      internal.bytes, milliseconds_text(internal.milliseconds),
      100 * (internal.milliseconds - without) / without, bytes_text(internal.psram_bytes));
}

std::string cost_table(const espdl::Model& model, const Cost& cost) {
  using enum Table::Align;
  Table table({{"node", Left},
               {"type", Left},
               {"MMAC", Right},
               {"ms", Right},
               {"share", Right},
               {"waiting", Right},
               {"output at", Right},
               {"bytes", Right},
               {"memory", Left}});
  std::unordered_map<std::string_view, const cost::TensorPlace*> places;
  for (const auto& place : cost.memory.tensors) places.emplace(place.name, &place);
  const auto& latency = cost.latency;
  double macs = 0, waiting = 0;
  for (std::size_t n = 0; n < model.nodes.size(); ++n) {
    const auto& node = model.nodes[n];
    const auto& entry = latency.nodes[n];
    macs += entry.macs;
    waiting += entry.memory_milliseconds;
    std::vector<std::string> cells = {node.name,
                                      node.op,
                                      entry.macs > 0 ? fmt::format("{:.2f}", entry.macs / 1e6) : "",
                                      milliseconds_text(entry.milliseconds),
                                      percent_text(entry.milliseconds, latency.milliseconds),
                                      percent_text(entry.memory_milliseconds, entry.milliseconds)};
    if (!node.outputs.empty()) {
      if (const auto place = places.find(node.outputs.front()); place != places.end()) {
        cells.push_back(with_separators(static_cast<std::int64_t>(place->second->offset)));
        cells.push_back(with_separators(static_cast<std::int64_t>(place->second->bytes)));
        cells.push_back(std::string(to_string(place->second->memory)) +
                        (place->second->shares.empty() ? "" : ", shared"));
      }
    }
    table.add_row(std::move(cells));
  }
  table.add_rule();
  table.add_row({"total", "", fmt::format("{:.2f}", macs / 1e6),
                 milliseconds_text(latency.milliseconds), "",
                 percent_text(waiting, latency.milliseconds)});
  return table.to_string();
}

}  // namespace espquant::report
