#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schedule/fragment.h"

/// Rewrites of an espdl::Model that change when and where its integers are computed, but none of
/// them.
namespace espquant::schedule {

/// What a model is to be fitted to.
struct Goal {
  /// As few milliseconds as can be.
  bool latency = false;
  /// Bytes that activations may take, by the runtime's plan.
  std::optional<std::size_t> ram;
};

/// "latency", "ram=200K" or both with a comma between; sizes in bytes, or with K or M behind
/// (1024, 1024 * 1024). Throws Error(Usage) that says what is not understood.
Goal parse_goal(std::string_view text);

struct Rewrite {
  std::string_view name, description;
  enum class Serves : std::uint8_t { Latency, Memory } serves;
  std::int64_t (*run)(espdl::Model&, const Conditions&, const Goal&);
  /// What it makes faster may take more memory.
  bool takes_memory = false;
};

/// Every rewrite in the order in which they run.
std::span<const Rewrite> all_rewrites();

struct OptimizeOptions {
  Goal goal;
  /// Rewrites that are left out, by name.
  std::vector<std::string> disabled;
};

struct RewriteRecord {
  std::string name;
  std::int64_t changes = 0;
};

struct Optimized {
  espdl::Model model;
  /// Those that changed something.
  std::vector<RewriteRecord> done;
};

/// The model under the goal of `options`: the same inputs, outputs, test values and integers.
/// Metadata say what was done ("espquant.schedule"). Throws Error(Usage) for a name that no rewrite
/// has, Error(Illegal) where activations cannot be fitted into the RAM asked for: it says the least
/// that can be had, and which node stands in the way.
Optimized optimize(const espdl::Model& model, const Conditions& conditions,
                   const OptimizeOptions& options);

}  // namespace espquant::schedule
