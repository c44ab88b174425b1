#include "strategy/find_banks.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/parallel.h"
#include "espdl/writer.h"
#include "measure/bank_programs.h"
#include "measure/evaluate.h"
#include "passes/pass_manager.h"
#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

/// Frames of which every fourth is of full loudness, the others 4, 16 and 64 times quieter.
calib::SampleSource of_four_gains(const Graph& network, std::int64_t count, int first = 0) {
  const calib::SampleSource full = test::random_samples(network, count + first, -2, 2);
  return {count, [full, first](std::int64_t i) {
            std::vector<Tensor> inputs = full.sample(i + first);
            const float gain = std::exp2(-2.0F * static_cast<float>(i % 4));
            for (float& x : inputs.front().mutable_data<float>()) x *= gain;
            return inputs;
          }};
}

class BanksFor : public testing::TestWithParam<const char*> {
 protected:
  QuantizedModel quantized(const calib::SampleSource& source) const {
    QuantizeOptions options;
    options.recipe = recipe::find_recipe("dynamic");
    options.target = &target_;
    return quantize_model(test::small_network(), source, options);
  }
  const Target& target_ = find_target(GetParam());
};

TEST_P(BanksFor, QuietFramesLowerTheirNoiseAndLeaveLoudOnesAlone) {
  const Graph network = test::small_network();
  const auto source = of_four_gains(network, 256);
  const QuantizedModel made = quantized(source);
  const FoundBanks found = find_banks(made, target_, source, {});
  ASSERT_GE(found.banks.banks.size(), 2U);
  EXPECT_LT(found.banks.banks.back().largest, 2);

  const auto unseen = of_four_gains(network, 64, 256);
  const sim::Program own(made.model, target_);
  const measure::BankPrograms programs(own, found.banks);
  const ops::Executor reference(made.network);
  for (std::int64_t gain = 0; gain < 4; ++gain) {
    const calib::SampleSource part{16, [&](std::int64_t i) { return unseen.sample(4 * i + gain); }};
    const auto single = measure::evaluate(own, made.network, &reference, part, {});
    const auto banked = measure::evaluate_chosen(
        programs.all(), [&](std::span<const Tensor> inputs) { return programs.choose(inputs); },
        made.network, &reference, part, {});
    if (gain == 0)
      EXPECT_EQ(banked.noise->ratio(), single.noise->ratio());
    else if (gain == 3)
      EXPECT_LT(banked.noise->ratio(), single.noise->ratio() / 4);
    else
      EXPECT_LT(banked.noise->ratio(), single.noise->ratio());
  }
}

TEST_P(BanksFor, AModelHaveItsNodesItsFiltersAndItsMemoryPlan) {
  const auto source = of_four_gains(test::small_network(), 64);
  const QuantizedModel made = quantized(source);
  const FoundBanks found = find_banks(made, target_, source, {.count = 3});
  ASSERT_FALSE(found.banks.banks.empty()) << found.tried.front().obstacle;
  for (std::size_t b = 0; b < found.banks.banks.size(); ++b) {
    const espdl::Model bank = espdl::with_bank(made.model, found.banks, b);
    EXPECT_EQ(bank.nodes, made.model.nodes);
    for (const espdl::Constant& constant : bank.initializers) {
      const espdl::Constant& own = *made.model.find_initializer(constant.name);
      if (constant.data.shape().size() == 4) {
        EXPECT_EQ(constant, own) << constant.name;
      }
    }
  }
}

TEST_P(BanksFor, EqualBytesForOneThreadAndTwo) {
  const auto source = of_four_gains(test::small_network(), 64);
  const auto bytes = [&](int threads) {
    set_thread_count(threads);
    const QuantizedModel made = quantized(source);
    const FoundBanks found = find_banks(made, target_, source, {});
    set_thread_count(0);
    return espdl::write_banks(found.banks, made.model, espdl::write_model(made.model), target_);
  };
  EXPECT_EQ(bytes(1), bytes(2));
}

TEST_P(BanksFor, FramesOfOneLoudnessAreNone) {
  const calib::SampleSource full = test::random_samples(test::small_network(), 32, -2, 2);
  const QuantizedModel made = quantized(full);
  const FoundBanks found = find_banks(made, target_, full, {});
  EXPECT_TRUE(found.banks.banks.empty());
  EXPECT_TRUE(found.tried.empty());
  EXPECT_LE(found.loudest, 2 * found.quietest);
}

TEST_P(BanksFor, AStatedNumberAreNoMore) {
  const auto source = of_four_gains(test::small_network(), 64);
  const QuantizedModel made = quantized(source);
  const FoundBanks found = find_banks(made, target_, source, {.count = 2});
  EXPECT_EQ(found.tried.size(), 1U);
  EXPECT_EQ(find_banks(made, target_, source, {.count = 1}).tried.size(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Chips, BanksFor, testing::Values("esp32s3", "esp32p4", "esp32c3"),
                         [](const auto& parameter) { return std::string(parameter.param); });

}  // namespace
}  // namespace espquant::strategy
