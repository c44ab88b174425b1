#include <gtest/gtest.h>

#include <limits>

#include "data/npz.h"
#include "tests/e2e/program.h"

namespace espquant::test {
namespace {

class Run : public testing::Test {
 protected:
  void SetUp() override { write_untested_model(folder.path("m.espdl")); }

  Outcome run(std::vector<std::string> options) {
    options.insert(options.begin(), {"run", folder.path("m.espdl"), "--output", output});
    return run_program(options);
  }

  TemporaryFolder folder;
  std::string output = folder.path("out.npz");
};

/// 1,3,2,2: channel c at pixel p holds c + p / 4.
Tensor picture() {
  Tensor x(DType::Float32, {1, 3, 2, 2});
  for (std::size_t i = 0; i < 12; ++i)
    x.mutable_data<float>()[i] = static_cast<float>(i / 4) + 0.25F * static_cast<float>(i % 4);
  return x;
}

TEST_F(Run, FloatsComeAndGoInTheNetworksLayout) {
  write_arrays(folder.path("x.npz"), {{"x", picture()}});
  const auto outcome = run({"--input", folder.path("x.npz")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto arrays = data::read_npz(output);
  ASSERT_EQ(arrays.size(), 1U);
  EXPECT_TRUE(arrays.at("y").equals(picture()));
}

TEST_F(Run, QuantizedOutputIsTheChipsOwn) {
  write_arrays(folder.path("x.npz"), {{"input:x", picture()}});
  const auto outcome = run({"--input", folder.path("x.npz"), "--quantized"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto arrays = data::read_npz(output);
  const auto expected =
      Tensor::of<std::int8_t>({1, 2, 2, 3}, {0, 16, 32, 4, 20, 36, 8, 24, 40, 12, 28, 44});
  EXPECT_TRUE(arrays.at("y").equals(expected));
  EXPECT_TRUE(arrays.at("exponent:y").equals(Tensor::scalar<std::int32_t>(-4)));
}

TEST_F(Run, IntegersAreTakenRawAndFramesStacked) {
  Tensor x(DType::Int8, {3, 2, 2, 3});
  for (std::size_t i = 0; i < 36; ++i)
    x.mutable_data<std::int8_t>()[i] = static_cast<std::int8_t>(i);
  write_arrays(folder.path("x.npz"), {{"x", x}});
  ASSERT_EQ(run({"--input", folder.path("x.npz"), "--quantized"}).exit_code, 0);
  EXPECT_TRUE(data::read_npz(output).at("y").equals(x));
}

TEST_F(Run, RawBytesAreFrames) {
  write_text(folder.path("x.bin"), std::string(24, '\x05'));
  ASSERT_EQ(run({"--input", folder.path("x.bin"), "--quantized"}).exit_code, 0);
  EXPECT_EQ(data::read_npz(output).at("y").shape(), (Shape{2, 2, 2, 3}));
  write_text(folder.path("x.bin"), std::string(23, '\x05'));
  const auto outcome = run({"--input", folder.path("x.bin")});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("23 bytes; the input takes 12"), std::string::npos) << outcome.err;
}

TEST_F(Run, AllTensorsIncludeTheInput) {
  write_arrays(folder.path("x.npz"), {{"x", picture()}});
  ASSERT_EQ(run({"--input", folder.path("x.npz"), "--all-tensors"}).exit_code, 0);
  EXPECT_TRUE(data::read_npz(output).contains("x"));
}

TEST_F(Run, NpyHoldsOneTensor) {
  output = folder.path("out.npy");
  write_arrays(folder.path("x.npz"), {{"x", picture()}});
  ASSERT_EQ(run({"--input", folder.path("x.npz")}).exit_code, 0);
  EXPECT_TRUE(data::read_npy(std::filesystem::path(output)).equals(picture()));
  EXPECT_EQ(run({"--input", folder.path("x.npz"), "--all-tensors"}).exit_code, 2);
}

TEST_F(Run, WrongShapeTypeAndNumbersAreRefusedWithoutOutput) {
  Tensor not_a_number = picture();
  not_a_number.mutable_data<float>()[7] = std::numeric_limits<float>::quiet_NaN();
  const std::map<std::string, Tensor> wrong = {
      {"shape 1x3x2x5", Tensor(DType::Float32, {1, 3, 2, 5})},
      {"int16", Tensor(DType::Int16, {1, 2, 2, 3})},
      {"NaN", not_a_number}};
  for (const auto& [message, array] : wrong) {
    write_arrays(folder.path("x.npz"), {{"x", array}});
    const auto outcome = run({"--input", folder.path("x.npz")});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(output));
  }
}

TEST_F(Run, PicturesArePreparedAsTheFileSays) {
  // One pixel, R 16, G 32, B 48.
  constexpr unsigned char kPng[] = {
      0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
      0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00,
      0x00, 0x90, 0x77, 0x53, 0xde, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78,
      0x9c, 0x63, 0x10, 0x50, 0x30, 0x00, 0x00, 0x00, 0xa4, 0x00, 0x61, 0x34, 0x66, 0x7d,
      0x72, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
  write_text(folder.path("x.png"), {reinterpret_cast<const char*>(kPng), sizeof kPng});
  write_untested_model(folder.path("m.espdl"), {{"scale", "0.0625"}, {"color", "bgr"}});
  const auto outcome = run({"--input", folder.path("x.png"), "--quantized"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto expected =
      Tensor::of<std::int8_t>({1, 2, 2, 3}, {48, 32, 16, 48, 32, 16, 48, 32, 16, 48, 32, 16});
  EXPECT_TRUE(data::read_npz(output).at("y").equals(expected));
}

TEST_F(Run, UnknownKindOfInputIsRefused) {
  write_text(folder.path("x.csv"), "1,2,3\n");
  const auto outcome = run({"--input", folder.path("x.csv")});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find(".npz"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace espquant::test
