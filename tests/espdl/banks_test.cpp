#include "espdl/banks.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "espdl/bytes.h"
#include "espdl/writer.h"
#include "tests/espdl/expect_error.h"

namespace espquant::espdl {
namespace {

template <typename T>
Constant constant(const char* name, std::vector<T> elements, int exponent) {
  const auto count = static_cast<std::int64_t>(elements.size());
  return {name, Tensor::of<T>({count}, std::span<const T>(elements)), {exponent}, ""};
}

/// One layer of a filter, a bias and a table, at an input exponent.
Model layer(int input_exponent, std::vector<std::int32_t> bias, int output_exponent = -3) {
  Model model;
  model.name = "layer";
  Node gemm;
  gemm.name = gemm.op = "Gemm";
  gemm.inputs = {"x", "w", "b"};
  gemm.outputs = {"y"};
  gemm.attributes["quant_type"] = std::string("S8");
  model.nodes.push_back(gemm);
  model.inputs = {"x"};
  model.outputs = {"y"};
  model.values = {{"x", DType::Int8, {1, 2}, {input_exponent}},
                  {"y", DType::Int8, {1, 3}, {output_exponent}}};
  model.initializers = {constant<std::int8_t>("w", {1, 2, 3, 4, 5, 6}, -7),
                        constant<std::int32_t>("b", std::move(bias), input_exponent - 7)};
  return model;
}

void restore_checksum(std::vector<std::byte>& bytes) {
  const auto* summed = reinterpret_cast<const unsigned char*>(bytes.data()) + 16;
  store_u32(bytes, 12, static_cast<std::uint32_t>(crc32_z(0, summed, bytes.size() - 16)));
}

class BanksOfALayer : public testing::Test {
 protected:
  BanksOfALayer() {
    banks_.descent = 0.5F;
    add_bank(banks_, loud_, quiet_, 1.0F);
    add_bank(banks_, loud_, quietest_, 0.25F);
  }
  const Model loud_ = layer(-4, {100, -7, 3}), quiet_ = layer(-6, {401, -28, 12}, -5),
              quietest_ = layer(-8, {1600, -112, 48}, -5);
  const std::vector<std::byte> file_ = write_model(loud_);
  const Target& target_ = find_target("esp32s3");
  Banks banks_;
};

TEST_F(BanksOfALayer, HoldWhatDiffersAndNothingElse) {
  EXPECT_EQ(banks_.tensors, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(banks_.constants, (std::vector<std::string>{"b"}));
}

TEST_F(BanksOfALayer, StandFromTheQuietestOn) {
  ASSERT_EQ(banks_.banks.size(), 2U);
  EXPECT_EQ(banks_.banks[0].largest, 0.25F);
  EXPECT_EQ(banks_.banks[0].exponents, (std::vector<int>{-8, -5}));
}

TEST_F(BanksOfALayer, MakeTheModelsThatTheyAreOf) {
  for (const auto& [bank, expected] : {std::pair{0U, &quietest_}, {1U, &quiet_}, {2U, &loud_}}) {
    const Model made = with_bank(loud_, banks_, bank);
    EXPECT_EQ(made.values, expected->values);
    EXPECT_EQ(made.initializers, expected->initializers);
  }
}

TEST_F(BanksOfALayer, KnowWhatAModelHasThatDiffersInALaterBankOnly) {
  Banks banks;
  Model same_output = layer(-6, {401, -28, 12});
  add_bank(banks, loud_, same_output, 1.0F);
  add_bank(banks, loud_, quietest_, 0.25F);
  EXPECT_EQ(with_bank(loud_, banks, 1).values, same_output.values);
  EXPECT_EQ(with_bank(loud_, banks, 0).values, quietest_.values);
}

TEST_F(BanksOfALayer, AreRefusedForOtherNodes) {
  Model other = quiet_;
  other.initializers[0] = constant<std::int8_t>("w", {1, 2, 3, 4, 5, 6}, -6);
  Banks banks;
  EXPECT_NO_THROW(add_bank(banks, loud_, other, 1));  // an exponent alone can follow
  other.nodes.push_back(other.nodes[0]);
  expect_error(ErrorCode::Illegal, "the number of nodes",
               [&] { add_bank(banks, loud_, other, 0.5F); });
}

TEST_F(BanksOfALayer, AreReadAsTheyWereWritten) {
  const auto bytes = write_banks(banks_, loud_, file_, target_);
  EXPECT_EQ(read_banks(bytes, loud_, file_), banks_);
}

TEST_F(BanksOfALayer, TakeAByteForABiasThatOnlyFollows) {
  const auto bytes = write_banks(banks_, loud_, file_, target_);
  Banks far = banks_;
  for (Bank& bank : far.banks) bank.constants[0] = constant<std::int32_t>("b", {1 << 20, 0, 0}, -7);
  // One of the two biases follows to the bit, and takes nothing.
  EXPECT_EQ(bytes.size() + (3 * 4 - 4) + 3 * 4, write_banks(far, loud_, file_, target_).size());
}

TEST_F(BanksOfALayer, TakeNothingForIntegersThatStay) {
  Banks same = banks_;
  for (Bank& bank : same.banks) {
    const int shift = loud_.initializers[1].exponent() - bank.constants[0].exponent();
    bank.constants[0] = constant<std::int32_t>(
        "b", {100 << shift, -7 * (1 << shift), 3 << shift}, bank.constants[0].exponent());
  }
  const auto bytes = write_banks(same, loud_, file_, target_);
  EXPECT_EQ(bytes.size() + 4, write_banks(banks_, loud_, file_, target_).size());
  EXPECT_EQ(read_banks(bytes, loud_, file_), same);
}

TEST_F(BanksOfALayer, SayWhichTensorsAreWatched) {
  banks_.watched.push_back({"y", {0, 0.5F, 0.25F}});
  EXPECT_EQ(read_banks(write_banks(banks_, loud_, file_, target_), loud_, file_), banks_);
  banks_.watched.front().tensor = "x";
  expect_error(ErrorCode::Illegal, "no node writes it",
               [&] { write_banks(banks_, loud_, file_, target_); });
}

TEST_F(BanksOfALayer, CannotTellABiasFromAParameterOfTheSameName) {
  Model twice = loud_;
  twice.nodes.push_back(twice.nodes[0]);
  twice.nodes.back().inputs = {"y", "b", "w"};
  expect_error(ErrorCode::Illegal, "in two ways",
               [&] { write_banks(banks_, twice, file_, target_); });
}

TEST_F(BanksOfALayer, OfAnotherFileAreRefused) {
  const auto bytes = write_banks(banks_, loud_, file_, target_);
  auto other = file_;
  other.back() ^= std::byte{1};
  expect_error(ErrorCode::BadData, "another .espdl", [&] { read_banks(bytes, loud_, other); });
}

TEST_F(BanksOfALayer, OfAnotherVersionAreRefused) {
  auto bytes = write_banks(banks_, loud_, file_, target_);
  store_u32(bytes, 4, 1);
  expect_error(ErrorCode::Unsupported, "version 1", [&] { read_banks(bytes, loud_, file_); });
}

TEST_F(BanksOfALayer, CutOrDamagedAnywhereAreRefused) {
  const auto bytes = write_banks(banks_, loud_, file_, target_);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto damaged = bytes;
    damaged[i] ^= std::byte{0x10};
    EXPECT_THROW(read_banks(damaged, loud_, file_), Error) << "byte " << i;
    EXPECT_THROW(read_banks(std::span(bytes).first(i), loud_, file_), Error) << "first " << i;
  }
}

// A sender who means harm makes the checksum right.
TEST_F(BanksOfALayer, DamagedBeneathARightChecksumNeverReadBeyondTheFile) {
  const auto bytes = write_banks(banks_, loud_, file_, target_);
  int refused = 0;
  for (std::size_t i = 24; i + 4 <= bytes.size(); i += 4) {
    for (const std::uint32_t value : {0U, 1U, 0x7FFFFFFFU, 0xFFFFFFFFU, 0x7FC00000U}) {
      auto damaged = bytes;
      store_u32(damaged, i, value);
      restore_checksum(damaged);
      try {
        const Banks read = read_banks(damaged, loud_, file_);
        for (std::size_t b = 0; b <= read.banks.size(); ++b) with_bank(loud_, read, b);
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 0);
}

TEST_F(BanksOfALayer, AreChosenByWhatTheyHold) {
  EXPECT_EQ(banks_.choose(0), 0U);
  EXPECT_EQ(banks_.choose(0.25F), 0U);
  EXPECT_EQ(banks_.choose(0.3F), 1U);
  EXPECT_EQ(banks_.choose(7), 2U);
}

TEST_F(BanksOfALayer, GoDownLaterThanUpInAStream) {
  EXPECT_EQ(banks_.choose(0.9F, 2), 2U);
  EXPECT_EQ(banks_.choose(0.5F, 2), 1U);
  EXPECT_EQ(banks_.choose(0.2F, 2), 1U);
  EXPECT_EQ(banks_.choose(0.1F, 2), 0U);
  EXPECT_EQ(banks_.choose(5, 0), 2U);
  EXPECT_EQ(banks_.choose(0.9F, 1), 1U);
}

TEST(FrameStatistic, IsTheLargestMagnitudeOrAPercentile) {
  std::vector<float> values(100);
  for (std::size_t i = 0; i < 100; ++i) values[i] = -static_cast<float>(i + 1);
  const Tensor input = Tensor::of<float>({1, 100}, std::span<const float>(values));
  const std::span<const Tensor> inputs(&input, 1);
  EXPECT_EQ(statistic_of(inputs, Statistic::Largest, 0), 100);
  EXPECT_EQ(statistic_of(inputs, Statistic::Percentile, 95), 95);
  EXPECT_EQ(statistic_of(inputs, Statistic::Percentile, 100), 100);
  EXPECT_EQ(statistic_of({}, Statistic::Percentile, 50), 0);
}

}  // namespace
}  // namespace espquant::espdl
