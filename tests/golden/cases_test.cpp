#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "data/dataset.h"
#include "data/npz.h"
#include "measure/planned_memory.h"
#include "onnx/import.h"
#include "ops/op.h"
#include "sim/verify.h"
#include "strategy/quantize_model.h"
#include "tests/fuzz/arena_replay.h"
#include "tests/golden/case_list.h"
#include "tests/support/shared.h"

/// Small networks of the kinds that users report: quantized for each family of chips, each is right
/// in every respect, or refused where the runtime cannot do it.
namespace espquant::test {
namespace {

struct CaseData {
  Graph network;
  std::unique_ptr<data::Dataset> dataset;
  std::map<std::string, Tensor> expected;

  calib::SampleSource source() const {
    return {static_cast<std::int64_t>(dataset->size()),
            [this](std::int64_t i) { return dataset->sample(static_cast<std::size_t>(i)); }};
  }
};

CaseData load_case(const std::string& name) {
  const auto path = [&](const char* end) { return shared_dir() / "cases" / (name + end); };
  CaseData data;
  data.network = onnx::import_model(path(".onnx"));
  onnx::check_finite_constants(data.network);
  ops::infer_shapes(data.network);
  std::vector<data::InputSpec> inputs;
  for (ValueId v : data.network.inputs())
    inputs.push_back({data.network.value(v).name, *data.network.value(v).shape,
                      !is_float(data.network.value(v).dtype)});
  data.dataset = data::open_dataset(path(".npz"), inputs, data::preprocess_for(inputs.front(), {}));
  data.expected = data::read_npz(path(".expected.npz"));
  return data;
}

/// Over all outputs. NaN in the float network's is left out: integers have none.
double noise_to_signal(std::span<const float> actual, std::span<const float> expected) {
  double noise = 0, signal = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(expected[i])) continue;
    const double d = static_cast<double>(actual[i]) - static_cast<double>(expected[i]);
    noise += d * d;
    signal += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  return signal > 0 ? noise / signal : noise > 0 ? INFINITY : 0;
}

std::vector<std::string> defects_of(const espdl::Model& model, const Target& target) {
  std::vector<std::string> defects;
  for (const auto& finding : measure::check_model(model, target))
    if (finding.severity == sim::Severity::Defect)
      defects.push_back(
          fmt::format("check: {} {}: {}", finding.node, finding.tensor, finding.message));
  return defects;
}

/// The first samples, one after the other in one frame, beside the replay and the float network.
std::vector<std::string> compare_frames(const CaseData& data, const espdl::Model& model,
                                        const Graph& network, const Target& target, double limit) {
  std::vector<std::string> wrong;
  const sim::Program program(model, target);
  const measure::SimulatedNetwork simulated(program, network);
  sim::Program::Frame frame(program);
  ArenaReplay replay(model, target);
  std::vector<float> actual, wanted;
  const auto& first = data.expected.begin()->second;
  bool replayed_otherwise = false;
  for (std::int64_t s = 0; s < first.shape().at(0); ++s) {
    simulated.feed(data.dataset->sample(static_cast<std::size_t>(s)), frame);
    std::map<std::string, Tensor> inputs;
    for (std::size_t t : program.inputs()) inputs.emplace(program.tensor_name(t), frame.tensor(t));
    frame.run();
    const auto replayed = replay.run(inputs);
    for (std::size_t t : program.outputs())
      replayed_otherwise |= !replayed.at(program.tensor_name(t)).equals(frame.tensor(t));
    const auto outputs = simulated.read(frame);
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const std::string& name = network.value(network.outputs()[o]).name;
      const auto row = data.expected.at(name).data<float>().subspan(
          static_cast<std::size_t>(s * outputs[o].size()),
          static_cast<std::size_t>(outputs[o].size()));
      const auto values = outputs[o].data<float>();
      actual.insert(actual.end(), values.begin(), values.end());
      wanted.insert(wanted.end(), row.begin(), row.end());
    }
  }
  if (replayed_otherwise) wrong.push_back("the replay in planned memory gives other integers");
  const double noise = noise_to_signal(actual, wanted);
  if (!(noise <= limit))
    wrong.push_back(fmt::format("{:.4f} % of noise, at most {:.2f} %", 100 * noise, 100 * limit));
  return wrong;
}

/// What is wrong with a case; nothing where all holds.
std::vector<std::string> run_network(const CaseData& data, const Case& c, const std::string& recipe,
                                     const Target& target) try {
  strategy::QuantizeOptions options;
  options.recipe = recipe::find_recipe(recipe);
  options.target = &target;
  const auto result = strategy::quantize_model(data.network, data.source(), options);
  std::vector<std::string> wrong = defects_of(result.model, target);
  const sim::Program program(result.model, target);
  for (const auto& check : sim::verify_test_values(program, {.tolerance = sim::Tolerance::Exact}))
    if (!check.passed()) wrong.push_back(fmt::format("'{}' does not verify", check.name));
  for (auto& text : compare_frames(data, result.model, result.network, target,
                                   recipe == "int16" ? c.limit_int16 : c.limit_int8))
    wrong.push_back(std::move(text));
  return wrong;
} catch (const Error& error) {
  const bool explained =
      error.code() == ErrorCode::Illegal || error.code() == ErrorCode::Unsupported;
  if (c.may_be_refused && explained && !error.remedy().empty()) return {};
  return {fmt::format("refused: {}", error.what())};
}

class Cases : public testing::TestWithParam<Case> {};

TEST_P(Cases, IsRightOnEveryChipAtEveryWidth) {
  const Case c = GetParam();
  ESPQUANT_NEEDS_SHARED(fmt::format("cases/{}.onnx", c.name));
  std::optional<CaseData> data;
  std::string unreadable;
  try {
    data = load_case(c.name);
  } catch (const Error& error) {
    unreadable = error.what();
  }
  for (const std::string& recipe : c.recipes()) {
    std::string failing;
    for (const char* chip : {"esp32s3", "esp32p4", "esp32"}) {
      const auto wrong = data ? run_network(*data, c, recipe, find_target(chip))
                              : std::vector<std::string>{unreadable};
      if (wrong.empty()) continue;
      failing += (failing.empty() ? "" : " ") + std::string(chip);
      for (const auto& text : wrong) fmt::print("  {} {} on {}: {}\n", c.name, recipe, chip, text);
    }
    EXPECT_EQ(failing, c.still_wrong(recipe))
        << c.name << " by " << recipe
        << ": chips on which something is wrong, beside those that tests/golden/case_list.h still "
           "excepts. Strike out there what is right now.";
  }
}

INSTANTIATE_TEST_SUITE_P(Shared, Cases, testing::ValuesIn(all_cases()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace espquant::test
