#include "strategy/mean_correction.h"

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <numeric>

#include "base/fixed_point.h"
#include "base/parallel.h"
#include "quant/weights.h"
#include "strategy/simulate.h"

namespace espquant::strategy {
namespace {

// Elements whose sums over all samples are made together: they stay in the cache.
constexpr std::size_t kSumBlock = 4096;

/// Where the input of a weighted layer stands on the chip.
struct InputPlace {
  std::size_t tensor = 0;
  bool channels_last = false;
};

// Nothing where it stands in an order that means cannot be read in.
std::optional<InputPlace> locate_input(const Graph& graph, const Node& n,
                                       const lower::Lowered& lowered, const sim::Program& program) {
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
  return InputPlace{tensor, !natural};
}

std::vector<float> mean_of(std::deque<sim::Program::Frame>& frames, const sim::Program& program,
                           std::size_t tensor) {
  const sim::TensorDesc& desc = program.desc(tensor);
  const float scale = pow2(desc.exponent()) / static_cast<float>(frames.size());
  std::vector<float> mean(static_cast<std::size_t>(element_count(desc.shape)));
  const std::size_t blocks = (mean.size() + kSumBlock - 1) / kSumBlock;
  parallel_for(static_cast<std::int64_t>(blocks), [&](std::int64_t block) {
    const std::size_t first = static_cast<std::size_t>(block) * kSumBlock;
    const std::size_t count = std::min(kSumBlock, mean.size() - first);
    std::array<std::int32_t, kSumBlock> sums{};
    const auto add = [&](const auto* q) {
      for (std::size_t i = 0; i < count; ++i) sums[i] += q[first + i];
    };
    for (sim::Program::Frame& frame : frames) {
      const std::byte* stored = frame.bytes(tensor).data();
      if (desc.dtype == DType::Int8)
        add(reinterpret_cast<const std::int8_t*>(stored));
      else
        add(reinterpret_cast<const std::int16_t*>(stored));
    }
    for (std::size_t i = 0; i < count; ++i) mean[first + i] = static_cast<float>(sums[i]) * scale;
  });
  return mean;
}

/// The graph's weighted layers by the index of the program's node that runs them.
std::map<std::size_t, NodeId> layers_of(const sim::Program& program, const Graph& graph,
                                        const quant::MeanOutputs& wanted) {
  std::map<std::string_view, std::size_t> index;
  for (std::size_t n = 0; n < program.node_count(); ++n)
    index.emplace(program.model().nodes[n].name, n);
  std::map<std::size_t, NodeId> layers;
  for (const auto& [id, unused] : wanted) {
    const auto it = index.find(graph.node(id).name);
    // A layer to which no bias was worth giving stays without.
    if (it != index.end() && graph.node(id).input(2) != kNone) layers.emplace(it->second, id);
  }
  return layers;
}

/// Puts the bias of a graph's layer into the model's constant. False where its field cannot hold
/// it; nothing is changed then.
bool store_bias(const Graph& graph, const Node& n, const Target& target, espdl::Model& model,
                const espdl::Node& lowered) {
  const auto constant =
      std::find_if(model.initializers.begin(), model.initializers.end(),
                   [&](const espdl::Constant& c) { return c.name == lowered.inputs.at(2); });
  ESPQUANT_ASSERT(constant != model.initializers.end(), "a layer's bias is not in the model");
  try {
    const Tensor integers = lower::lower_bias(graph, n, target);
    const auto bytes = integers.bytes();
    std::copy(bytes.begin(), bytes.end(), constant->data.mutable_bytes().begin());
  } catch (const Error&) {
    return false;
  }
  return true;
}

}  // namespace

std::vector<std::vector<Tensor>> float_outputs(const ops::Executor& executor,
                                               const std::vector<std::vector<Tensor>>& inputs) {
  std::vector<std::vector<Tensor>> outputs(inputs.size());
  std::vector<std::unique_ptr<ops::Executor::Workspace>> workspaces(
      static_cast<std::size_t>(thread_count()));
  parallel_for(static_cast<std::int64_t>(inputs.size()), [&](std::int64_t i) {
    auto& workspace = workspaces.at(static_cast<std::size_t>(worker_index()));
    if (!workspace) workspace = std::make_unique<ops::Executor::Workspace>(executor);
    const auto s = static_cast<std::size_t>(i);
    outputs[s] = executor.run(inputs[s], *workspace);
  });
  return outputs;
}

FloatRun run_float(const ops::Executor& executor, const calib::SampleSource& source,
                   std::span<const std::int64_t> samples, const quant::Plan& plan) {
  FloatRun run;
  run.inputs.resize(samples.size());
  parallel_for(static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
    const auto s = static_cast<std::size_t>(i);
    run.inputs[s] = source.sample(samples[s]);
  });
  std::vector<calib::Request> requests(plan.requests.size());
  for (std::size_t v = 0; v < requests.size(); ++v) requests[v].mean = plan.requests[v].mean;
  const calib::SampleSource chosen{static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
                                     return run.inputs[static_cast<std::size_t>(i)];
                                   }};
  run.statistics = calib::gather(executor, chosen, requests);
  run.outputs = float_outputs(executor, run.inputs);
  return run;
}

Noise output_noise(const sim::Program& program, const Graph& network, const FloatRun& run,
                   const std::vector<std::vector<Tensor>>& expected) {
  const SimulatedNetwork simulated(program, network);
  std::vector<std::unique_ptr<sim::Program::Frame>> frames(
      static_cast<std::size_t>(thread_count()));
  std::vector<Noise> noises(run.inputs.size());
  parallel_for(static_cast<std::int64_t>(noises.size()), [&](std::int64_t i) {
    auto& frame = frames.at(static_cast<std::size_t>(worker_index()));
    if (!frame) frame = std::make_unique<sim::Program::Frame>(program);
    const auto s = static_cast<std::size_t>(i);
    const auto outputs = simulated.run(run.inputs[s], *frame);
    for (std::size_t o = 0; o < outputs.size(); ++o)
      noises[s].add(outputs[o].data<float>(), expected[s][o].data<float>());
  });
  Noise sum;
  for (const Noise& noise : noises) sum.add(noise);
  return sum;
}

Candidate match_means(const Candidate& before, const quant::Plan& plan,
                      const quant::Quantized& made, const Target& target, const FloatRun& run) {
  Candidate after = before;
  const quant::MeanOutputs wanted =
      quant::mean_outputs(made.scaled, plan, run.statistics, made.factors);
  espdl::Model& model = after.lowered.model;
  // The copy shares its constants with `before` until it is written to; programs need them to stay
  // where they are.
  for (espdl::Constant& constant : model.initializers) (void)constant.data.mutable_bytes();
  sim::Program program(model, target);
  const SimulatedNetwork network(program, after.graph);
  std::deque<sim::Program::Frame> frames;
  for (std::size_t s = 0; s < run.inputs.size(); ++s) frames.emplace_back(program);
  parallel_for(static_cast<std::int64_t>(frames.size()), [&](std::int64_t i) {
    const auto s = static_cast<std::size_t>(i);
    network.feed(run.inputs[s], frames[s]);
  });
  const std::map<std::size_t, NodeId> layers = layers_of(program, after.graph, wanted);
  for (std::size_t n = 0; n < program.node_count(); ++n) {
    if (const auto layer = layers.find(n); layer != layers.end()) {
      const Node node = after.graph.node(layer->second);
      if (const auto place = locate_input(after.graph, node, after.lowered, program)) {
        Value& bias = after.graph.value(node.inputs[2]);
        const Tensor old = bias.constant;
        quant::correct_bias(
            after.graph, layer->second, wanted.at(layer->second),
            quant::mean_under_weights(after.graph, node, mean_of(frames, program, place->tensor),
                                      place->channels_last));
        if (store_bias(after.graph, node, target, model, model.nodes[n]))
          program.refresh(n);
        else
          bias.constant = old;
      }
    }
    parallel_for(static_cast<std::int64_t>(frames.size()),
                 [&](std::int64_t i) { frames[static_cast<std::size_t>(i)].run_node(n); });
  }
  after.noise = {};
  for (std::size_t s = 0; s < frames.size(); ++s) {
    const auto outputs = network.read(frames[s]);
    for (std::size_t o = 0; o < outputs.size(); ++o)
      after.noise.add(outputs[o].data<float>(), run.outputs[s][o].data<float>());
  }
  return after;
}

}  // namespace espquant::strategy
