#include "strategy/mean_correction.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "base/fixed_point.h"
#include "base/parallel.h"
#include "quant/weights.h"
#include "strategy/simulate.h"

namespace espquant::strategy {
namespace {

/// Mean of what a layer reads, as the chip stores it.
struct MeanInput {
  std::size_t tensor = 0;
  bool channels_last = false;
  std::vector<float> mean;
};

/// The input of a weighted layer in the chip's program, where it stands in an order that the means
/// can be read in.
std::optional<MeanInput> locate(const Graph& graph, const Node& n, const lower::Lowered& lowered,
                                const sim::Program& program) {
  const Value& input = graph.value(n.inputs[0]);
  const auto it = lowered.order.find(input.name);
  if (it == lowered.order.end()) return std::nullopt;
  const std::vector<std::int64_t>& order = it->second;
  const bool natural = std::is_sorted(order.begin(), order.end());
  std::vector<std::int64_t> channels_last(order.size());
  std::iota(channels_last.begin(), channels_last.end(), std::int64_t{0});
  if (order.size() >= 3)
    std::rotate(channels_last.begin() + 1, channels_last.begin() + 2, channels_last.end());
  if (!natural && order != channels_last) return std::nullopt;
  const std::size_t tensor = program.tensor_index(input.name);
  const DType dtype = program.desc(tensor).dtype;
  if (dtype != DType::Int8 && dtype != DType::Int16) return std::nullopt;
  return MeanInput{tensor, !natural, {}};
}

void add_integers(std::span<const std::byte> stored, DType dtype, std::vector<std::int32_t>& sums) {
  const auto add = [&](const auto* q) {
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += q[i];
  };
  if (dtype == DType::Int8)
    add(reinterpret_cast<const std::int8_t*>(stored.data()));
  else
    add(reinterpret_cast<const std::int16_t*>(stored.data()));
}

struct Worker {
  explicit Worker(const sim::Program& program, std::size_t inputs)
      : frame(program, true), sums(inputs) {}
  sim::Program::Frame frame;
  /// Sums of integers: the same whichever worker took which sample.
  std::vector<std::vector<std::int32_t>> sums;
};

/// Simulates the samples; fills in the means and gives the noise at the outputs.
Noise simulate_means(const sim::Program& program, const Graph& network,
                     const calib::SampleSource& source, std::span<const std::int64_t> samples,
                     const std::vector<std::vector<Tensor>>& references,
                     std::map<NodeId, MeanInput>& inputs) {
  const SimulatedNetwork simulated(program, network);
  std::vector<std::unique_ptr<Worker>> workers(static_cast<std::size_t>(thread_count()));
  std::vector<Noise> noises(samples.size());
  parallel_for(static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
    auto& worker = workers.at(static_cast<std::size_t>(worker_index()));
    if (!worker) worker = std::make_unique<Worker>(program, inputs.size());
    const auto s = static_cast<std::size_t>(i);
    const auto outputs = simulated.run(source.sample(samples[s]), worker->frame);
    for (std::size_t o = 0; o < outputs.size(); ++o)
      noises[s].add(outputs[o].data<float>(), references[s][o].data<float>());
    std::size_t at = 0;
    for (const auto& [id, input] : inputs) {
      auto& sums = worker->sums[at++];
      const sim::TensorDesc& desc = program.desc(input.tensor);
      sums.resize(static_cast<std::size_t>(element_count(desc.shape)));
      add_integers(worker->frame.bytes(input.tensor), desc.dtype, sums);
    }
  });
  std::size_t at = 0;
  for (auto& [id, input] : inputs) {
    const sim::TensorDesc& desc = program.desc(input.tensor);
    std::vector<std::int64_t> total(static_cast<std::size_t>(element_count(desc.shape)), 0);
    for (const auto& worker : workers) {
      if (!worker || worker->sums[at].empty()) continue;
      for (std::size_t k = 0; k < total.size(); ++k) total[k] += worker->sums[at][k];
    }
    const double scale =
        static_cast<double>(pow2(desc.exponent())) / static_cast<double>(samples.size());
    input.mean.resize(total.size());
    for (std::size_t k = 0; k < total.size(); ++k)
      input.mean[k] = static_cast<float>(static_cast<double>(total[k]) * scale);
    ++at;
  }
  Noise sum;
  for (const Noise& noise : noises) sum.add(noise);
  return sum;
}

std::vector<std::vector<Tensor>> float_outputs(const ops::Executor& executor,
                                               const calib::SampleSource& source,
                                               std::span<const std::int64_t> samples) {
  std::vector<std::vector<Tensor>> outputs(samples.size());
  std::vector<std::unique_ptr<ops::Executor::Workspace>> workspaces(
      static_cast<std::size_t>(thread_count()));
  parallel_for(static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
    auto& workspace = workspaces.at(static_cast<std::size_t>(worker_index()));
    if (!workspace) workspace = std::make_unique<ops::Executor::Workspace>(executor);
    const auto s = static_cast<std::size_t>(i);
    outputs[s] = executor.run(source.sample(samples[s]), *workspace);
  });
  return outputs;
}

// The float network's, on the very samples that are simulated.
quant::MeanOutputs wanted_means(const ops::Executor& executor, const calib::SampleSource& source,
                                std::span<const std::int64_t> samples, const quant::Plan& plan,
                                const quant::Quantized& made) {
  const calib::SampleSource chosen{static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
                                     return source.sample(samples[static_cast<std::size_t>(i)]);
                                   }};
  std::vector<calib::Request> requests(plan.requests.size());
  for (std::size_t v = 0; v < requests.size(); ++v) requests[v].mean = plan.requests[v].mean;
  const calib::Statistics statistics = calib::gather(executor, chosen, requests);
  return quant::mean_outputs(made.scaled, plan, statistics, made.factors);
}

}  // namespace

Candidate match_means(Graph quantized, const quant::Plan& plan,
                      const quant::Calibration& calibration, const quant::Quantized& made,
                      const quant::Settings& settings, const lower::Options& options,
                      const ops::Executor& executor, const calib::SampleSource& source,
                      std::span<const std::int64_t> samples, int passes) {
  const auto references = float_outputs(executor, source, samples);
  const quant::MeanOutputs wanted = wanted_means(executor, source, samples, plan, made);
  std::optional<Candidate> best;
  Graph graph = std::move(quantized);
  for (int pass = 0;; ++pass) {
    lower::Lowered lowered = lower::lower(graph, *settings.target, options);
    std::map<NodeId, MeanInput> inputs;
    Noise noise;
    {
      const sim::Program program(lowered.model, *settings.target);
      for (const auto& [id, unused] : wanted)
        if (auto input = locate(graph, graph.node(id), lowered, program))
          inputs.emplace(id, std::move(*input));
      noise = simulate_means(program, executor.graph(), source, samples, references, inputs);
    }
    fprintf(stderr, "pass %d noise %g inputs %zu\n", pass, noise.ratio(), inputs.size());
    for (const auto& [id, input] : inputs) {
      const Node& n = graph.node(id);
      const auto under = quant::mean_under_weights(graph, n, input.mean, input.channels_last);
      double a=0,b=0; const auto rows = quant::weight_rows(graph,n); const auto& w = wanted.at(id);
      for (std::int64_t r=0;r<rows.rows;++r){ double sum=0; for(size_t k=0;k<rows.row(r).size();++k) sum+=rows.row(r)[k]*under[r/rows.rows_per_group*rows.columns+k]; if(n.input(2)!=kNone) sum+=graph.value(n.inputs[2]).constant.data<float>()[r]; a+=(sum-w[r])*(sum-w[r]); b+=w[r]*w[r];}
      fprintf(stderr,"  %s %g\n", n.name.c_str(), a/b);
    }
    if (best && noise.noise >= best->noise.noise) return std::move(*best);
    best = Candidate{graph, std::move(lowered), noise};
    if (pass == passes) return std::move(*best);
    for (const auto& [id, input] : inputs) {
      const Node& n = graph.node(id);
      quant::correct_bias(graph, id, wanted.at(id),
                          quant::mean_under_weights(graph, n, input.mean, input.channels_last));
    }
    quant::fit_parameters(graph, plan, calibration, settings);
  }
}

}  // namespace espquant::strategy
