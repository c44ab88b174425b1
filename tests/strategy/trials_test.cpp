#include "strategy/trials.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/fixed_point.h"
#include "espdl/writer.h"
#include "measure/simulate.h"
#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

// As many as are needed to hold some of them out.
constexpr std::int64_t kTrialsSamples = 72;

const Workbench& trials_small_bench(const char* chip) {
  static std::map<std::string, Workbench> benches;
  const auto known = benches.find(chip);
  if (known != benches.end()) return known->second;
  const Graph network = passes::simplify(test::small_network());
  Workbench& made =
      benches
          .emplace(std::piecewise_construct, std::forward_as_tuple(chip),
                   std::forward_as_tuple(network, test::settings_for(chip),
                                         test::random_samples(network, kTrialsSamples, -1, 2)))
          .first->second;
  made.hold_out();
  return made;
}

/// Every layer at 16 bits by itself, in the order of execution.
std::vector<quant::Settings> one_wide_layer_each(const Workbench& bench,
                                                 const quant::Settings& base) {
  std::vector<quant::Settings> all;
  for (NodeId id : bench.network().topological_order()) {
    all.push_back(base);
    all.back().layer_bits[bench.network().node(id).name] = 16;
  }
  return all;
}

void expect_equal(const Candidate& actual, const Candidate& expected, std::string_view what) {
  EXPECT_EQ(espdl::write_model(actual.lowered.model), espdl::write_model(expected.lowered.model))
      << what;
  EXPECT_EQ(print(actual.graph), print(expected.graph)) << what;
  EXPECT_EQ(actual.noise.ratio(), expected.noise.ratio()) << what;
  EXPECT_EQ(actual.noise.mean_ratio(), expected.noise.mean_ratio()) << what;
}

class TrialsFor : public testing::TestWithParam<std::tuple<const char*, Means>> {
 protected:
  const Workbench& bench() const { return trials_small_bench(std::get<0>(GetParam())); }
  Means means() const { return std::get<1>(GetParam()); }
  Trials trials() const { return Trials(bench(), bench().settings(), means()); }
  Candidate by_itself(const quant::Settings& settings) const {
    return run_in_step(bench().draft(settings), bench().plan(), *settings.target, bench().run(),
                       means() == Means::MatchOrUndo);
  }
};

TEST_P(TrialsFor, MakeWhatEachIsByItselfInAnyOrder) {
  std::vector<quant::Settings> all = one_wide_layer_each(bench(), bench().settings());
  for (const bool backwards : {false, true}) {
    if (backwards) std::reverse(all.begin(), all.end());
    Trials trials = this->trials();
    for (const quant::Settings& settings : all)
      expect_equal(trials.make(settings), by_itself(settings), settings.layer_bits.begin()->first);
  }
}

TEST_P(TrialsFor, TheBaseItselfIsATrial) {
  Trials trials = this->trials();
  const Candidate expected = by_itself(bench().settings());
  expect_equal(trials.make(bench().settings()), expected, "first");
  expect_equal(trials.make(bench().settings()), expected, "again");
}

TEST_P(TrialsFor, GoOnFromAnotherBase) {
  const std::vector<quant::Settings> all = one_wide_layer_each(bench(), bench().settings());
  Trials trials = this->trials();
  (void)trials.make(all[2]);
  trials.rebase(all[2]);
  for (const quant::Settings& settings : one_wide_layer_each(bench(), all[2]))
    expect_equal(trials.make(settings), by_itself(settings), "on top of the third");
  trials.rebase(all[0]);
  expect_equal(trials.make(all[4]), by_itself(all[4]), "a base before the trunk");
}

INSTANTIATE_TEST_SUITE_P(Chips, TrialsFor,
                         testing::Combine(testing::Values("esp32s3", "esp32p4"),
                                          testing::Values(Means::AsTheyAre, Means::MatchOrUndo)),
                         [](const auto& parameter) {
                           return std::string(std::get<0>(parameter.param)) +
                                  (std::get<1>(parameter.param) == Means::MatchOrUndo ? "_matched"
                                                                                      : "");
                         });

TEST(Narrowing, RoundsATensorAsTheChipDoes) {
  for (const char* chip : {"esp32s3", "esp32p4"}) {
    const Workbench& bench = trials_small_bench(chip);
    quant::Settings wide = bench.settings();
    wide.bits = 16;
    const Candidate candidate = bench.draft(wide);
    const std::string& output = candidate.lowered.model.outputs.at(0);
    const sim::Program program(candidate.lowered.model, *wide.target);
    const int exponent = program.desc(program.outputs()[0]).exponent();
    // Half of all values lie between two steps of twice the size.
    const float step = std::ldexp(1.0F, exponent + 1);

    const measure::SimulatedNetwork network(program, candidate.graph);
    sim::Program::Frame frame(program);
    const FloatRun& run = bench.run();
    measure::Noise expected;
    for (std::size_t s = run.first_judged(); s < run.inputs.size(); ++s) {
      Tensor y = network.run(run.inputs[s], frame)[0];
      for (float& v : y.mutable_data<float>())
        v = step *
            static_cast<float>(quantize_value<std::int8_t>(v, 1 / step, wide.target->rounding));
      expected.add(y.data<float>(), run.outputs[s][0].data<float>());
    }
    Trials trials(bench, wide, Means::AsTheyAre);
    const std::vector<Trials::Narrowing> all{{output, step}};
    EXPECT_DOUBLE_EQ(trials.narrow_each(all)[0].ratio(), expected.ratio()) << chip;
  }
}

TEST(SteppedRun, SharesTheNodesBeforeTheFirstThatDiffers) {
  const Workbench& bench = trials_small_bench("esp32s3");
  const auto begin = [&](const quant::Settings& settings) {
    return std::make_unique<SteppedRun>(bench.draft(settings), bench.plan(), *settings.target,
                                        bench.run(), true);
  };
  const auto trunk = begin(bench.settings());
  const std::size_t all = bench.draft(bench.settings()).lowered.model.nodes.size();
  EXPECT_EQ(trunk->shared_nodes(*begin(bench.settings())), all);
  std::vector<std::size_t> shared;
  for (const char* layer : {"Conv", "Conv_1", "Conv_2", "Gemm"}) {
    quant::Settings wide = bench.settings();
    wide.layer_bits[layer] = 16;
    shared.push_back(trunk->shared_nodes(*begin(wide)));
  }
  EXPECT_EQ(shared.front(), 0u);
  EXPECT_TRUE(std::is_sorted(shared.begin(), shared.end()));
  EXPECT_GT(shared[2], 0u);
  EXPECT_GE(shared[3] + 2, all) << "the last layer and its requantize node";
}

}  // namespace
}  // namespace espquant::strategy
