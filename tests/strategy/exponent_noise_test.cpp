#include "strategy/exponent_noise.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/parallel.h"
#include "strategy/trials.h"
#include "tests/quant/calibrated.h"

namespace espquant::strategy {
namespace {

using test::Ints;
using test::Network;

constexpr std::int64_t kSamples = 128, kFreshSamples = 256;

/// A network, samples with outliers far beyond all other values, and one tensor of each group whose
/// exponent decides.
struct Outlying {
  Graph network;
  calib::SampleSource source;
  std::vector<std::string> tensors;
};

/// Random weights (Cout,Cin,k,k), those of one output or input channel `factor` times as large.
Tensor weights_of(std::int64_t to, std::int64_t from, std::int64_t kernel, std::uint64_t seed,
                  std::size_t axis = 0, std::int64_t channel = 0, float factor = 1) {
  Tensor w = test::random_tensor({to, from, kernel, kernel}, seed);
  const std::int64_t inner = (axis == 0 ? from : 1) * kernel * kernel;
  auto data = w.mutable_data<float>();
  for (std::size_t i = 0; i < data.size(); ++i)
    if (static_cast<std::int64_t>(i) / inner % w.shape()[axis] == channel) data[i] *= factor;
  return w;
}

ValueId convolve(Network& net, ValueId v, const Tensor& weights) {
  const std::int64_t to = weights.shape()[0], kernel = weights.shape()[2], pad = kernel / 2;
  return net.node("Conv", {v, net.constant(weights), net.random({to})},
                  {{"kernel_shape", Ints{kernel, kernel}}, {"pads", Ints{pad, pad, pad, pad}}});
}

/// Three layers and a head. One channel of the input, seldom, or of what the first layer writes is
/// `outlier` times as large as the others, and multiplied by little.
Outlying layered(bool in_input, float outlier) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const Tensor first = in_input ? weights_of(8, 4, 3, 31, 1, 0, 1 / outlier)
                                : weights_of(8, 4, 3, 31, 0, 3, outlier);
  const Tensor second =
      in_input ? weights_of(8, 8, 1, 32) : weights_of(8, 8, 1, 32, 1, 3, 1 / outlier);
  const ValueId a = net.node("Relu", {convolve(net, x, first)});
  const ValueId b = net.node("Relu", {convolve(net, a, second)});
  Graph network =
      net.finish({net.node("GlobalAveragePool", {convolve(net, b, weights_of(12, 8, 1, 33))})});
  std::vector<std::string> tensors;
  for (ValueId v : {x, a, b}) tensors.push_back(network.value(v).name);
  const calib::SampleSource random = test::random_samples(network, kSamples);
  return {std::move(network),
          {kSamples,
           [random, in_input, outlier](std::int64_t i) {
             std::vector<Tensor> inputs = random.sample(i);
             if (in_input && i % 7 == 3) inputs[0].mutable_data<float>()[5] *= outlier;
             return inputs;
           }},
          tensors};
}

/// Three layers and a head. In every seventh sample one element of the input is beyond a
/// threshold that no other reaches; a channel of the first layer is zero but for these, where it
/// is far larger than all others, and is multiplied by little.
Outlying awakened(float outlier) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  Tensor first = test::random_tensor({8, 4, 1, 1}, 41);
  Tensor bias = test::random_tensor({8}, 42);
  const auto w = first.mutable_data<float>();
  for (std::size_t c = 0; c < 4; ++c) w[3 * 4 + c] = c == 0 ? outlier : 0;
  bias.mutable_data<float>()[3] = -1.5F * outlier;
  const ValueId a = net.node("Relu", {net.node("Conv", {x, net.constant(first), net.constant(bias)},
                                               {{"kernel_shape", Ints{1, 1}}})});
  const ValueId b =
      net.node("Relu", {convolve(net, a, weights_of(8, 8, 3, 43, 1, 3, 1 / outlier))});
  Graph network =
      net.finish({net.node("GlobalAveragePool", {convolve(net, b, weights_of(12, 8, 1, 44))})});
  std::vector<std::string> tensors;
  for (ValueId v : {x, a, b}) tensors.push_back(network.value(v).name);
  const calib::SampleSource random = test::random_samples(network, kSamples);
  return {std::move(network),
          {kSamples,
           [random](std::int64_t i) {
             std::vector<Tensor> inputs = random.sample(i);
             if (i % 7 == 3) inputs[0].mutable_data<float>()[5] = 2;
             return inputs;
           }},
          tensors};
}

/// Attention of eight rows; in every third sample one of them outdoes all others.
Outlying attending() {
  Network net;
  const ValueId x = net.input("x", {1, 8, 16});
  const auto project = [&] { return net.node("MatMul", {x, net.random({16, 16}, -0.35F, 0.35F)}); };
  const ValueId keys = net.node("Transpose", {project()}, {{"perm", Ints{0, 2, 1}}});
  const ValueId scores = net.node("MatMul", {project(), keys});
  const ValueId softmax = net.node("Softmax", {scores}, {{"axis", std::int64_t{-1}}});
  const ValueId mixed = net.node("MatMul", {softmax, project()});
  Graph network = net.finish({net.node("MatMul", {mixed, net.random({16, 12})})});
  std::vector<std::string> tensors;
  for (ValueId v : {x, scores, mixed}) tensors.push_back(network.value(v).name);
  const calib::SampleSource random = test::random_samples(network, kSamples);
  return {std::move(network),
          {kSamples,
           [random](std::int64_t i) {
             std::vector<Tensor> inputs = random.sample(i);
             if (i % 3 == 1)
               for (float& v : inputs[0].mutable_data<float>().subspan(16, 16)) v *= 3;
             return inputs;
           }},
          tensors};
}

/// Noise on samples that nothing has seen: by SQNR, by the default, and by those of all exponents
/// that did best on the samples held out.
struct Compared {
  double plain = 0, chosen = 0, best = 0;
};

Compared compare(const Outlying& net, std::string_view chip) {
  const Means means = Means::MatchOrUndo;
  const calib::SampleSource calibration{kSamples, net.source.sample};
  std::vector<std::vector<Tensor>> fresh;
  for (std::int64_t i = 0; i < kFreshSamples; ++i) fresh.push_back(net.source.sample(kSamples + i));
  Workbench bench(net.network, test::settings_for(chip), calibration);
  const FloatRun run = run_float(ops::Executor(net.network), std::move(fresh), bench.plan());
  const auto noise_of = [&](const Candidate& candidate) {
    const sim::Program program(candidate.lowered.model, find_target(chip));
    return output_noise(program, candidate.graph, run).ratio();
  };
  Compared result;
  result.chosen = noise_of(bench.judged(bench.settings(), means));

  quant::Settings plain = test::settings_for(chip);
  plain.method = quant::Method::Sqnr;
  std::vector<quant::Settings> all;
  for (int a : {0, -1, -2, -3, -4})
    for (int b : {0, -1, -2, -3, -4})
      for (int c : {0, -1, -2, -3, -4}) {
        quant::Settings& settings = all.emplace_back(plain);
        const int shifts[] = {a, b, c};
        for (std::size_t i = 0; i < 3; ++i) settings.exponent_shifts[net.tensors[i]] = shifts[i];
      }
  Workbench reference(net.network, plain, calibration);
  reference.hold_out();
  Candidate best;
  Trials(reference, plain, means).make_each(all, [&](std::size_t i, Candidate candidate) {
    if (i == 0) result.plain = noise_of(candidate);
    if (i == 0 || candidate.noise.ratio() < best.noise.ratio()) best = std::move(candidate);
  });
  result.best = noise_of(best);
  return result;
}

class ExponentNoise : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Chips, ExponentNoise, testing::Values("esp32s3", "esp32p4"));

TEST_P(ExponentNoise, OutliersInTheInputLeaveTheBestOfAllExponents) {
  for (float outlier : {20.0F, 100.0F}) {
    const Compared c = compare(layered(true, outlier), GetParam());
    EXPECT_LT(c.chosen, 0.5 * c.plain);
    EXPECT_LT(c.chosen, 1.1 * c.best);
  }
}

TEST_P(ExponentNoise, RareOutliersInAHiddenLayerLeaveTheBestOfAllExponents) {
  for (float outlier : {20.0F, 100.0F}) {
    const Compared c = compare(awakened(outlier), GetParam());
    EXPECT_LT(c.chosen, 1.1 * c.best);
  }
}

TEST_P(ExponentNoise, OutliersInOneChannelLeaveTheBestOfAllExponents) {
  const Compared c = compare(layered(false, 30), GetParam());
  EXPECT_LT(c.chosen, 1.1 * c.best);
}

TEST_P(ExponentNoise, OutliersAmongScoresLeaveTheBestOfAllExponents) {
  const Compared c = compare(attending(), GetParam());
  EXPECT_LT(c.chosen, 1.1 * c.best);
}

TEST(StepNoiseSearch, DoesNotDependOnTheNumberOfThreads) {
  const Outlying net = layered(true, 60);
  const auto measured = [&](int threads) {
    set_thread_count(threads);
    const Workbench bench(net.network, test::settings_for("esp32s3"), net.source);
    std::vector<double> noise;
    for (const auto& [group, of_group] : bench.calibration().statistics.step_noise) {
      noise.push_back(of_group.at(of_group.finest()));
      noise.push_back(of_group.at(of_group.coarsest()));
    }
    return noise;
  };
  const std::vector<double> one = measured(1), three = measured(3);
  set_thread_count(0);
  EXPECT_FALSE(one.empty());
  EXPECT_EQ(one, three);
}

TEST(StepNoiseSearch, LeavesResultsAndOtherMethodsAlone) {
  const Outlying net = layered(true, 60);
  quant::Settings settings = test::settings_for("esp32s3");
  const Workbench by_default(net.network, settings, net.source);
  const auto group_of = [&](ValueId v) { return by_default.plan().exponents.find(v); };
  const auto& measured = by_default.calibration().statistics.step_noise;
  EXPECT_TRUE(measured.contains(group_of(net.network.inputs()[0])));
  EXPECT_FALSE(measured.contains(group_of(net.network.outputs()[0])));
  settings.method = quant::Method::Mse;
  EXPECT_TRUE(
      Workbench(net.network, settings, net.source).calibration().statistics.step_noise.empty());
  settings.method = quant::Method::Auto;
  settings.clip_scope = quant::Scope::Global;
  EXPECT_TRUE(
      Workbench(net.network, settings, net.source).calibration().statistics.step_noise.empty());
}

}  // namespace
}  // namespace espquant::strategy
