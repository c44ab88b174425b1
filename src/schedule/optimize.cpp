#include "schedule/optimize.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "schedule/fit_memory.h"
#include "schedule/in_place_writes.h"
#include "schedule/rewrites.h"

namespace espquant::schedule {
namespace {

using Serves = Rewrite::Serves;

constexpr std::array kRewrites = {
    Rewrite{"merge_moves", "nodes that only move data go into their neighbours", Serves::Latency,
            [](espdl::Model& model, const Conditions& conditions, const Goal&) {
              return merge_moves(model, conditions);
            }},
    Rewrite{"merge_tables", "tables go into the convolution or the table before", Serves::Latency,
            [](espdl::Model& model, const Conditions& conditions, const Goal&) {
              return merge_tables(model, conditions);
            }},
    Rewrite{"pad_channels", "channels that do not fill vectors are filled up with zeros",
            Serves::Latency,
            [](espdl::Model& model, const Conditions& conditions, const Goal&) {
              return pad_channels(model, conditions);
            },
            true},
    Rewrite{"split_filters", "filters beyond the cache become several that fit it", Serves::Latency,
            [](espdl::Model& model, const Conditions& conditions, const Goal&) {
              return split_filters(model, conditions);
            },
            true},
    Rewrite{"sink_concats", "a Concat of channels runs behind the pool that reads it",
            Serves::Latency,
            [](espdl::Model& model, const Conditions& conditions, const Goal&) {
              return sink_concats(model, conditions);
            }},
    Rewrite{"order", "nodes run in the order that needs least memory", Serves::Memory,
            [](espdl::Model& model, const Conditions& conditions, const Goal&) {
              return order_nodes(model, conditions);
            }},
    Rewrite{"bands", "runs of nodes are computed in bands of rows, one after the other",
            Serves::Memory,
            [](espdl::Model& model, const Conditions& conditions, const Goal& goal) {
              return compute_in_bands(model, conditions, *goal.ram);
            }},
};

void check_names(const std::vector<std::string>& disabled) {
  std::vector<std::string> names;
  for (const auto& rewrite : kRewrites) names.emplace_back(rewrite.name);
  for (const auto& name : disabled) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string near = nearest_name(name, names);
    throw Error(ErrorCode::Usage, fmt::format("there is no rewrite '{}'", name))
        .remedy(near.empty() ? fmt::format("The rewrites are: {}", fmt::join(names, ", "))
                             : fmt::format("Did you mean '{}'?", near));
  }
}

void set_metadata(espdl::Model& model, std::string_view key, std::string value) {
  for (auto& [known, text] : model.metadata)
    if (known == key) {
      text = std::move(value);
      return;
    }
  model.metadata.emplace_back(key, std::move(value));
}

double milliseconds_of(const espdl::Model& model, const Conditions& conditions) {
  cost::LatencyOptions options = conditions.latency;
  options.parameters_in_flash = !conditions.planner.copy_parameters;
  return cost::estimate_latency(model, conditions.target, options).milliseconds;
}

/// What was done to `before`, and what that took.
void note_in_metadata(const espdl::Model& before, espdl::Model& model, const Conditions& conditions,
                      const std::vector<RewriteRecord>& done) {
  std::vector<std::string> parts;
  for (const auto& record : done)
    parts.push_back(fmt::format("{} {}", record.name, record.changes));
  if (parts.empty()) return;
  set_metadata(model, "target", std::string(conditions.target.name));
  set_metadata(model, "espquant.espdl", std::string(conditions.target.release.version));
  // Of a file that was rearranged before: after that.
  const std::string earlier = before.metadata_value("espquant.schedule");
  set_metadata(model, "espquant.schedule",
               fmt::format("{}{}{}", earlier, earlier.empty() ? "" : ", ", fmt::join(parts, ", ")));
  if (!before.metadata_value("espquant.schedule.before").empty()) return;
  const auto plan = cost::plan_memory(before, conditions.target, conditions.planner);
  set_metadata(model, "espquant.schedule.before",
               fmt::format("{:.4g} ms, {} bytes of activations, {} bytes of RAM in all, {} nodes",
                           milliseconds_of(before, conditions), plan.activation_bytes(),
                           plan.ram_bytes(), before.nodes.size()));
}

Optimized rewritten(const espdl::Model& model, const Conditions& conditions, const Goal& goal,
                    const std::vector<std::string>& disabled) {
  Optimized result{model, {}};
  for (const auto& rewrite : kRewrites) {
    if (std::find(disabled.begin(), disabled.end(), rewrite.name) != disabled.end()) continue;
    if (rewrite.serves == Serves::Latency ? !goal.latency : !goal.ram) continue;
    const std::int64_t changes = rewrite.run(result.model, conditions, goal);
    if (changes > 0) result.done.push_back({std::string(rewrite.name), changes});
  }
  const auto moved =
      protect_from_in_place_writes(result.model, conditions.target, conditions.latency);
  if (!moved.empty())
    result.done.push_back({"in_place_writes", static_cast<std::int64_t>(moved.size())});
  note_in_metadata(model, result.model, conditions, result.done);
  return result;
}

}  // namespace

std::span<const Rewrite> all_rewrites() { return kRewrites; }

Optimized optimize(const espdl::Model& model, const Conditions& conditions,
                   const OptimizeOptions& options) {
  check_names(options.disabled);
  if (!options.goal.ram || !options.goal.latency)
    return rewritten(model, conditions, options.goal, options.disabled);
  // What is faster may take more memory, and then more bands: the better of both.
  std::vector<std::string> spare = options.disabled;
  for (const auto& rewrite : kRewrites)
    if (rewrite.takes_memory) spare.emplace_back(rewrite.name);
  std::optional<Optimized> faster;
  try {
    faster = rewritten(model, conditions, options.goal, options.disabled);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Illegal) throw;
    return rewritten(model, conditions, options.goal, spare);
  }
  try {
    Optimized smaller = rewritten(model, conditions, options.goal, spare);
    if (milliseconds_of(smaller.model, conditions) < milliseconds_of(faster->model, conditions))
      return smaller;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Illegal) throw;
  }
  return std::move(*faster);
}

}  // namespace espquant::schedule
