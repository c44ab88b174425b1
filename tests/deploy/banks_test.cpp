#include "deploy/templates/main/banks.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "cost/latency.h"
#include "espdl/bytes.h"
#include "espdl/writer.h"
#include "measure/bank_programs.h"
#include "measure/simulate.h"
#include "strategy/find_banks.h"
#include "tests/deploy/standin/seen_model.h"
#include "tests/strategy/homogeneous_network.h"
#include "tests/support/network.h"

/// The banks of generated applications, on the stand-in of ESP-DL: every integer that they write is
/// that of the bank which the simulator runs.
namespace espquant::test {
namespace {

/// Layers whose biases and channels are of every kind that the chips pack: whole vectors and a
/// rest, by channel, a Gemm; two tables, and two branches of one exponent.
Graph network_of_all_kinds() {
  Network net;
  const ValueId x = net.input("frame", {1, 3, 8, 8});
  const auto convolve = [&](ValueId v, std::int64_t from, std::int64_t to, std::int64_t groups) {
    return net.node("Conv", {v, net.random({to, from / groups, 3, 3}), net.random({to})},
                    {{"group", groups}, {"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
  };
  const ValueId stem = net.node("Relu", {convolve(x, 3, 20, 1)});
  const ValueId gate = net.node("Sigmoid", {convolve(stem, 20, 20, 20)});
  const ValueId soft = net.node("Tanh", {convolve(stem, 20, 36, 1)});
  const ValueId joined =
      net.node("Concat", {net.node("Mul", {stem, gate}), soft}, {{"axis", std::int64_t{1}}});
  const ValueId flat = net.node("Flatten", {net.node("GlobalAveragePool", {joined})});
  const ValueId scores = net.node("Gemm", {flat, net.random({56, 7}), net.random({7})});
  return net.finish({net.node("Softmax", {scores})});
}

/// Of full loudness, and 8 and 64 times quieter.
calib::SampleSource frames_of_three_gains(std::int64_t count, std::uint64_t seed) {
  return {count, [seed](std::int64_t i) {
            const float gain = std::exp2(-3.0F * static_cast<float>(i % 3));
            return std::vector<Tensor>{random_tensor(
                {1, 3, 8, 8}, seed + static_cast<std::uint64_t>(i), -2 * gain, 2 * gain)};
          }};
}

struct MadeBanks {
  const Target& target;
  strategy::QuantizedModel made;
  std::vector<std::byte> file;
  espdl::Banks banks;
  std::vector<std::byte> bytes;
};

/// `count`: of banks, the model's own included; 0: as many as pay.
MadeBanks make_banks(const char* chip, const Graph& network, int count) {
  MadeBanks result{find_target(chip), {}, {}, {}, {}};
  const auto source = frames_of_three_gains(96, 1);
  strategy::QuantizeOptions options;
  options.recipe = recipe::find_recipe("dynamic");
  options.target = &result.target;
  result.made = strategy::quantize_model(network, source, options);
  strategy::BankOptions bank_options;
  bank_options.count = count;
  bank_options.watch = {"*Relu*"};
  result.banks = strategy::find_banks(result.made, result.target, source, bank_options).banks;
  result.file = espdl::write_model(result.made.model);
  result.bytes = espdl::write_banks(result.banks, result.made.model, result.file, result.target);
  return result;
}

std::vector<std::int64_t> integers_of(const Tensor& tensor) {
  const Tensor wide = tensor.cast(DType::Int64);
  const auto values = wide.data<std::int64_t>();
  return {values.begin(), values.end()};
}

/// Every integer and exponent that the device holds is that of the bank which the simulator runs.
void expect_bank(dl::Model& model, const MadeBanks& made, std::size_t bank) {
  const espdl::Model stands = dl::seen_model(model).as_it_stands();
  const espdl::Model expected = espdl::with_bank(made.made.model, made.banks, bank);
  EXPECT_EQ(stands.values, expected.values);
  ASSERT_EQ(stands.initializers.size(), expected.initializers.size());
  for (std::size_t c = 0; c < expected.initializers.size(); ++c) {
    const espdl::Constant &own = stands.initializers[c], &other = expected.initializers[c];
    EXPECT_EQ(own.exponents, other.exponents) << other.name << ", bank " << bank;
    EXPECT_EQ(integers_of(own.data), integers_of(other.data)) << other.name << ", bank " << bank;
  }
}

/// Where ESP-DL wants a file: aligned.
class Flash {
 public:
  explicit Flash(const std::vector<std::byte>& bytes) : blocks_((bytes.size() + 15) / 16) {
    std::memcpy(blocks_.data(), bytes.data(), bytes.size());
  }
  const char* address() const { return reinterpret_cast<const char*>(blocks_.data()); }

 private:
  struct alignas(16) Block {
    std::byte bytes[16];
  };
  std::vector<Block> blocks_;
};

class BanksOnTheChip : public testing::TestWithParam<const char*> {
 protected:
  BanksOnTheChip()
      : made_(make_banks(GetParam(), network_of_all_kinds(), 3)),
        flash_(made_.file),
        model_(flash_.address()) {}
  std::vector<float> stored_frame(std::int64_t i) const {
    // N,H,W,C of the model.
    const Tensor frame =
        frames_of_three_gains(64, 1000).sample(i).front().transposed(Shape{0, 2, 3, 1});
    const auto values = frame.data<float>();
    return {values.begin(), values.end()};
  }
  Tensor output() {
    const dl::TensorBase& tensor = *model_.get_outputs().begin()->second;
    Tensor out(DType::Float32, {tensor.size});
    std::memcpy(out.mutable_bytes().data(), tensor.data, out.byte_size());
    return out;
  }
  const MadeBanks made_;
  const Flash flash_;
  dl::Model model_;
};

TEST_P(BanksOnTheChip, MakeTheModelThatTheSimulatorRuns) {
  firmware::Banks banks(&model_, made_.bytes.data(), made_.bytes.size());
  ASSERT_EQ(banks.error(), nullptr) << banks.error();
  ASSERT_GE(banks.count(), 3U);
  for (const std::size_t bank : {0U, 1U, 2U, 0U, 2U, 1U}) {
    banks.use(bank);
    EXPECT_EQ(banks.selected(), bank);
    expect_bank(model_, made_, bank);
  }
}

TEST_P(BanksOnTheChip, GiveTheModelBack) {
  {
    firmware::Banks banks(&model_, made_.bytes.data(), made_.bytes.size());
    banks.use(0);
  }
  const espdl::Model stands = dl::seen_model(model_).as_it_stands();
  EXPECT_EQ(stands.values, made_.made.model.values);
  EXPECT_EQ(stands.initializers, made_.made.model.initializers);
}

TEST_P(BanksOnTheChip, ComputeFramesAsTheSimulatorDoes) {
  firmware::Banks banks(&model_, made_.bytes.data(), made_.bytes.size());
  ASSERT_EQ(banks.error(), nullptr);
  const sim::Program own(made_.made.model, made_.target);
  const measure::BankPrograms programs(own, made_.banks);
  const auto source = frames_of_three_gains(64, 1000);
  std::size_t seen = 0;
  for (std::int64_t i = 0; i < 12; ++i) {
    const auto inputs = source.sample(i);
    const std::size_t chosen = programs.choose(inputs);
    EXPECT_EQ(banks.select(stored_frame(i).data()), chosen);
    seen |= std::size_t{1} << chosen;
    banks.run();
    const sim::Program& program = *programs.all()[chosen];
    sim::Program::Frame frame(program);
    measure::SimulatedNetwork(program, made_.made.scaled).feed(inputs, frame);
    frame.run();
    const Tensor expected = frame.tensor(program.outputs().front());
    EXPECT_TRUE(output().equals(expected.reshaped(output().shape()))) << "frame " << i;
  }
  EXPECT_NE(seen & (seen - 1), 0U) << "all frames were of one bank";
}

TEST_P(BanksOnTheChip, FollowAStreamAsTheSimulatorDoes) {
  firmware::Banks banks(&model_, made_.bytes.data(), made_.bytes.size());
  std::vector<float> frame(3 * 8 * 8);
  std::size_t before = made_.banks.choose(0.001F);
  frame[5] = 0.001F;
  EXPECT_EQ(banks.select_next(frame.data()), before);
  Random random(3);
  for (int i = 0; i < 100; ++i) {
    const float loudness = std::exp2(random.uniform(-6, 2));
    frame[5] = -loudness;
    before = made_.banks.choose(loudness, before);
    EXPECT_EQ(banks.select_next(frame.data()), before) << loudness;
  }
}

TEST_P(BanksOnTheChip, TellOfFramesThatClipMoreThanCalibrationDid) {
  firmware::Banks banks(&model_, made_.bytes.data(), made_.bytes.size());
  ASSERT_EQ(banks.watched_count(), 1U);
  EXPECT_EQ(banks.clipped_limit(0), made_.banks.watched.front().limits.back());
  banks.select(stored_frame(0).data());
  EXPECT_EQ(banks.run(), 0U);
  std::vector<float> loud = stored_frame(0);
  for (float& x : loud) x *= 64;
  banks.select(loud.data());
  EXPECT_EQ(banks.run(), 1U);
  EXPECT_GT(banks.clipped_share(0), banks.clipped_limit(0));
}

TEST_P(BanksOnTheChip, OfAnotherModelAreRefused) {
  // The same network with one bias of another size.
  espdl::Model other = made_.made.model;
  for (espdl::Constant& constant : other.initializers)
    if (constant.data.dtype() == DType::Int32) ++constant.data.mutable_data<std::int32_t>()[0];
  const Flash flash(espdl::write_model(other));
  dl::Model model(flash.address());
  EXPECT_STREQ(firmware::Banks(&model, made_.bytes.data(), made_.bytes.size()).error(),
               "the banks belong to another model");
  const espdl::Model stands = dl::seen_model(model).as_it_stands();
  EXPECT_EQ(stands.initializers, other.initializers);
}

TEST_P(BanksOnTheChip, CutDamagedOrOlderAreRefused) {
  const auto refusal = [&](std::vector<std::byte> bytes) {
    const firmware::Banks banks(&model_, bytes.data(), bytes.size());
    return std::string(banks.error() == nullptr ? "" : banks.error());
  };
  EXPECT_EQ(refusal({}), "the banks are no file of banks");
  auto older = made_.bytes;
  espdl::store_u32(older, 4, 1);
  EXPECT_EQ(refusal(older), "the banks are of another version: quantize the model again");
  for (std::size_t i = 0; i < made_.bytes.size(); i += 97) {
    auto damaged = made_.bytes;
    damaged[i] ^= std::byte{0x20};
    EXPECT_NE(refusal(damaged), "") << "byte " << i;
    damaged = made_.bytes;
    damaged.resize(i);
    EXPECT_NE(refusal(damaged), "") << "first " << i;
  }
}

// A sender who means harm makes the checksum right.
TEST_P(BanksOnTheChip, DamagedBeneathARightChecksumDoNoHarm) {
  for (std::size_t i = 24; i + 4 <= made_.bytes.size(); i += 4)
    for (const std::uint32_t value : {0U, 3U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
      auto damaged = made_.bytes;
      espdl::store_u32(damaged, i, value);
      espdl::store_u32(damaged, 12,
                       firmware::bank_checksum(damaged.data() + 16, damaged.size() - 16));
      firmware::Banks banks(&model_, damaged.data(), damaged.size());
      if (banks.error() == nullptr)
        for (std::size_t b = 0; b < banks.count(); ++b) banks.use(b);
    }
}

// An access to slow memory for every word that is written.
TEST_P(BanksOnTheChip, CostLessThanAHundredthOfAFrameToChange) {
  firmware::Banks banks(&model_, made_.bytes.data(), made_.bytes.size());
  const double frame = 1000 * cost::estimate_latency(made_.made.model, made_.target).milliseconds;
  banks.use(0);
  EXPECT_GT(banks.bytes_written(), 0U);
  constexpr double kMicrosecondsPerWord = 0.05;
  EXPECT_LT(kMicrosecondsPerWord * static_cast<double>(banks.bytes_written()) / 4, frame / 100)
      << banks.bytes_written() << " bytes, " << frame << " us";
}

TEST_P(BanksOnTheChip, TakePicturesByTheirPixels) {
  firmware::Banks banks(&model_, made_.bytes.data(), made_.bytes.size());
  std::vector<float> values(3 * 256);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i % 256) / 100 - 0.2F;
  firmware::PreprocessSettings settings{};
  settings.width = settings.height = 8;
  settings.color = firmware::Color::Rgb;
  settings.row_stride = 24;
  settings.column_stride = 3;
  settings.channel_stride = 1;
  auto* input = static_cast<std::uint8_t*>(model_.get_inputs().begin()->second->data);
  for (const unsigned brightest : {255U, 20U, 100U}) {
    Random random(brightest);
    std::vector<float> frame(3 * 64);
    std::vector<std::uint8_t> pixels(frame.size());
    for (std::size_t i = 0; i < frame.size(); ++i) {
      pixels[i] = static_cast<std::uint8_t>(random.uniform(0, static_cast<float>(brightest)));
      frame[i] = values[256 * (i % 3) + pixels[i]];
    }
    const std::size_t bank = banks.select(frame.data());
    const std::vector<std::uint8_t> expected(input, input + frame.size());
    banks.use((bank + 1) % banks.count());
    std::copy(pixels.begin(), pixels.end(), input);
    EXPECT_EQ(banks.select_picture(settings, values.data(), false), bank);
    EXPECT_EQ(std::vector<std::uint8_t>(input, input + frame.size()), expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, BanksOnTheChip, testing::Values("esp32s3", "esp32p4", "esp32c3"),
                         [](const auto& parameter) { return std::string(parameter.param); });

/// A network without biases: the banks are a gain.
class GainOnTheChip : public testing::TestWithParam<const char*> {
 protected:
  const MadeBanks made_ = make_banks(GetParam(), homogeneous_network(), 0);
  const Flash flash_{made_.file};
  dl::Model model_{flash_.address()};
};

TEST_P(GainOnTheChip, MakesTheModelThatTheSimulatorRuns) {
  firmware::Banks banks(&model_, made_.bytes.data(), made_.bytes.size());
  ASSERT_EQ(banks.error(), nullptr) << banks.error();
  ASSERT_GE(banks.count(), 3U);
  for (const std::size_t bank : {0U, 1U, 2U, 0U, 2U}) {
    banks.use(bank);
    expect_bank(model_, made_, bank);
  }
}

TEST_P(GainOnTheChip, TakesNoMemoryForIntegers) {
  firmware::Banks banks(&model_, made_.bytes.data(), made_.bytes.size());
  std::vector<const void*> own;
  for (const std::string& name : made_.banks.constants)
    if (const dl::TensorBase* tensor = model_.get_intermediate(name)) own.push_back(tensor->data);
  banks.use(0);
  std::vector<const void*> quiet;
  for (const std::string& name : made_.banks.constants)
    if (const dl::TensorBase* tensor = model_.get_intermediate(name)) quiet.push_back(tensor->data);
  EXPECT_EQ(quiet, own);
}

INSTANTIATE_TEST_SUITE_P(Chips, GainOnTheChip, testing::Values("esp32s3", "esp32p4", "esp32c3"),
                         [](const auto& parameter) { return std::string(parameter.param); });

TEST(BankStatistic, IsThatOfTheProgram) {
  Random random(9);
  for (const std::size_t count : {1U, 2U, 100U, 1001U}) {
    std::vector<float> values(count);
    for (float& v : values)
      v = std::exp2(random.uniform(-20, 20)) * (random.uniform(-1, 1) < 0 ? -1 : 1);
    const Tensor tensor =
        Tensor::of<float>({static_cast<std::int64_t>(count)}, std::span<const float>(values));
    for (const float percentile : {50.0F, 90.0F, 99.9F, 100.0F})
      EXPECT_EQ(firmware::percentile_of(count, percentile,
                                        [&](auto&& each) {
                                          for (const float v : values) each(v, 1);
                                        }),
                espdl::statistic_of({&tensor, 1}, espdl::Statistic::Percentile, percentile));
  }
}

TEST(PackedBiases, OfSixteenBitsStandInFieldsOfForty) {
  for (const bool depthwise : {false, true}) {
    const std::size_t count = 11;
    std::vector<std::uint8_t> packed(firmware::packed_bytes(count, true, depthwise));
    EXPECT_EQ(packed.size(), depthwise ? 80U : 96U);
    for (std::size_t i = 0; i < count; ++i)
      firmware::write_bits(
          packed.data(), firmware::packed_place(i, count, true, depthwise),
          (std::int64_t{1} << 38) / static_cast<std::int64_t>(i + 1) * (i % 2 ? -1 : 1));
    for (std::size_t i = 0; i < count; ++i)
      EXPECT_EQ(
          firmware::read_bits(packed.data(), firmware::packed_place(i, count, true, depthwise)),
          (std::int64_t{1} << 38) / static_cast<std::int64_t>(i + 1) * (i % 2 ? -1 : 1));
    EXPECT_EQ(firmware::packed_place(4, count, true, depthwise).bit, 32U * 8);
    EXPECT_EQ(firmware::packed_place(9, count, true, depthwise).bit,
              depthwise ? 64U * 8 + 40 : 64U * 8 + 64);
  }
}

}  // namespace
}  // namespace espquant::test
