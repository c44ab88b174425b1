#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "cost/latency.h"
#include "espdl/writer.h"
#include "measure/bank_programs.h"
#include "measure/evaluate.h"
#include "strategy/find_banks.h"
#include "tests/support/network.h"
#include "train/adam.h"
#include "train/network.h"

/// A network that tells movements apart by what an accelerometer says, trained here, at every
/// strength: static 8 bits, banks and 16 bits beside each other.
namespace espquant::strategy {
namespace {

using test::Ints;

constexpr std::int64_t kAxes = 3, kSteps = 64, kMovements = 4;
constexpr int kGains = 4;

/// Strengths of 0, -12, -24 and -36 dB.
float gain_of(std::int64_t number) { return std::exp2(-2.0F * static_cast<float>(number)); }

/// A window of movement number `i % kMovements`: a frequency of its own along an axis of its own,
/// and a tenth of noise.
Tensor window_of(std::int64_t i, float gain) {
  constexpr float kCycles[kMovements] = {2, 3.5F, 6, 9};
  const auto movement = static_cast<std::size_t>(i % kMovements);
  Random random(static_cast<std::uint64_t>(i) + 77);
  const float phase = random.uniform(0, 6), strength = random.uniform(0.7F, 1) * gain;
  Tensor window(DType::Float32, {1, kAxes, kSteps});
  auto data = window.mutable_data<float>();
  for (std::size_t axis = 0; axis < kAxes; ++axis)
    for (std::size_t t = 0; t < kSteps; ++t) {
      const float share = axis == movement % kAxes ? 0.8F : 0.3F;
      const float turn = 2 * std::numbers::pi_v<float> * kCycles[movement] * static_cast<float>(t) /
                         static_cast<float>(kSteps);
      data[axis * kSteps + t] =
          strength *
          (share * std::sin(turn + phase + static_cast<float>(axis)) + random.uniform(-0.1F, 0.1F));
    }
  return window;
}

Graph untrained_network() {
  test::Network net;
  const auto convolve = [&](ValueId v, std::int64_t from, std::int64_t to) {
    const float range = std::sqrt(6 / static_cast<float>(5 * from));
    return net.node(
        "Relu",
        {net.node("Conv",
                  {v, net.random({to, from, 5}, -range, range), net.random({to}, -0.01F, 0.01F)},
                  {{"kernel_shape", Ints{5}}, {"pads", Ints{2, 2}}, {"strides", Ints{2}}})});
  };
  const ValueId x = net.input("window", {1, kAxes, kSteps});
  const ValueId deep = convolve(convolve(x, kAxes, 16), 16, 24);
  const ValueId flat = net.node("Flatten", {net.node("GlobalAveragePool", {deep})});
  return net.finish({net.node("Gemm", {flat, net.random({24, kMovements}, -0.5F, 0.5F),
                                       net.random({kMovements}, -0.01F, 0.01F)})});
}

/// Of the scores and the movement; fills in how it changes with each score.
double cross_entropy(std::span<const float> scores, std::size_t label, std::span<float> gradient) {
  double sum = 0;
  const float most = *std::max_element(scores.begin(), scores.end());
  for (const float s : scores) sum += std::exp(static_cast<double>(s - most));
  for (std::size_t c = 0; c < scores.size(); ++c)
    gradient[c] = static_cast<float>(std::exp(static_cast<double>(scores[c] - most)) / sum) -
                  (c == label ? 1.0F : 0.0F);
  return std::log(sum) + static_cast<double>(most - scores[label]);
}

Graph trained_network() {
  Graph graph = untrained_network();
  constexpr std::int64_t kTrainSteps = 300, kBatch = 64;
  const std::vector<ValueId> parameters = train::weights_of(graph);
  std::vector<Tensor> values;
  for (const ValueId p : parameters) values.push_back(graph.value(p).constant);
  train::Adam adam(values, train::usual_sizes(graph, parameters));
  const train::Network network(graph, {.parameters = parameters});
  for (std::int64_t step = 0; step < kTrainSteps; ++step) {
    const auto result = network.run(
        values, kBatch,
        [&](std::int64_t i) {
          const std::int64_t number = step * kBatch + i;
          return std::vector<Tensor>{window_of(number, gain_of(number / kMovements % kGains))};
        },
        [](std::int64_t i, std::span<const Tensor> scores, std::span<Tensor> gradients) {
          return cross_entropy(scores[0].data<float>(), static_cast<std::size_t>(i % kMovements),
                               gradients[0].mutable_data<float>());
        });
    adam.update(values, result.gradients, train::cosine_rate(0.05F, step, kTrainSteps));
  }
  for (std::size_t p = 0; p < parameters.size(); ++p)
    graph.value(parameters[p]).constant = values[p];
  return graph;
}

struct Measured {
  double noise[kGains], accuracy[kGains];
  std::size_t bytes;
  double milliseconds;
};

class ImuNetwork : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    if (network_ == nullptr) network_ = new Graph(trained_network());
  }

  /// On windows that nothing was calibrated on.
  Measured measure_recipe(const char* name) const {
    constexpr std::int64_t kCalibrated = 256, kUnseenWindows = 64;
    const calib::SampleSource source{
        kCalibrated, [](std::int64_t i) {
          return std::vector<Tensor>{window_of(i + 100'000, gain_of(i / kMovements % kGains))};
        }};
    QuantizeOptions options;
    options.recipe = recipe::find_recipe(name);
    options.target = &target_;
    options.test_values = false;
    const QuantizedModel made = quantize_model(*network_, source, options);
    espdl::Banks banks;
    if (made.recipe.dynamic.enabled)
      banks = find_banks(made, target_, source, bank_options_of(made.recipe.dynamic)).banks;
    const auto file = espdl::write_model(made.model);
    Measured measured{};
    measured.bytes = file.size();
    measured.milliseconds = cost::estimate_latency(made.model, target_).milliseconds;
    if (!banks.is_empty())
      measured.bytes += espdl::write_banks(banks, made.model, file, target_).size();
    const sim::Program own(made.model, target_);
    const measure::BankPrograms programs(own, banks);
    const ops::Executor reference(made.network);
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < kUnseenWindows; ++i) labels.push_back(i % kMovements);
    for (int gain = 0; gain < kGains; ++gain) {
      const calib::SampleSource unseen{
          kUnseenWindows, [gain](std::int64_t i) {
            return std::vector<Tensor>{window_of(i + 200'000, gain_of(gain))};
          }};
      const auto result = measure::evaluate_chosen(
          programs.all(), [&](std::span<const Tensor> inputs) { return programs.choose(inputs); },
          made.network, &reference, unseen, labels);
      measured.noise[gain] = result.noise->ratio();
      measured.accuracy[gain] = *result.accuracy;
    }
    return measured;
  }

  const Target& target_ = find_target(GetParam());
  static Graph* network_;
};

Graph* ImuNetwork::network_ = nullptr;

/// A row of docs/dynamic.md.
void print_row(const char* chip, const char* recipe, const Measured& m) {
  fmt::print("{} {}: {} bytes, {:.3f} ms", chip, recipe, m.bytes, m.milliseconds);
  for (int gain = 0; gain < kGains; ++gain)
    fmt::print(", {} dB {:.2g} % ({:.0f} % right)", -12 * gain, 100 * m.noise[gain],
               100 * m.accuracy[gain]);
  fmt::print("\n");
}

TEST_P(ImuNetwork, BanksFollowTheStrengthOfAMovement) {
  const Measured one = measure_recipe("int8"), banks = measure_recipe("dynamic"),
                 wide = measure_recipe("int16");
  print_row(GetParam(), "int8", one);
  print_row(GetParam(), "dynamic", banks);
  print_row(GetParam(), "int16", wide);
  constexpr int kMinus24 = 2;
  EXPECT_LE(banks.noise[0], one.noise[0]);
  EXPECT_LE(banks.noise[kMinus24], one.noise[kMinus24] / 4);
  for (int gain = 0; gain < kGains; ++gain) {
    // Never worse on frames that nothing was calibrated on.
    EXPECT_LE(banks.noise[gain], one.noise[gain]) << gain;
    EXPECT_GT(wide.accuracy[gain], 0.8) << "the network itself fails at gain " << gain;
  }
  EXPECT_EQ(banks.milliseconds, one.milliseconds);
}

INSTANTIATE_TEST_SUITE_P(Chips, ImuNetwork, testing::Values("esp32s3", "esp32p4"),
                         [](const auto& parameter) { return std::string(parameter.param); });

}  // namespace
}  // namespace espquant::strategy
