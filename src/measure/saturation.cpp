#include "measure/saturation.h"

#include <fmt/format.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>

#include "base/parallel.h"
#include "base/per_worker.h"

namespace espquant::measure {
namespace {

using Books = sim::Workspace::Saturation;

sim::Options without_saturation(sim::Options options) {
  options.saturation = false;
  return options;
}

struct SampleResult {
  std::vector<Books> books;
  std::vector<std::int64_t> changed;
  std::vector<Noise> effect;
  Noise output, noise, noise_of_exact_sums;
};

/// What one thread needs.
struct SaturationWorker {
  SaturationWorker(const sim::Program& chip_program, const sim::Program& exact_program,
                   const ops::Executor* reference)
      : chip(chip_program, true), exact(exact_program, true) {
    if (reference != nullptr) workspace = std::make_unique<ops::Executor::Workspace>(*reference);
  }
  sim::Program::Frame chip, exact;
  std::unique_ptr<ops::Executor::Workspace> workspace;
  std::vector<float> clipped_values, exact_values;
};

class Measurement {
 public:
  Measurement(const sim::Program& program, const Graph& network, const ops::Executor* reference)
      : program_(program),
        exact_(program.model(), program.target(), without_saturation(program.options())),
        chip_network_(program_, network),
        exact_network_(exact_, network),
        reference_(reference),
        workers_(program_, exact_, reference_) {}

  /// Inside a parallel_for.
  SampleResult measure(const std::vector<Tensor>& inputs) {
    SaturationWorker& worker = workers_.mine();
    SampleResult result;
    result.books.resize(program_.node_count());
    for (Books& books : result.books) books.traced = true;
    worker.chip.saturation = &result.books;
    worker.chip.reset();
    worker.exact.reset();
    const std::vector<Tensor> clipped = chip_network_.run(inputs, worker.chip);
    const std::vector<Tensor> exact = exact_network_.run(inputs, worker.exact);
    worker.chip.saturation = nullptr;
    add_noise(clipped, exact, result.output);
    if (reference_ != nullptr) {
      const std::vector<Tensor> expected = reference_->run(inputs, *worker.workspace);
      add_noise(clipped, expected, result.noise);
      add_noise(exact, expected, result.noise_of_exact_sums);
    }
    result.changed.resize(program_.node_count());
    result.effect.resize(program_.node_count());
    for (std::size_t n = 0; n < program_.node_count(); ++n)
      if (result.books[n].outputs > 0) compare_node(n, worker, result);
    return result;
  }

 private:
  static void add_noise(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected,
                        Noise& noise) {
    for (std::size_t o = 0; o < actual.size(); ++o)
      noise.add(actual[o].data<float>(), expected[o].data<float>());
  }

  /// Runs the node with exact sums on the inputs that it had on the chip.
  void compare_node(std::size_t node, SaturationWorker& worker, SampleResult& result) const {
    for (std::size_t t : program_.node_inputs(node)) {
      const auto from = worker.chip.bytes(t);
      std::memcpy(worker.exact.bytes(t).data(), from.data(), from.size());
    }
    worker.exact.run_node(node);
    const std::size_t output = program_.node_outputs(node).front();
    const sim::TensorDesc& desc = program_.desc(output);
    const auto count = static_cast<std::size_t>(element_count(desc.shape));
    worker.clipped_values.resize(count);
    worker.exact_values.resize(count);
    load(worker.chip.bytes(output).data(), desc, worker.clipped_values);
    load(worker.exact.bytes(output).data(), desc, worker.exact_values);
    for (std::size_t i = 0; i < count; ++i)
      result.changed[node] += worker.clipped_values[i] != worker.exact_values[i] ? 1 : 0;
    result.effect[node].add(worker.clipped_values, worker.exact_values);
  }

  const sim::Program& program_;
  sim::Program exact_;
  SimulatedNetwork chip_network_, exact_network_;
  const ops::Executor* reference_;
  PerWorker<SaturationWorker> workers_;
};

void add(Books& sum, const Books& books) {
  sum.outputs += books.outputs;
  sum.saturated += books.saturated;
  sum.above_half += books.above_half;
  sum.peak = std::max(sum.peak, books.peak);
}

LayerSaturation describe(const sim::Program& program, std::size_t node, std::int64_t samples) {
  const std::size_t output = program.node_outputs(node).front();
  const sim::TensorDesc& desc = program.desc(output);
  LayerSaturation layer;
  layer.node = program.model().nodes[node].name;
  layer.op = program.model().nodes[node].op;
  layer.tensor = program.tensor_name(output);
  layer.dtype = desc.dtype;
  layer.books.traced = true;
  layer.elements = samples * element_count(desc.shape);
  return layer;
}

}  // namespace

SaturationReport measure_saturation(const sim::Program& program, const Graph& network,
                                    const ops::Executor* reference,
                                    const calib::SampleSource& source,
                                    const calib::Progress& progress) {
  Measurement measurement(program, network, reference);
  std::vector<SampleResult> results(static_cast<std::size_t>(source.count));
  std::atomic<std::int64_t> done = 0;
  std::mutex progress_mutex;
  parallel_for(source.count, [&](std::int64_t i) {
    results[static_cast<std::size_t>(i)] = measurement.measure(source.sample(i));
    const std::int64_t finished = ++done;
    if (progress) {
      const std::lock_guard lock(progress_mutex);
      progress(finished, source.count);
    }
  });

  SaturationReport report;
  report.samples = source.count;
  for (std::size_t n = 0; n < program.node_count(); ++n) {
    if (program.node_outputs(n).empty()) continue;
    LayerSaturation layer = describe(program, n, source.count);
    for (const SampleResult& result : results) {
      add(layer.books, result.books[n]);
      layer.changed += result.changed[n];
      layer.effect.add(result.effect[n]);
    }
    if (layer.books.outputs > 0) report.layers.push_back(std::move(layer));
  }
  Noise noise, noise_of_exact_sums;
  for (const SampleResult& result : results) {
    report.output.add(result.output);
    noise.add(result.noise);
    noise_of_exact_sums.add(result.noise_of_exact_sums);
  }
  if (reference != nullptr) {
    report.noise = noise;
    report.noise_of_exact_sums = noise_of_exact_sums;
  }
  return report;
}

int excess_bits(const LayerSaturation& layer) {
  return layer.books.peak > 1 ? static_cast<int>(std::ceil(std::log2(layer.books.peak))) : 0;
}

std::string advice(const LayerSaturation& layer, const Target& target) {
  if (layer.changed == 0) return {};
  const int bits = layer.dtype == DType::Int8 ? 8 : 16;
  const int register_bits = target.accumulator_bits(bits);
  const double changed =
      100 * static_cast<double>(layer.changed) / static_cast<double>(layer.elements);
  if (layer.books.saturated == 0)
    return fmt::format(
        "'{}': its bias does not fit the {} bits of {}'s registers and loses its upper bits, which "
        "changes {:.3g} % of the outputs; raise the exponent of its input or weights.",
        layer.node, register_bits, target.name, changed);
  const int excess = excess_bits(layer);
  const std::string wider = bits == 8 ? fmt::format(", or quantize it to 16 bits ({}-bit sums)",
                                                    target.accumulator_bits(16))
                                      : std::string();
  return fmt::format(
      "'{}': its sums reach {:.3g} times what {}'s {}-bit registers hold, which changes {:.3g} % "
      "of "
      "the outputs; raise the exponents of its input and weights by {} in total{}.",
      layer.node, layer.books.peak, target.name, register_bits, changed, excess, wider);
}

}  // namespace espquant::measure
