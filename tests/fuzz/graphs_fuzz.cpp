// Quantizes random networks and computes them a second time in memory as the runtime plans it.
//
//   graphs_fuzz [--judge plan|schedule] [--seconds N] [--count N] [--seed S] [--chip CHIP]
//               [--recipe NAME]
//
// --judge schedule: fits the files to goals instead, and compares before and after.
//
// Stops after so many seconds or graphs. Prints a line for each graph that is wrong, by its seed,
// and what was refused how often; ends with 1 where one was wrong. Same seed, same graphs.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <map>

#include "base/error.h"
#include "graph/graph.h"
#include "tests/fuzz/fuzz_options.h"
#include "tests/fuzz/graph_problem.h"

namespace {

using namespace espquant;
using namespace espquant::test;
using Clock = std::chrono::steady_clock;

struct Settings {
  double seconds = 300;
  std::uint64_t count = 0, seed = 1;
  /// In place of what is drawn.
  std::string chip, recipe;
  bool schedules = false;
};

Settings parse(int argc, char** argv) {
  Settings settings;
  read_fuzz_options(
      argc, argv,
      {{"--seconds", [&](const std::string& v) { settings.seconds = std::stod(v); }},
       {"--count", [&](const std::string& v) { settings.count = std::stoull(v); }},
       {"--seed", [&](const std::string& v) { settings.seed = std::stoull(v); }},
       {"--chip", [&](const std::string& v) { settings.chip = v; }},
       {"--recipe", [&](const std::string& v) { settings.recipe = v; }},
       {"--judge", [&](const std::string& v) { settings.schedules = v == "schedule"; }}});
  return settings;
}

/// Without the names that differ from graph to graph.
std::string kind_of(std::string text) {
  for (std::size_t at = text.find('\''); at != std::string::npos; at = text.find('\'', at + 2)) {
    const std::size_t end = text.find('\'', at + 1);
    if (end == std::string::npos) break;
    text.replace(at, end + 1 - at, "''");
  }
  return text.substr(0, 160);
}

int search(const Settings& settings) {
  using Kind = GraphVerdict::Kind;
  const auto end = Clock::now() + std::chrono::duration<double>(settings.seconds);
  std::int64_t graphs = 0, equal = 0, outputs = 0, aliases = 0, losing = 0, wrong = 0,
               refused_fits = 0;
  std::map<std::string, std::int64_t> rewrites;
  std::map<std::string, std::int64_t> refusals;
  for (std::uint64_t seed = settings.seed; Clock::now() < end; ++seed) {
    if (settings.count > 0 && seed == settings.seed + settings.count) break;
    GraphProblem problem =
        draw_graph(seed, settings.schedules && seed % 4 != 0 ? GraphSize::Large : GraphSize::Small);
    if (!settings.chip.empty()) problem.chip = settings.chip;
    if (!settings.recipe.empty()) problem.recipe = settings.recipe;
    const GraphVerdict verdict = settings.schedules ? judge_schedule(problem) : judge(problem);
    for (const auto& [name, places] : verdict.rewrites) rewrites[name] += places;
    refused_fits += verdict.refused_fits;
    ++graphs;
    outputs += verdict.outputs;
    aliases += verdict.aliases;
    losing += verdict.losses > 0 ? 1 : 0;
    if (verdict.kind == Kind::Equal) ++equal;
    if (verdict.kind == Kind::Refused) {
      ++refusals[kind_of(verdict.text)];
      if (settings.count == 1) fmt::print("{}\n{}", verdict.text, espquant::print(problem.network));
    }
    if (verdict.kind != Kind::Wrong) continue;
    ++wrong;
    fmt::print("WRONG: --seed {} --count 1 ({} by {}): {}\n", seed, problem.chip, problem.recipe,
               verdict.text);
    if (settings.count == 1) fmt::print("{}", espquant::print(problem.network));
    std::fflush(stdout);
  }
  for (const auto& [text, times] : refusals) fmt::print("refused {:>6} times: {}\n", times, text);
  for (const auto& [name, places] : rewrites) fmt::print("{:<16} in {} places\n", name, places);
  if (settings.schedules) fmt::print("{} goals could not be met\n", refused_fits);
  fmt::print(
      "{} graphs from seed {}: {} equal ({} output elements, {} aliases; {} graphs would have lost "
      "data), {} wrong\n",
      graphs, settings.seed, equal, outputs, aliases, losing, wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  return search(parse(argc, argv));
} catch (const std::exception& error) {
  fmt::print(stderr, "graphs_fuzz: {}\n", error.what());
  return 2;
}
