#include "strategy/bank_gain.h"

#include <gtest/gtest.h>

#include <cmath>

#include "espdl/writer.h"
#include "measure/bank_programs.h"
#include "measure/simulate.h"
#include "strategy/find_banks.h"
#include "tests/quant/calibrated.h"
#include "tests/strategy/homogeneous_network.h"
#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

using test::Ints;

Tensor times(Tensor input, float gain) {
  for (float& x : input.mutable_data<float>()) x *= gain;
  return input;
}

class GainFor : public testing::TestWithParam<const char*> {
 protected:
  /// Frames of which every third is of full loudness, the others 3 and 5 octaves quieter.
  static calib::SampleSource frames(const Graph& network) {
    const calib::SampleSource full = test::random_samples(network, 48, -2, 2);
    return {full.count, [full](std::int64_t i) {
              constexpr float kGains[] = {1, 0x1p-3F, 0x1p-5F};
              return std::vector<Tensor>{times(full.sample(i).front(), kGains[i % 3])};
            }};
  }
  GainFor() {
    const Graph network = test::homogeneous_network();
    const calib::SampleSource source = frames(network);
    QuantizeOptions options;
    options.recipe = recipe::find_recipe("dynamic");
    options.target = &target_;
    made_ = quantize_model(network, source, options);
    found_ = find_banks(made_, target_, source, {});
  }
  int octaves_of(const espdl::Bank& bank) const {
    return static_cast<int>(std::lround(std::log2(found_.loudest / bank.largest)));
  }

  const Target& target_ = find_target(GetParam());
  QuantizedModel made_;
  FoundBanks found_;
};

TEST_P(GainFor, ANetworkWithoutBiasesIsFound) {
  EXPECT_TRUE(found_.gain);
  EXPECT_GE(found_.banks.banks.size(), 2U);
  EXPECT_LE(octaves_of(found_.banks.banks.back()), 3);
  EXPECT_GE(octaves_of(found_.banks.banks.front()), 5);
}

TEST_P(GainFor, TheIntegersAreTheSame) {
  for (std::size_t b = 0; b < found_.banks.banks.size(); ++b) {
    const int octaves = octaves_of(found_.banks.banks[b]);
    const espdl::Model bank = espdl::with_bank(made_.model, found_.banks, b);
    for (const espdl::Constant& constant : bank.initializers)
      EXPECT_TRUE(constant.data.equals(made_.model.find_initializer(constant.name)->data))
          << constant.name;
    for (const espdl::ValueInfo& value : bank.values)
      EXPECT_EQ(value.exponent(), made_.model.find_value(value.name)->exponent() - octaves)
          << value.name;
  }
}

TEST_P(GainFor, AQuietFrameGivesTheScoresOfALoudOneTimesTheGain) {
  const sim::Program own(made_.model, target_);
  const measure::BankPrograms programs(own, found_.banks);
  for (std::size_t b = 0; b < found_.banks.banks.size(); ++b) {
    const float gain = std::exp2(static_cast<float>(-octaves_of(found_.banks.banks[b])));
    // Behind the border of the bank, so that the program takes it.
    const Tensor loud = times(test::random_tensor({1, 3, 8, 8}, 900 + b), 0.9F * found_.loudest);
    const auto scores = [&](std::size_t program, const Tensor& frame) {
      const measure::SimulatedNetwork network(*programs.all()[program], made_.scaled);
      sim::Program::Frame memory(*programs.all()[program]);
      return network.run({&frame, 1}, memory).front();
    };
    const Tensor quiet = times(loud, gain);
    EXPECT_EQ(programs.choose({&quiet, 1}), b);
    EXPECT_TRUE(scores(b, quiet).equals(times(scores(programs.all().size() - 1, loud), gain)));
  }
}

TEST_P(GainFor, ABankTakesFourBytesForATensor) {
  const auto file = espdl::write_model(made_.model);
  const auto size_of_banks = [&](std::size_t count) {
    espdl::Banks banks = found_.banks;
    banks.banks.resize(count);
    return espdl::write_banks(banks, made_.model, file, target_).size();
  };
  // Of a constant: how many exponents, the first, and that its integers stay.
  EXPECT_EQ(size_of_banks(2) - size_of_banks(1),
            4 + 4 * found_.banks.tensors.size() + 12 * found_.banks.constants.size());
}

INSTANTIATE_TEST_SUITE_P(Chips, GainFor, testing::Values("esp32s3", "esp32p4", "esp32c3"),
                         [](const auto& parameter) { return std::string(parameter.param); });

/// One operator behind a convolution without bias.
bool homogeneous_with(const std::function<ValueId(test::Network&, ValueId)>& last) {
  test::Network net;
  const ValueId x = net.input("x", {1, 4, 6, 6});
  const ValueId conv =
      net.node("Conv", {x, net.random({4, 4, 1, 1})}, {{"kernel_shape", Ints{1, 1}}});
  const ValueId y = last(net, conv);
  return is_homogeneous(net.finish({y}));
}

TEST(Homogeneous, IsWhatOnlyScalesAndChooses) {
  const auto of = [](const char* op) {
    return homogeneous_with([op](test::Network& net, ValueId v) { return net.node(op, {v}); });
  };
  for (const char* op : {"Relu", "LeakyRelu", "Abs", "GlobalAveragePool", "Flatten"})
    EXPECT_TRUE(of(op)) << op;
  for (const char* op : {"Sigmoid", "Tanh", "Softmax", "Exp", "HardSwish"})
    EXPECT_FALSE(of(op)) << op;
}

TEST(Homogeneous, IsNothingThatAddsOrCaps) {
  using Net = test::Network;
  EXPECT_TRUE(homogeneous_with([](Net& n, ValueId v) { return n.node("Add", {v, v}); }));
  EXPECT_FALSE(homogeneous_with([](Net& n, ValueId v) { return n.node("Mul", {v, v}); }));
  EXPECT_TRUE(homogeneous_with([](Net& n, ValueId v) { return n.node("Mul", {v, n.scalar(3)}); }));
  EXPECT_FALSE(homogeneous_with([](Net& n, ValueId v) { return n.node("Add", {v, n.scalar(3)}); }));
  EXPECT_FALSE(homogeneous_with([](Net& n, ValueId v) {
    return n.node("Clip", {v, n.scalar(0), n.scalar(6)});
  }));
  EXPECT_FALSE(homogeneous_with([](Net& n, ValueId v) {
    return n.node("Conv", {v, n.random({4, 4, 1, 1}), n.random({4})},
                  {{"kernel_shape", Ints{1, 1}}});
  }));
  EXPECT_TRUE(homogeneous_with([](Net& n, ValueId v) {
    return n.node("Conv", {v, n.random({4, 4, 1, 1}), n.floats({4}, {0, 0, 0, 0})},
                  {{"kernel_shape", Ints{1, 1}}});
  }));
  EXPECT_FALSE(is_homogeneous(test::small_network()));
}

}  // namespace
}  // namespace espquant::strategy
