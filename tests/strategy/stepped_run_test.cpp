#include "strategy/stepped_run.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/parallel.h"
#include "espdl/writer.h"
#include "measure/simulate.h"
#include "strategy/workbench.h"
#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

using test::Network;

constexpr std::int64_t kSteppedRunSamples = 16;

/// A network, quantized, with their biases off by several steps.
struct Shifted {
  explicit Shifted(const char* chip, Graph graph = build(), std::map<std::string, int> bits = {})
      : network(std::move(graph)), settings(test::settings_for(chip)) {
    settings.layer_bits = std::move(bits);
    const ops::Executor executor(network);
    auto c = test::calibrate(network, settings, source);
    plan.emplace(std::move(c.plan));
    before.graph = network;
    quant::Quantized made = quant::quantize(before.graph, *plan, c.calibration, settings);
    before.scaled = std::move(made.scaled);
    before.factors = std::move(made.factors);
    for (NodeId id : before.graph.topological_order()) {
      const Node& n = before.graph.node(id);
      if (n.op != "Conv" && n.op != "Gemm") continue;
      const float step = std::ldexp(1.0F, before.graph.value(n.outputs[0]).quant->exponent());
      for (float& b : before.graph.value(n.inputs[2]).constant.mutable_data<float>()) b += 3 * step;
    }
    before.lowered = lower::lower(before.graph, *settings.target);
    run = run_float(
        executor, inputs_of(source, evenly_spread(kSteppedRunSamples, kSteppedRunSamples)), *plan);
  }

  Candidate matched() const { return run_in_step(before, *plan, *settings.target, run, true); }

  static Graph build() {
    Network net;
    const ValueId x = net.input("x", {1, 4, 8, 8});
    const ValueId a = net.node(
        "Relu", {net.node("Conv", {x, net.random({8, 4, 3, 3}), net.random({8})},
                          {{"kernel_shape", test::Ints{3, 3}}, {"pads", test::Ints{1, 1, 1, 1}}})});
    return net.finish({net.node("Conv", {a, net.random({8, 8, 1, 1}), net.random({8})},
                                {{"kernel_shape", test::Ints{1, 1}}})});
  }

  Graph network;
  quant::Settings settings;
  calib::SampleSource source = test::random_samples(network, kSteppedRunSamples, -1, 2);
  std::optional<quant::Plan> plan;
  Candidate before;
  FloatRun run;
};

/// Mean of each output channel over all samples.
std::vector<double> channel_means(const std::vector<std::vector<Tensor>>& outputs) {
  std::vector<double> means(static_cast<std::size_t>(outputs[0][0].shape()[1]), 0.0);
  for (const auto& sample : outputs) {
    const auto data = sample[0].data<float>();
    const std::size_t each = data.size() / means.size();
    for (std::size_t i = 0; i < data.size(); ++i)
      means[i / each] += static_cast<double>(data[i]) / static_cast<double>(each * outputs.size());
  }
  return means;
}

std::vector<std::vector<Tensor>> simulated_outputs(const Candidate& candidate, const Shifted& s) {
  const sim::Program program(candidate.lowered.model, *s.settings.target);
  const measure::SimulatedNetwork network(program, candidate.graph);
  sim::Program::Frame frame(program);
  std::vector<std::vector<Tensor>> outputs;
  for (const auto& inputs : s.run.inputs) outputs.push_back(network.run(inputs, frame));
  return outputs;
}

/// Largest distance of a channel's mean from the float network's, in steps of the output.
double worst_shift(const Candidate& candidate, const Shifted& s) {
  const auto actual = channel_means(simulated_outputs(candidate, s));
  const auto wanted = channel_means(s.run.outputs);
  const ValueId y = candidate.graph.outputs()[0];
  double worst = 0;
  for (std::size_t c = 0; c < wanted.size(); ++c)
    worst = std::max(worst, std::abs(actual[c] - wanted[c]));
  return std::ldexp(worst, -candidate.graph.value(y).quant->exponent());
}

TEST(MatchMeans, MakesTheMeansOnTheChipThoseOfTheFloatNetwork) {
  for (const char* chip : {"esp32s3", "esp32p4", "esp32"}) {
    const Shifted s(chip);
    const Candidate after = s.matched();
    EXPECT_GT(worst_shift(s.before, s), 2) << chip;
    EXPECT_LT(worst_shift(after, s), 0.1) << chip;
  }
}

TEST(MatchMeans, KnowsTheNoiseOfTheResult) {
  const Shifted s("esp32s3");
  const Candidate after = s.matched();
  const double measured =
      output_noise(sim::Program(after.lowered.model, *s.settings.target), after.graph, s.run)
          .ratio();
  EXPECT_DOUBLE_EQ(after.noise.ratio(), measured);
  const double before =
      output_noise(sim::Program(s.before.lowered.model, *s.settings.target), s.before.graph, s.run)
          .ratio();
  EXPECT_LT(after.noise.ratio(), before);
}

TEST(MatchMeans, LeavesTheCandidateItStartsFromAlone) {
  const Shifted s("esp32s3");
  const auto before = espdl::write_model(s.before.lowered.model);
  const Candidate after = s.matched();
  EXPECT_EQ(espdl::write_model(s.before.lowered.model), before);
  EXPECT_NE(espdl::write_model(after.lowered.model), before);
}

TEST(MatchMeans, LooksAtWhatALayerReadsWhereThatIsACopy) {
  // Two layers of 8 bits read the same copy of a tensor of 16; before the second of them runs, the
  // tensor's place is taken by the output of the first.
  Network net;
  const ValueId x = net.input("x", {1, 4, 8, 8});
  const auto convolve = [&](ValueId v, std::int64_t from) {
    return net.node("Conv", {v, net.random({8, from, 1, 1}), net.random({8})});
  };
  const ValueId shared = net.node("Relu", {convolve(x, 4)});
  const ValueId first = net.node("Relu", {convolve(shared, 8)});
  const ValueId second = convolve(first, 8);
  const Graph graph = net.finish({net.node("Add", {second, convolve(shared, 8)})});
  const Shifted s("esp32s3", graph, {{"Conv", 16}});
  EXPECT_LT(worst_shift(s.matched(), s), 0.1);
}

TEST(MatchMeans, SeesAFlattenedImageInTheOrderOfItsWeights) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 4, 4});
  const ValueId image =
      net.node("Relu", {net.node("Conv", {x, net.random({6, 3, 1, 1}), net.random({6})})});
  const ValueId flat = net.node("Flatten", {image});
  const ValueId scores = net.node("Gemm", {flat, net.random({96, 5}), net.random({5})});
  const Graph graph = net.finish({net.node("Reshape", {scores, net.ints({1, 5, 1, 1})})});
  const Shifted s("esp32s3", graph);
  EXPECT_LT(worst_shift(s.matched(), s), 0.1);
}

TEST(MatchMeans, GraphAndModelAgree) {
  const Shifted s("esp32s3");
  const Candidate after = s.matched();
  EXPECT_EQ(espdl::write_model(lower::lower(after.graph, *s.settings.target).model),
            espdl::write_model(after.lowered.model));
}

TEST(MatchMeans, GivesTheSameBytesForAnyNumberOfThreads) {
  const auto bytes = [](int threads) {
    set_thread_count(threads);
    const auto result = espdl::write_model(Shifted("esp32s3").matched().lowered.model);
    set_thread_count(0);
    return result;
  };
  EXPECT_EQ(bytes(1), bytes(3));
}

}  // namespace
}  // namespace espquant::strategy
