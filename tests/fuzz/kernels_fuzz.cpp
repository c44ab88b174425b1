// Holds the simulator's fast kernels equal to plain loops, bit for bit, on random problems.
//
//   kernels_fuzz [--seconds N] [--seed S] [--problem "conv target=esp32s3 ..."]
//
// Ends with 1 at the first difference, after printing the problem as the line that --problem
// replays; with 0 when the time is over without one. Same seed, same problems.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <map>

#include "base/error.h"
#include "tests/fuzz/fuzz_options.h"
#include "tests/fuzz/kernel_problem.h"

namespace {

using namespace espquant;
using namespace espquant::test;
using Clock = std::chrono::steady_clock;

struct Settings {
  double seconds = 300;
  std::uint64_t seed = 1;
  std::string problem;
};

Settings parse(int argc, char** argv) {
  Settings settings;
  read_fuzz_options(argc, argv,
                    {{"--seconds", [&](const std::string& v) { settings.seconds = std::stod(v); }},
                     {"--seed", [&](const std::string& v) { settings.seed = std::stoull(v); }},
                     {"--problem", [&](const std::string& v) { settings.problem = v; }}});
  return settings;
}

/// What was compared with one kind of kernel.
struct Count {
  std::int64_t problems = 0, refused = 0, outputs = 0, saturated = 0;

  void add(const Comparison& c) {
    ++problems;
    refused += c.refused ? 1 : 0;
    outputs += c.outputs;
    saturated += c.saturated;
  }
};

void print(const std::string& kind, const Count& c) {
  fmt::print("{:28} {:>10} problems {:>14} outputs {:>13} saturated {:>7} refused\n", kind,
             c.problems, c.outputs, c.saturated, c.refused);
}

int report(const KernelProblem& problem, const Comparison& comparison) {
  fmt::print("DIFFERENCE: {}\n  --problem \"{}\"\n", comparison.difference, line_of(problem));
  return 1;
}

int replay(const std::string& line) {
  const KernelProblem problem = parse_problem(line);
  const Comparison comparison = compare_kernels(problem);
  if (!comparison.difference.empty()) return report(problem, comparison);
  fmt::print("{}: {} outputs\n", comparison.refused ? "refused alike" : "equal",
             comparison.outputs);
  return 0;
}

int fuzz(const Settings& settings) {
  const auto start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  std::map<std::string, Count> counts;
  Count total;
  Random random(settings.seed);
  while (elapsed() < settings.seconds) {
    const KernelProblem problem = draw_problem(random);
    const Comparison comparison = compare_kernels(problem);
    if (!comparison.difference.empty()) return report(problem, comparison);
    counts[fmt::format("{} {} int{}", problem.op, problem.target, problem.bits)].add(comparison);
    total.add(comparison);
  }
  for (const auto& [kind, count] : counts) print(kind, count);
  print(fmt::format("all in {:.0f} s, seed {}", elapsed(), settings.seed), total);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Settings settings = parse(argc, argv);
    return settings.problem.empty() ? fuzz(settings) : replay(settings.problem);
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return exit_code(error.code());
  }
}
