#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/e2e/onnx_bytes.h"
#include "tests/e2e/program.h"

/// --input-shape, --inputs and --outputs, and what the program finds out by itself.
namespace espquant::test {
namespace {

std::string onnx_node(const std::string& op, const std::vector<std::string>& inputs,
                      const std::string& output) {
  std::string node;
  for (const std::string& input : inputs) node += bytes_field(1, input);
  return bytes_field(1, node + bytes_field(2, output) + bytes_field(3, op) + bytes_field(4, op));
}

/// a = Relu(x), b = Tanh(a), c = ArgMax(b), d = Exp(w): outputs b, c and d; x of shape 1x4, or open
/// where an extent is 0.
std::string onnx_with_tail(const std::vector<std::uint64_t>& shape = {1, 4}) {
  const std::string w = number_field(1, 1) + number_field(2, 1) + bytes_field(8, "w") +
                        bytes_field(9, float_bytes({2}));
  const std::string graph =
      onnx_node("Relu", {"x"}, "a") + onnx_node("Tanh", {"a"}, "b") +
      onnx_node("ArgMax", {"b"}, "c") + onnx_node("Exp", {"w"}, "d") + bytes_field(2, "g") +
      bytes_field(5, w) + bytes_field(11, onnx_value("x", shape)) +
      bytes_field(12, onnx_value("b", {1, 4})) + bytes_field(12, onnx_value("c", {1, 4})) +
      bytes_field(12, onnx_value("d", {1}));
  return number_field(1, 8) + bytes_field(7, graph) + bytes_field(8, number_field(2, 17));
}

/// y = MatMul(x, w), c = ArgMax(y).
std::string onnx_with_weights() {
  const std::string w = number_field(1, 4) + number_field(1, 3) + number_field(2, 1) +
                        bytes_field(8, "w") +
                        bytes_field(9, float_bytes(std::vector<float>(12, 1)));
  const std::string graph = onnx_node("MatMul", {"x", "w"}, "y") + onnx_node("ArgMax", {"y"}, "c") +
                            bytes_field(2, "g") + bytes_field(5, w) +
                            bytes_field(11, onnx_value("x", {1, 4})) +
                            bytes_field(12, onnx_value("c", {1, 3}));
  return number_field(1, 8) + bytes_field(7, graph) + bytes_field(8, number_field(2, 17));
}

class NetworkOptions : public testing::Test {
 protected:
  NetworkOptions() {
    write_text(model, onnx_with_tail());
    write_text(open, onnx_with_tail({1, 0}));
    write_text(weighted, onnx_with_weights());
    Tensor x(DType::Float32, {8, 4});
    for (std::size_t i = 0; i < 32; ++i)
      x.mutable_data<float>()[i] = static_cast<float>(i % 7) - 3.F;
    write_arrays(data, {{"x", x}, {"a", x}});
  }

  Outcome quantize(const std::string& network, std::vector<std::string> more) const {
    std::vector<std::string> arguments{"quantize", network, "--calib", data, "--out", out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }

  nlohmann::json inspect(const std::string& file, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"inspect", file, "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run_program(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out, nullptr, false);
  }

  TemporaryFolder folder;
  const std::string model = folder.path("m.onnx"), open = folder.path("open.onnx"),
                    weighted = folder.path("w.onnx"), data = folder.path("x.npz"),
                    out = folder.path("out"), espdl = out + "/m_int8/m_int8.espdl";
};

TEST_F(NetworkOptions, OutputsCutTheTailOff) {
  const Outcome refused = quantize(model, {});
  EXPECT_EQ(refused.exit_code, 1);
  const Outcome outcome = quantize(model, {"--outputs", "b"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto made = inspect(espdl);
  ASSERT_EQ(made["outputs"].size(), 1U);
  EXPECT_EQ(made["outputs"][0]["name"], "b");
}

TEST_F(NetworkOptions, ATailIsCutOffByItself) {
  const Outcome outcome = quantize(weighted, {"--cut-tail", "--name", "m"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("--outputs y"), std::string::npos) << outcome.err;
  EXPECT_EQ(inspect(espdl)["outputs"][0]["name"], "y");
}

TEST_F(NetworkOptions, CheckShowsEachNodeAndTheCut) {
  const Outcome outcome = run_program({"check", weighted, "--target", "esp32p4"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  for (const char* part : {"MatMul", "becomes Gemm", "ArgMax", "unsupported", "8 bits",
                           "    --outputs y\n", "esp32p4"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << " in\n" << outcome.out;
  const auto json = nlohmann::json::parse(run_program({"check", weighted, "--json"}).out);
  EXPECT_EQ(json["passed"], false);
  EXPECT_EQ(json["macs"], 12);
  EXPECT_EQ(json["nodes"][1]["verdict"], "unsupported");
  EXPECT_FALSE(json["nodes"][1]["remedy"].get<std::string>().empty());
  EXPECT_EQ(json["costs"].size(), 2U);
  EXPECT_EQ(json["cut"]["option"], "--outputs y");
}

TEST_F(NetworkOptions, CheckPassesWhatTheChipCanRun) {
  const Outcome outcome = run_program({"check", weighted, "--outputs", "y"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  expect_one_error(run_program({"check", open}), 1, "--input-shape x=1,?");
  expect_one_error(run_program({"check", weighted, "--key", "00"}), 2, "--key");
}

TEST_F(NetworkOptions, CheckListsOperators) {
  const Outcome listed = run_program({"check", "--list", "--target", "esp32p4"});
  EXPECT_EQ(listed.exit_code, 0) << listed.err;
  for (const char* part : {"Conv", "not there", "TopK", "esp32p4"})
    EXPECT_NE(listed.out.find(part), std::string::npos) << part;
  const auto json = nlohmann::json::parse(run_program({"check", "--list", "--json"}).out);
  EXPECT_EQ(json["operators"][0]["way"], "chip");
  expect_one_error(run_program({"check"}), 2, "FILE");
}

TEST_F(NetworkOptions, InputsCutTheHeadOff) {
  const Outcome outcome = quantize(model, {"--inputs", "a", "--outputs", "Tanh"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto made = inspect(espdl);
  EXPECT_EQ(made["inputs"][0]["name"], "a");
}

TEST_F(NetworkOptions, ConstantOutputsAreLeftOutWithANote) {
  const Outcome outcome = quantize(model, {"--outputs", "b,d"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("the output 'd'"), std::string::npos) << outcome.err;
  EXPECT_EQ(inspect(espdl)["outputs"].size(), 1U);
}

TEST_F(NetworkOptions, AFloatNetworkBesideAnEspdlIsCutAsThatIs) {
  ASSERT_EQ(quantize(model, {"--outputs", "b"}).exit_code, 0);
  const Outcome outcome =
      run_program({"evaluate", espdl, "--data", data, "--reference", model, "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_LT(nlohmann::json::parse(outcome.out)["noise_to_signal"], 0.01);
}

TEST_F(NetworkOptions, OpenExtentsAreShownAsking) {
  EXPECT_TRUE(inspect(open)["inputs"][0]["shape"][1].is_null());
  EXPECT_EQ(inspect(open, {"--input-shape", "x=1,6"})["inputs"][0]["shape"][1], 6);
  EXPECT_EQ(inspect(open, {"--input-shape", "1x6"})["inputs"][0]["shape"][1], 6);
  expect_one_error(run_program({"inspect", open, "--simplified", "--outputs", "b"}), 1,
                   "--input-shape x=1,?");
}

TEST_F(NetworkOptions, OpenExtentsAreTakenFromTheData) {
  const Outcome outcome = quantize(open, {"--outputs", "b", "--name", "m"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("input 'x' is 1x4"), std::string::npos) << outcome.err;
  const Outcome evaluated = run_program({"evaluate", espdl, "--data", data, "--reference", open});
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
}

TEST_F(NetworkOptions, NonsenseIsWrongUsage) {
  expect_one_error(run_program({"inspect", open, "--input-shape", "x=1,b"}), 2, "NAME=1,3,224,224");
  expect_one_error(run_program({"inspect", open, "--input-shape", "y=1,4"}), 2, "'x'");
  expect_one_error(run_program({"inspect", model, "--outputs", "bb"}), 2, "Did you mean");
}

}  // namespace
}  // namespace espquant::test
