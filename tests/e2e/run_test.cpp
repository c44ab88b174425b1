#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "data/npy.h"
#include "data/npz.h"
#include "espdl/reader.h"
#include "sim/program.h"
#include "tests/e2e/program.h"
#include "tests/support/shared.h"

namespace espquant::test {
namespace {

class Run : public testing::Test {
 protected:
  void SetUp() override { write_untested_model(folder.path("m.espdl")); }

  Outcome run(std::vector<std::string> options) {
    options.insert(options.begin(), {"run", folder.path("m.espdl"), "--out", output});
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

TEST_F(Run, AnInputThatTheModelHasNotIsNamedBesideThoseThatItHas) {
  expect_one_error(run({"--input", "foo=" + folder.path("x.npz")}), 2, "no input 'foo'");
  EXPECT_NE(run({"--input", "foo=x.npz"}).err.find("Its inputs: x"), std::string::npos);
}

TEST_F(Run, JsonSaysWhatWasWritten) {
  write_arrays(folder.path("x.npz"), {{"x", picture()}});
  const auto json = nlohmann::json::parse(run({"--input", folder.path("x.npz"), "--json"}).out);
  EXPECT_EQ(json["file"], output);
  EXPECT_EQ(json["tensors"][0]["name"], "y");
  EXPECT_EQ(json["tensors"][0]["dtype"], "float32");
  EXPECT_EQ(json["tensors"][0]["frames"], 1);
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

TEST_F(Run, AllTensorsAreTheChipsOwnWithTheirExponents) {
  write_arrays(folder.path("x.npz"), {{"x", picture()}});
  ASSERT_EQ(run({"--input", folder.path("x.npz"), "--all-tensors"}).exit_code, 0);
  const auto integers = data::read_npz(output);
  EXPECT_EQ(integers.size(), 4U);
  EXPECT_EQ(integers.at("x").dtype(), DType::Int8);
  EXPECT_EQ(integers.at("x").shape(), (Shape{1, 2, 2, 3}));
  EXPECT_TRUE(integers.at("exponent:x").equals(Tensor::scalar<std::int32_t>(-4)));
  ASSERT_EQ(run({"--input", folder.path("x.npz"), "--all-tensors", "--dequantize"}).exit_code, 0);
  const auto floats = data::read_npz(output);
  EXPECT_EQ(floats.at("y").dtype(), DType::Float32);
  EXPECT_EQ(floats.at("y").shape(), (Shape{1, 2, 2, 3}));
  EXPECT_FLOAT_EQ(floats.at("y").data<float>()[1], 1.0F);
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

/// Two inputs, two outputs: sum = a + b, difference = a - b, int8 of 6 elements.
espdl::Model two_by_two() {
  espdl::Model model;
  model.metadata = {{"target", "esp32p4"}};
  model.inputs = {"a", "b"};
  model.outputs = {"sum", "difference"};
  for (const char* name : {"a", "b", "sum", "difference"})
    model.values.push_back({name, DType::Int8, {1, 6}, {-3}});
  for (const auto& [op, output] : {std::pair("Add", "sum"), std::pair("Sub", "difference")}) {
    espdl::Node node;
    node.name = node.op = op;
    node.inputs = {"a", "b"};
    node.outputs = {output};
    node.attributes["quant_type"] = std::string("S8");
    model.nodes.push_back(node);
  }
  return model;
}

TEST_F(Run, SeveralInputsAndOutputsAreGivenAndWrittenByName) {
  write_model_file(folder.path("m.espdl"), two_by_two());
  const Shape shape{1, 6};
  const auto a = Tensor::of<std::int8_t>(shape, {1, 2, 3, 100, -100, 0});
  const auto b = Tensor::of<std::int8_t>(shape, {1, -2, 5, 100, 100, 7});
  write_text(folder.path("a.bin"), {reinterpret_cast<const char*>(a.bytes().data()), 6});
  OutputFiles files;
  files.add(folder.path("b.npy"), data::write_npy(b));
  files.commit();
  write_arrays(folder.path("both.npz"), {{"a", a}, {"input:b", b}});
  const std::vector<std::vector<std::string>> ways = {
      {"--input", "a=" + folder.path("a.bin"), "--input", "b=" + folder.path("b.npy")},
      {"--input", folder.path("both.npz")}};
  for (auto way : ways) {
    way.emplace_back("--quantized");
    const auto outcome = run(way);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto arrays = data::read_npz(output);
    EXPECT_TRUE(arrays.at("sum").equals(Tensor::of<std::int8_t>(shape, {2, 0, 8, 127, 0, 7})));
    EXPECT_TRUE(
        arrays.at("difference").equals(Tensor::of<std::int8_t>(shape, {0, 4, -2, 0, -128, -7})));
  }
  expect_one_error(run({"--input", "a=" + folder.path("a.bin")}), 2, "'b'");
  expect_one_error(run({"--input", folder.path("a.bin")}), 2, "several inputs");
}

TEST_F(Run, UnequalNumbersOfFramesAreRefused) {
  write_model_file(folder.path("m.espdl"), two_by_two());
  write_text(folder.path("a.bin"), std::string(12, '\0'));
  write_text(folder.path("b.bin"), std::string(6, '\0'));
  const auto outcome =
      run({"--input", "a=" + folder.path("a.bin"), "--input", "b=" + folder.path("b.bin")});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("1 frames, but 'a' has 2"), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(output));
}

/// The last two frames in front of each, averaged: y[t] = mean(x[t-2], x[t-1], x[t]).
espdl::Model moving_average() {
  espdl::Model model;
  model.metadata = {{"target", "esp32s3"}};
  model.inputs = {"x"};
  model.outputs = {"y"};
  model.values = {{"x", DType::Int8, {1, 1, 2}, {0}},
                  {"window", DType::Int8, {1, 3, 2}, {0}},
                  {"y", DType::Int8, {1, 1, 2}, {-2}}};
  espdl::Node cache, mean;
  cache.name = cache.op = "StreamingCache";
  cache.inputs = {"x"};
  cache.outputs = {"window"};
  cache.attributes = {{"quant_type", std::string("S8")},
                      {"window_size", std::int64_t{3}},
                      {"frame_axis", std::int64_t{1}}};
  mean.name = mean.op = "AveragePool";
  mean.inputs = {"window"};
  mean.outputs = {"y"};
  using Ints = std::vector<std::int64_t>;
  mean.attributes = {{"quant_type", std::string("S8")},
                     {"kernel_shape", Ints{3}},
                     {"strides", Ints{1}},
                     {"pads", Ints{0, 0}}};
  model.nodes = {cache, mean};
  return model;
}

TEST_F(Run, StreamingModelsKeepTheirStateFromFrameToFrame) {
  write_model_file(folder.path("m.espdl"), moving_average());
  const auto x = Tensor::of<std::int8_t>({4, 1, 2}, {3, 0, 3, 6, 3, -6, 0, 0});
  write_arrays(folder.path("x.npz"), {{"x", x}});
  ASSERT_EQ(run({"--input", folder.path("x.npz"), "--quantized"}).exit_code, 0);
  // In quarters: 3/3, 6/3, 9/3, 6/3 and 0, 6/3, 0, 0.
  EXPECT_TRUE(data::read_npz(output).at("y").equals(
      Tensor::of<std::int8_t>({4, 1, 2}, {4, 0, 8, 8, 12, 0, 8, 0})));
}

TEST_F(Run, EveryTensorOfAShippedModelIsThatOfTheSimulator) {
  ESPQUANT_NEEDS_SHARED("golden/zoo/human_face_detect_mnp_s8_v1_s3.espdl");
  const auto stem = (shared_dir() / "golden/zoo/human_face_detect_mnp_s8_v1_s3").string();
  const auto outcome = run_program({"run", stem + ".espdl", "--input", stem + ".npz", "--out",
                                    output, "--all-tensors", "--kernels", "reference"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto arrays = data::read_npz(output);
  const espdl::Model model = espdl::read_model_file(stem + ".espdl");
  const sim::Program program(model, find_target("esp32s3"));
  sim::Program::Frame frame(program, true);
  const auto recorded = data::read_npz(stem + ".npz");
  for (const std::size_t input : program.inputs())
    frame.set(input, recorded.at("input:" + program.tensor_name(input)));
  frame.run();
  EXPECT_EQ(arrays.size(), 2 * program.tensor_count());
  for (std::size_t t = 0; t < program.tensor_count(); ++t) {
    const std::string& name = program.tensor_name(t);
    EXPECT_TRUE(arrays.at(name).equals(frame.tensor(t))) << name;
    EXPECT_TRUE(arrays.at("exponent:" + name)
                    .equals(Tensor::scalar<std::int32_t>(program.desc(t).exponent())));
  }
}

TEST_F(Run, ArraysOfPicturesAreReadAsCalibrationDataAre) {
  write_untested_model(folder.path("m.espdl"), {{"scale", "0.0625"}});
  Tensor images(DType::UInt8, {2, 2, 2, 3});
  for (std::size_t i = 0; i < 24; ++i)
    images.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i);
  write_arrays(folder.path("x.npz"),
               {{"images", images}, {"labels", Tensor::of<std::int64_t>({2}, {0, 1})}});
  const auto outcome = run({"--input", folder.path("x.npz"), "--quantized"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  // Times 1/16, at exponent -4: the bytes themselves.
  EXPECT_TRUE(data::read_npz(output).at("y").equals(images.cast(DType::Int8)));
}

TEST_F(Run, UnknownKindOfInputIsRefused) {
  write_text(folder.path("x.csv"), "1,2,3\n");
  const auto outcome = run({"--input", folder.path("x.csv")});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find(".npz"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace espquant::test
