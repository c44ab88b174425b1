#include <algorithm>
#include <optional>

#include "base/random.h"
#include "cost/latency.h"
#include "cost/memory_plan.h"
#include "cost/node_work.h"
#include "espdl/reader.h"
#include "espdl/writer.h"
#include "measure/planned_memory.h"
#include "schedule/optimize.h"
#include "sim/program.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {
namespace {

constexpr std::size_t kMostBytes = 1 << 16;
constexpr double kMostMacs = 1 << 18;

bool is_small(const espdl::Model& model, const sim::Program& program) {
  std::size_t bytes = 0;
  for (std::size_t t = 0; t < program.tensor_count(); ++t) {
    bytes += program.desc(t).byte_size();
    if (bytes > kMostBytes) return false;
  }
  const espdl::ModelIndex index(model);
  double macs = 0;
  for (const espdl::Node& n : model.nodes) macs += cost::macs_of(n, index);
  return macs <= kMostMacs;
}

/// Outputs for inputs of random integers, by these kernels.
std::vector<Tensor> outputs_of(const sim::Program& program) {
  sim::Program::Frame frame(program);
  Random random(1);
  for (const std::size_t input : program.inputs()) {
    const bool is_bool = program.desc(input).dtype == DType::Bool;
    for (std::byte& b : frame.bytes(input))
      b = static_cast<std::byte>(random.next() & (is_bool ? 1 : 0x3F));
  }
  frame.run();
  std::vector<Tensor> outputs;
  for (const std::size_t output : program.outputs()) outputs.push_back(frame.tensor(output));
  return outputs;
}

}  // namespace

void fuzz_chip(FuzzInput bytes) {
  espdl::Model model;
  if (!accepted([&] { model = espdl::read_model(bytes); })) return;
  const Target* target = nullptr;
  if (!accepted([&] { target = &sim::target_of(model); })) return;
  (void)measure::check_model(model, *target);
  accepted([&] { (void)cost::plan_memory(model, *target); });
  accepted([&] { (void)cost::estimate_latency(model, *target); });

  std::optional<sim::Program> program;
  if (!accepted([&] { program.emplace(model, *target); }) || !is_small(model, *program)) return;
  std::vector<Tensor> fast;
  if (accepted([&] { fast = outputs_of(*program); })) {
    const sim::Program plain(model, *target, {.kernels = sim::KernelChoice::Reference});
    const std::vector<Tensor> expected = outputs_of(plain);
    for (std::size_t o = 0; o < fast.size(); ++o)
      promised(fast[o].equals(expected[o]), "fast kernels compute what plain ones do not");
  }
  accepted([&] {
    measure::compute_in_planned_memory(*program);
    (void)outputs_of(*program);
  });
  for (const char* goal : {"latency", "ram=1K"})
    accepted([&] {
      schedule::OptimizeOptions options;
      options.goal = schedule::parse_goal(goal);
      const auto made = schedule::optimize(model, schedule::Conditions{*target}, options);
      (void)espdl::read_model(espdl::write_model(made.model));
    });
}

}  // namespace espquant::test
