#include "strategy/bank_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>

#include "base/error.h"
#include "base/parallel.h"
#include "measure/bank_programs.h"
#include "measure/simulate.h"
#include "recipe/name_pattern.h"

namespace espquant::strategy {
namespace {

bool is_written(const espdl::Model& model, const std::string& tensor) {
  return std::any_of(model.nodes.begin(), model.nodes.end(), [&](const espdl::Node& n) {
    return std::find(n.outputs.begin(), n.outputs.end(), tensor) != n.outputs.end();
  });
}

}  // namespace

std::vector<std::string> watched_tensors(const espdl::Model& model,
                                         const std::vector<std::string>& patterns) {
  std::vector<std::string> tensors;
  std::vector<bool> used(patterns.size());
  for (const espdl::ValueInfo& value : model.values) {
    if (value.dtype != DType::Int8 && value.dtype != DType::Int16) continue;
    if (!is_written(model, value.name)) continue;
    bool wanted = false;
    for (std::size_t p = 0; p < patterns.size(); ++p) {
      if (!recipe::matches(patterns[p], value.name)) continue;
      used[p] = wanted = true;
    }
    if (wanted) tensors.push_back(value.name);
  }
  const auto unused = std::find(used.begin(), used.end(), false);
  if (unused != used.end())
    throw Error(ErrorCode::Usage,
                fmt::format("dynamic.watch: '{}' matches no tensor of integers that a node writes",
                            patterns[static_cast<std::size_t>(unused - used.begin())]))
        .remedy("Names of tensors: espquant inspect of the .espdl");
  return tensors;
}

std::vector<espdl::Watched> clipping_limits(const espdl::Model& model, const Graph& network,
                                            const Target& target, const espdl::Banks& banks,
                                            const std::vector<std::string>& tensors,
                                            const calib::SampleSource& source) {
  constexpr float kTolerance = 2, kLeast = 0.001F;
  if (tensors.empty()) return {};
  const sim::Program own(model, target);
  const measure::BankPrograms programs(own, banks);
  std::deque<measure::SimulatedNetwork> simulated;
  for (const sim::Program* program : programs.all()) simulated.emplace_back(*program, network);
  std::vector<espdl::Watched> watched;
  for (const std::string& tensor : tensors)
    watched.push_back({tensor, std::vector<float>(programs.all().size())});
  std::mutex lock;
  parallel_for(source.count, [&](std::int64_t i) {
    const std::vector<Tensor> inputs = source.sample(i);
    const std::size_t bank = programs.choose(inputs);
    const sim::Program& program = simulated[bank].program();
    sim::Program::Frame frame(program, true);
    simulated[bank].feed(inputs, frame);
    frame.run();
    const std::lock_guard guard(lock);
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      float& limit = watched[t].limits[bank];
      limit = std::max(limit, espdl::clipped_share(frame.tensor(program.tensor_index(tensors[t]))));
    }
  });
  for (espdl::Watched& one : watched)
    for (float& limit : one.limits) limit = kTolerance * limit + kLeast;
  return watched;
}

}  // namespace espquant::strategy
