#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "measure/noise.h"
#include "measure/simulate.h"
#include "onnx/import.h"
#include "ops/executor.h"
#include "ops/op.h"
#include "strategy/quantize_model.h"
#include "tests/golden/golden_runner.h"
#include "tests/support/shared.h"

/// The float networks of Espressif's operator cases, quantized here for the chip and width of the
/// file beside each: sound, no noisier than that file and of no more nodes.
namespace espquant::test {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kOpSamples = 32;
/// Beside the noise of the file.
constexpr double kOpTolerance = 1.05;

/// How samples are drawn from what the file says of an input.
enum class Draw {
  Range,  ///< evenly from what its exponent can show, of one sign if its test values are
  Values  ///< from its test values
};

/// What an operator has a finite result of, as parts of the range.
float least_of(const std::string& op, std::size_t input) {
  if (op == "Log") return 1.0F / 64;
  if (op == "Sqrt") return 0;
  // A quotient by what rounds to 0 says nothing.
  if (op == "Div" && input == 1) return 1.0F / 8;
  return -1;
}

struct InputRange {
  float low = 0, high = 0;
  std::vector<float> values;
};

InputRange range_of(const espdl::Constant& test_input, float least) {
  const sim::TensorDesc desc{test_input.data.dtype(), test_input.data.shape(),
                             test_input.exponents};
  InputRange range;
  range.values.resize(static_cast<std::size_t>(test_input.data.size()));
  measure::load(test_input.data.bytes().data(), desc, range.values);
  const auto [low, high] = std::ranges::minmax(range.values);
  const float step = std::ldexp(1.0F, test_input.exponent());
  const float octaves = test_input.data.dtype() == DType::Int8 ? 128 : 32768;
  const bool is_integer = test_input.data.dtype() != DType::Float32;
  range.low = !is_integer ? low : low < 0 ? -octaves * step : 0;
  range.high = !is_integer ? high : high > 0 ? (octaves - 1) * step : 0;
  if (least < 0) return range;
  range.low = least * range.high;
  for (float& v : range.values) v = std::max(std::abs(v), range.low);
  return range;
}

std::vector<std::vector<Tensor>> draw_samples(const Graph& network, const espdl::Model& file,
                                              Draw how) {
  std::vector<InputRange> ranges;
  const std::string& op = network.node(network.topological_order().back()).op;
  for (std::size_t i = 0; i < network.inputs().size(); ++i) {
    const std::string& name = network.value(network.inputs()[i]).name;
    const auto named = std::ranges::find(file.test_inputs, name, &espdl::Constant::name);
    ranges.push_back(range_of(*named, least_of(op, i)));
  }
  Random random(1);
  std::vector<std::vector<Tensor>> samples(static_cast<std::size_t>(kOpSamples));
  for (auto& sample : samples)
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      const InputRange& range = ranges[i];
      Tensor& input =
          sample.emplace_back(DType::Float32, *network.value(network.inputs()[i]).shape);
      for (float& x : input.mutable_data<float>())
        x = how == Draw::Range ? random.uniform(range.low, range.high)
                               : range.values[random.below(range.values.size())];
    }
  return samples;
}

/// Noise to signal of a model at the outputs of `network`.
double noise_of(const sim::Program& program, const Graph& network,
                const std::vector<std::vector<Tensor>>& samples) {
  const measure::SimulatedNetwork simulated(program, network);
  sim::Program::Frame frame(program);
  const ops::Executor exact(network);
  ops::Executor::Workspace workspace(exact);
  measure::Noise noise;
  for (const auto& sample : samples) {
    const auto actual = simulated.run(sample, frame), expected = exact.run(sample, workspace);
    for (std::size_t o = 0; o < actual.size(); ++o)
      noise.add(actual[o].data<float>(), expected[o].cast(DType::Float32).data<float>());
  }
  return noise.ratio();
}

/// What is wrong with the network quantized here; "" where nothing is.
std::string judge_against_file(const fs::path& onnx, const Target& target,
                               const std::string& recipe, Draw how) {
  const espdl::Model file = espdl::read_model_file(fs::path(onnx).replace_extension(".espdl"));
  Graph network = onnx::import_model(onnx);
  ops::infer_shapes(network);
  const auto samples = draw_samples(network, file, how);
  strategy::QuantizeOptions options;
  options.recipe = recipe::find_recipe(recipe);
  options.target = &target;
  const auto result = strategy::quantize_model(
      network, {kOpSamples, [&](std::int64_t i) { return samples[static_cast<std::size_t>(i)]; }},
      options);
  std::string wrong;
  const sim::Program ours(result.model, target), theirs(file, target, kAsOnAPc);
  for (const auto& check : sim::verify_test_values(ours, {sim::Tolerance::Exact}))
    if (!check.passed()) wrong += fmt::format("'{}' does not verify; ", check.name);
  if (result.model.nodes.size() > file.nodes.size())
    wrong += fmt::format("{} nodes for {}; ", result.model.nodes.size(), file.nodes.size());
  // Log, Sqrt and Pow of the files compute in float: there is no noise to hold ours against.
  if (file.find_value(file.outputs.front())->dtype == DType::Float32 &&
      file.test_inputs.front().data.dtype() == DType::Float32)
    return wrong;
  const double noise = noise_of(ours, network, samples);
  const double limit = kOpTolerance * noise_of(theirs, network, samples);
  if (!(noise <= limit)) wrong += fmt::format("noise of {:.3g}, at most {:.3g}; ", noise, limit);
  return wrong;
}

/// Why a case is not as good as its file, or "".
std::string_view known_reason(std::string_view name) {
  if (name.find("/ConvTranspose/transpose_conv1d_ishap_1_16_20_kshap_16_32_5_relu") !=
          std::string_view::npos ||
      name.find("/ConvTranspose/transpose_conv2d_ishap_1_16_20_20_kshap_32_16_5_5") !=
          std::string_view::npos)
    return "the file leaves out the dilation: its output has another shape than the network's";
  if (name.find("/Div/div_ishap_1_96_10_") != std::string_view::npos)
    return "the file divides by one element, whose table ESP-DL makes in the first frame and keeps";
  return "";
}

class OpNetworks : public testing::TestWithParam<const char*> {};

TEST_P(OpNetworks, AreNoNoisierAndNoLongerThanEspressifsFiles) {
  ESPQUANT_NEEDS_SHARED("golden/op_cases");
  const std::string folder = GetParam();
  const Target& target = recorded_target(folder.substr(0, folder.rfind('_')));
  const std::string recipe = folder.ends_with("16") ? "int16" : "int8";
  int cases = 0;
  for (const auto& file : files_below(shared_dir() / "golden/op_cases" / folder, ".onnx")) {
    const std::string name =
        folder + "/" + file.parent_path().filename().string() + "/" + file.stem().string();
    for (const Draw how : {Draw::Range, Draw::Values}) {
      std::string wrong;
      try {
        wrong = judge_against_file(file, target, recipe, how);
      } catch (const Error& error) {
        wrong = error.what();
      }
      const std::string_view reason = known_reason(name);
      if (reason.empty())
        EXPECT_EQ(wrong, "") << name << (how == Draw::Range ? ", its range" : ", its values");
      else
        EXPECT_NE(wrong, "") << name << " is right now; strike out: " << reason;
      ++cases;
    }
  }
  EXPECT_GT(cases, 0);
}

INSTANTIATE_TEST_SUITE_P(Folders, OpNetworks,
                         testing::Values("c_s8", "esp32p4_s16", "esp32p4_s8", "esp32s3_s16",
                                         "esp32s3_s8"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace espquant::test
