#include <fmt/format.h>

#include <algorithm>

#include "cost/memory_plan.h"
#include "espdl/reader.h"
#include "schedule/optimize.h"
#include "schedule/region.h"
#include "schedule/same_integers.h"
#include "strategy/last_gate.h"
#include "strategy/quantize_model.h"
#include "tests/fuzz/graph_problem.h"

namespace espquant::test {
namespace {

using Kind = GraphVerdict::Kind;

/// A board on which every rewrite of filters pays: nearly no cache, dear lines.
cost::Board thirsty_board(const Target& target) {
  cost::Board board = cost::board_of(target);
  board.cache_bytes = 256;
  board.line_bytes = 16;
  board.tile_bytes = 0;
  board.second_cache_bytes = board.second_line_bytes = 0;
  board.cycles.activation_lines = 0;
  board.cycles.filter_lines = 10000;
  return board;
}

espdl::Model quantized(const GraphProblem& problem, const Target& target) {
  strategy::QuantizeOptions options;
  options.recipe = recipe::find_recipe(problem.recipe);
  options.target = &target;
  options.report_samples = 1;
  const calib::SampleSource source{
      static_cast<std::int64_t>(problem.samples.size()),
      [&](std::int64_t i) { return problem.samples[static_cast<std::size_t>(i)]; }};
  const auto result = strategy::quantize_model(problem.network, source, options);
  return espdl::read_model(strategy::pass_last_gate(result, target).bytes());
}

/// Fits the model to the goal, and holds the result to it and to the integers before. Where the
/// goal is too high, that is not wrong.
void fit(const espdl::Model& model, const schedule::Conditions& conditions, const std::string& goal,
         GraphVerdict& verdict) {
  schedule::Optimized made;
  const schedule::Goal parsed = schedule::parse_goal(goal);
  try {
    made = schedule::optimize(model, conditions, {parsed, {}});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Illegal || !parsed.ram) throw;
    ++verdict.refused_fits;
    return;
  }
  for (const auto& record : made.done) verdict.rewrites[record.name] += record.changes;
  schedule::require_same_integers(model, made.model, conditions.target, 1);
  strategy::pass_last_gate(made.model, conditions.target, &model);
  const auto plan = cost::plan_memory(made.model, conditions.target);
  if (!plan.overwrites.empty()) throw Error(ErrorCode::Internal, "the plan loses data");
  if (parsed.ram && plan.activation_bytes() > *parsed.ram)
    throw Error(ErrorCode::Internal,
                fmt::format("{} bytes of activations for {}", plan.activation_bytes(), goal));
}

/// Every run of nodes that can be, in two bands and in many.
void cut_into_bands(const espdl::Model& model, const schedule::Conditions& conditions,
                    GraphVerdict& verdict) {
  constexpr std::size_t kNoLimit = static_cast<std::size_t>(-1);
  const schedule::Dataflow flow(model);
  schedule::Regions regions(flow, conditions);
  const std::size_t count = model.nodes.size();
  for (std::size_t first = 0; first < count; ++first) {
    std::size_t end = first;
    while (end < count && regions.outputs_of(first, end + 1)) ++end;
    for (const std::int64_t parts : {2, 16}) {
      const auto banded = regions.in_bands(first, end, kNoLimit, parts);
      if (!banded) continue;
      const auto made = schedule::write_bands(flow, regions, banded->region, conditions.target);
      ++verdict.rewrites["bands"];
      schedule::require_same_integers(model, made, conditions.target, 1);
    }
  }
}

}  // namespace

GraphVerdict judge_schedule(const GraphProblem& problem) {
  GraphVerdict verdict;
  const Target& newest = find_target(problem.chip);
  espdl::Model model;
  try {
    model = quantized(problem, newest);
  } catch (const Error& error) {
    verdict.kind = Kind::Refused;
    verdict.text = error.what();
    return verdict;
  }
  std::string goal;
  try {
    const Target& old = newest.under(find_release("3.3.9"));
    const bool runs_on_old = problem.recipe != "w8a16" && problem.recipe != "mixed";
    goal = "latency";
    fit(model, {newest}, goal, verdict);
    schedule::Conditions thirsty{runs_on_old ? old : newest};
    thirsty.latency.board = thirsty_board(thirsty.target);
    goal = "latency on a board with hardly a cache";
    fit(model, thirsty, "latency", verdict);
    const auto bytes = cost::plan_memory(model, newest).activation_bytes();
    for (const double share : {0.8, 0.5}) {
      const auto limit =
          std::max<std::size_t>(16, static_cast<std::size_t>(share * static_cast<double>(bytes)));
      goal = fmt::format("ram={}", limit);
      fit(model, {newest}, goal, verdict);
    }
    goal = fmt::format("ram={},latency", std::max<std::size_t>(bytes * 3 / 4, 16));
    fit(model, {newest}, goal, verdict);
    goal = "bands everywhere";
    cut_into_bands(model, {newest}, verdict);
  } catch (const Error& error) {
    verdict.kind = Kind::Wrong;
    verdict.text = fmt::format("--fit {}: {}", goal, error.what());
  }
  return verdict;
}

}  // namespace espquant::test
