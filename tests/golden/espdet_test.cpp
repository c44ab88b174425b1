#include <gtest/gtest.h>

#include "data/dataset.h"
#include "measure/output_comparison.h"
#include "measure/simulate.h"
#include "onnx/import.h"
#include "ops/executor.h"
#include "ops/op.h"
#include "strategy/quantize_model.h"
#include "tests/golden/golden_runner.h"
#include "tests/support/shared.h"

/// Espressif's cat detector on pictures: the network quantized here beside the file that they ship.
namespace espquant::test {
namespace {

class Espdet : public testing::TestWithParam<std::pair<const char*, const char*>> {};

/// Of the output that loses most.
double worst_noise(const espdl::Model& model, const Target& target, const Graph& network,
                   const data::Dataset& pictures, std::span<const std::size_t> samples) {
  const sim::Program program(model, target);
  const measure::SimulatedNetwork simulated(program, network);
  sim::Program::Frame frame(program);
  const ops::Executor exact(network);
  ops::Executor::Workspace workspace(exact);
  const measure::OutputComparison comparison(network);
  measure::OutputNoise noise = comparison.nothing();
  for (const std::size_t i : samples) {
    const auto inputs = pictures.sample(i);
    comparison.add(simulated.run(inputs, frame), exact.run(inputs, workspace), noise);
  }
  return noise.ratio();
}

TEST_P(Espdet, IsNoNoisierAndNoLongerThanTheFileThatIsShipped) {
  const auto [chip, file] = GetParam();
  ESPQUANT_NEEDS_SHARED("models/espdet_pico_224_224_cat.onnx");
  ESPQUANT_NEEDS_SHARED(file);
  ESPQUANT_NEEDS_SHARED("data/imagenet500/test");
  Graph network = onnx::import_model(shared_dir() / "models/espdet_pico_224_224_cat.onnx");
  ops::infer_shapes(network);
  const Value& input = network.value(network.inputs()[0]);
  const std::vector<data::InputSpec> specs{{input.name, *input.shape, false}};
  const auto pictures = [&](const char* folder) {
    return data::open_dataset(shared_dir() / "data/imagenet500" / folder, specs,
                              data::preprocess_for(specs.front(), {{"fit", "letterbox"}}));
  };
  const auto calibration = pictures("calib"), test = pictures("test");
  const std::vector<std::size_t> fitted = data::pick(calibration->size(), 24);
  const Target& target = find_target(chip);
  strategy::QuantizeOptions options;
  options.recipe = recipe::find_recipe("int8");
  options.target = &target;
  options.report_samples = 0;
  const auto result = strategy::quantize_model(
      network,
      {static_cast<std::int64_t>(fitted.size()),
       [&](std::int64_t i) { return calibration->sample(fitted[static_cast<std::size_t>(i)]); }},
      options);
  const espdl::Model shipped = espdl::read_model_file(shared_dir() / file);
  EXPECT_LE(result.model.nodes.size(), shipped.nodes.size());
  const std::vector<std::size_t> judged = data::pick(test->size(), 8);
  EXPECT_LE(worst_noise(result.model, target, network, *test, judged),
            worst_noise(shipped, target, network, *test, judged));
}

INSTANTIATE_TEST_SUITE_P(
    Chips, Espdet,
    testing::Values(std::pair{"esp32s3", "golden/zoo/espdet_pico_224_224_cat_s3.espdl"},
                    std::pair{"esp32p4", "golden/zoo/espdet_pico_224_224_cat_p4.espdl"}),
    [](const auto& chip) { return std::string(chip.param.first); });

}  // namespace
}  // namespace espquant::test
