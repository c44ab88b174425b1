#include "strategy/quantize_model.h"

#include <algorithm>
#include <chrono>

#include "calib/output_errors.h"
#include "lower/lower.h"
#include "quant/quantize.h"
#include "strategy/mean_correction.h"

namespace espquant::strategy {
namespace {

// The windows of exponents are laid around the range of a few samples; the pass over all of them
// decides.
constexpr std::int64_t kScanSamples = 8;
// Correlations of inputs need fewer samples than their ranges.
constexpr std::int64_t kCovarianceSamples = 128;
// Samples that go through the simulated network in step, as far as this memory holds them.
constexpr std::int64_t kMeanSamples = 128, kLeastMeanSamples = 16;
constexpr std::int64_t kMeanMemory = std::int64_t{96} << 20;

class Stopwatch {
 public:
  Stopwatch(std::vector<Stage>& stages, const StageProgress& progress)
      : stages_(stages), progress_(progress) {}

  template <typename F>
  auto run(std::string name, F&& work) {
    if (progress_) progress_(name, 0, 0);
    const auto begin = std::chrono::steady_clock::now();
    const auto finish = [&] {
      stages_.push_back(
          {std::move(name),
           std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()});
    };
    if constexpr (std::is_void_v<decltype(work())>) {
      work();
      finish();
    } else {
      auto result = work();
      finish();
      return result;
    }
  }

 private:
  std::vector<Stage>& stages_;
  const StageProgress& progress_;
};

// Two of a network's largest activations are about what the chip's memory holds at a time.
std::int64_t mean_samples(const Graph& graph) {
  std::int64_t input = 0, largest = 0;
  for (std::size_t v = 0; v < graph.value_count(); ++v) {
    const auto id = static_cast<ValueId>(v);
    const Value& value = graph.value(id);
    if (!value.shape || value.is_constant()) continue;
    largest = std::max(largest, element_count(*value.shape));
    if (graph.is_input(id)) input += element_count(*value.shape);
  }
  const std::int64_t each = std::max<std::int64_t>(4 * input + 2 * largest, 1);
  return std::clamp(kMeanMemory / each, kLeastMeanSamples, kMeanSamples);
}

std::vector<std::int64_t> spread(std::int64_t size, std::int64_t count) {
  std::vector<std::int64_t> picked;
  const std::int64_t n = std::min(size, count);
  for (std::int64_t i = 0; i < n; ++i) picked.push_back(i * size / n);
  return picked;
}

std::vector<NodeId> weighted_nodes(const Graph& graph) {
  std::vector<NodeId> nodes;
  for (NodeId id : graph.topological_order())
    if (quant::is_weighted(graph, graph.node(id))) nodes.push_back(id);
  return nodes;
}

calib::Statistics calibrate(const ops::Executor& executor, const calib::SampleSource& source,
                            quant::Plan& plan, const quant::Settings& settings,
                            const StageProgress& progress) {
  const calib::Progress forward = [&](std::int64_t done, std::int64_t total) {
    if (progress) progress("calibrate", done, total);
  };
  calib::Statistics statistics = calib::gather(executor, source, plan.requests, forward);
  // Rarely the first samples were far too tame: another pass with the windows moved settles it.
  while (quant::widen_plan(plan, settings, statistics))
    statistics = calib::gather(executor, source, plan.requests, forward);
  if (plan.uses(quant::Method::Auto))
    calib::measure_output_errors(executor, source, plan.requests, calib::kOutputErrorSamples,
                                 statistics);
  return statistics;
}

void write_test_values(espdl::Model& model, const sim::Program& program,
                       const SimulatedNetwork& network, const calib::SampleSource& source) {
  sim::Program::Frame frame(program);
  network.feed(source.sample(0), frame);
  const auto keep = [&](std::span<const std::size_t> tensors, std::vector<espdl::Constant>& into) {
    for (std::size_t t : tensors)
      into.push_back({program.tensor_name(t), frame.tensor(t), program.desc(t).exponents, ""});
  };
  std::vector<espdl::Constant> inputs, outputs;
  keep(program.inputs(), inputs);
  frame.run();
  keep(program.outputs(), outputs);
  model.test_inputs = std::move(inputs);
  model.test_outputs = std::move(outputs);
}

}  // namespace

QuantizedModel quantize_model(Graph imported, const calib::SampleSource& source,
                              const QuantizeOptions& options, const StageProgress& progress) {
  quant::check_settings(options.settings);
  QuantizedModel result;
  Stopwatch watch(result.stages, progress);
  result.network = watch.run("simplify", [&] {
    return passes::simplify(std::move(imported), options.passes, &result.passes);
  });

  std::optional<quant::Plan> plan;
  const quant::Calibration calibration = watch.run("calibrate", [&] {
    const ops::Executor executor(result.network);
    plan = quant::make_plan(result.network, options.settings,
                            calib::scan(executor, source, kScanSamples));
    quant::Calibration found;
    found.statistics = calibrate(executor, source, *plan, options.settings, progress);
    if (options.settings.round_weights)
      found.covariances = calib::gather_covariance(executor, source, weighted_nodes(result.network),
                                                   kCovarianceSamples);
    return found;
  });
  result.quantized = result.network;
  const quant::Quantized made = watch.run("quantize", [&] {
    return quant::quantize(result.quantized, *plan, calibration, options.settings);
  });
  Candidate best = watch.run("correct", [&] {
    const ops::Executor executor(result.network);
    const FloatRun run =
        run_float(executor, source, spread(source.count, mean_samples(result.network)), *plan);
    Candidate candidate =
        judge(std::move(result.quantized), *options.settings.target, {options.metadata}, run);
    if (!options.settings.bias_correction) return candidate;
    return match_means(std::move(candidate), *plan, made, *options.settings.target, run);
  });
  result.quantized = std::move(best.graph);
  lower::Lowered lowered = std::move(best.lowered);
  result.model = std::move(lowered.model);
  watch.run("simulate", [&] {
    const sim::Program program(result.model, *options.settings.target);
    result.faults.assign(program.faults().begin(), program.faults().end());
    const ops::Executor executor(result.quantized);
    result.noise = measure_noise(executor, program, lowered.order, source,
                                 spread(source.count, options.report_samples));
    if (options.test_values)
      write_test_values(result.model, program, SimulatedNetwork(program, result.network), source);
  });
  return result;
}

}  // namespace espquant::strategy
