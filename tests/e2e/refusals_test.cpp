#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "base/file.h"
#include "tests/e2e/onnx_bytes.h"
#include "tests/e2e/program.h"

/// Whatever is wrong with a file: one message, exit code 1, and nothing written.
namespace espquant::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class Refused : public testing::Test {
 protected:
  /// The command is refused with a message that holds `part`, and leaves the folder as it was.
  void expect_refused(const std::vector<std::string>& command, const std::string& part) {
    SCOPED_TRACE(testing::PrintToString(command));
    const auto before = folder.entries();
    expect_one_error(run_program(command), 1, part);
    EXPECT_EQ(folder.entries(), before);
  }

  TemporaryFolder folder;
  const std::string model = folder.path("m.espdl"), out = folder.path("out"),
                    data = folder.path("x.npz");
};

class RefusedEspdl : public Refused {
 protected:
  void SetUp() override {
    write_arrays(data, {{"x", Tensor(DType::Float32, {2, 3, 2, 2})}});
    const std::string key = "000102030405060708090a0b0c0d0e0f";
    commands = {{"inspect", model},
                {"verify", model},
                {"check", model},
                {"run", model, "--input", data, "--out", out + "/y.npz"},
                {"evaluate", model, "--data", data},
                {"encrypt", model, "--key", key, "--out", out},
                {"package", "pack", model, "--out", out},
                {"package", "list", model},
                {"package", "extract", model, "--out", out}};
  }

  std::vector<std::vector<std::string>> commands;
};

TEST_F(RefusedEspdl, AText) {
  write_text(model, "This is a text, not a model.\n");
  for (const auto& command : commands) expect_refused(command, "m.espdl");
}

TEST_F(RefusedEspdl, Nothing) {
  write_text(model, "");
  for (const auto& command : commands) expect_refused(command, "m.espdl");
}

TEST_F(RefusedEspdl, CutOff) {
  for (const std::uintmax_t part : {1, 2, 8}) {
    write_relu_model(model);
    std::filesystem::resize_file(model, std::filesystem::file_size(model) * part / 9);
    for (const auto& command : commands) expect_refused(command, "m.espdl");
  }
}

TEST_F(RefusedEspdl, ANetworkIsToBeQuantizedFirst) {
  const std::string network = folder.path("net.onnx");
  write_text(network, onnx_model("Conv", {1, 2, 3, 4}));
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"verify", network}, {"evaluate", network, "--data", data}})
    expect_refused(command, "Quantize it first");
}

TEST_F(RefusedEspdl, AFolder) {
  std::filesystem::create_directory(model);
  for (const auto& command : commands) expect_refused(command, "m.espdl");
}

class RefusedOutput : public Refused {
 protected:
  void SetUp() override {
    write_relu_model(model);
    write_arrays(data, {{"x", Tensor(DType::Float32, {2, 3, 2, 2})}});
    write_text(folder.path("file"), "no folder");
    write_text(folder.path("net.onnx"), onnx_model("Conv", {1, 2, 3, 4}));
    write_arrays(folder.path("calib.npz"), {{"x", Tensor(DType::Float32, {4, 2, 4, 4})}});
    ASSERT_EQ(run_program({"package", "pack", model, "--out", packed}).exit_code, 0);
  }

  /// Commands that write below `folder`.
  std::vector<std::vector<std::string>> writers(const std::string& into) const {
    const std::string key = "000102030405060708090a0b0c0d0e0f";
    return {
        {"run", model, "--input", data, "--out", into + "/y.npz"},
        {"encrypt", model, "--key", key, "--out", into + "/e.espdl"},
        {"package", "pack", model, "--out", into + "/p.pdl"},
        {"package", "extract", packed, "--out", into},
        {"quantize", folder.path("net.onnx"), "--calib", folder.path("calib.npz"), "--out", into}};
  }

  const std::string packed = folder.path("p.pdl");
};

TEST_F(RefusedOutput, AFileInPlaceOfTheFolder) {
  for (const auto& command : writers(folder.path("file"))) expect_refused(command, "file");
}

TEST_F(RefusedOutput, AFolderWithoutPermission) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const std::string locked = folder.path("locked");
  std::filesystem::create_directory(locked);
  std::filesystem::permissions(
      locked, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  for (const auto& command : writers(locked)) expect_refused(command, "locked");
}

TEST_F(RefusedOutput, ADiskThatIsFull) {
  // A limit on the size of files, which a write meets as it meets a full disk.
  Tensor noise(DType::Float32, {200, 3, 2, 2});
  for (std::size_t i = 0; i < 2400; ++i)
    noise.mutable_data<float>()[i] = std::sin(static_cast<float>(i * i));
  write_arrays(data, {{"x", noise}});
  for (const auto& command : writers(out)) {
    if (command[0] == "encrypt" || command[0] == "package") continue;  // too small to meet it
    SCOPED_TRACE(command[0]);
    const auto before = folder.entries();
    const auto outcome = run_with_file_limit(command);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(outcome.err.find("cannot write it"), std::string::npos) << outcome.err;
    EXPECT_EQ(folder.entries(), before);
  }
}

TEST_F(RefusedOutput, AStandardOutputThatIsFull) {
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"inspect", model}, {"check", model}, {"verify", model}, {"package", "list", packed}}) {
    const auto outcome = run_with_full_output(command);
    EXPECT_EQ(outcome.exit_code, 1) << command[0];
    EXPECT_NE(outcome.err.find("standard output"), std::string::npos) << outcome.err;
  }
}

class RefusedNetwork : public Refused {
 protected:
  void SetUp() override { write_arrays(data, {{"x", Tensor(DType::Float32, {4, 2, 4, 4})}}); }

  void expect_refused_network(const std::string& bytes, const std::string& part) {
    write_text(network, bytes);
    expect_refused({"quantize", network, "--calib", data, "--out", out}, part);
  }
  void expect_refused_data(const Tensor& x, const std::string& part) {
    write_text(network, onnx_model("Conv", {1, 2, 3, 4}));
    write_arrays(data, {{"x", x}});
    expect_refused({"quantize", network, "--calib", data, "--out", out}, part);
  }

  const std::string network = folder.path("net.onnx");
};

TEST_F(RefusedNetwork, TheSoundOneIsQuantized) {
  write_text(network, onnx_model("Conv", {1, 2, 3, 4}));
  const auto outcome = run_program({"quantize", network, "--calib", data, "--out", out});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(RefusedNetwork, ABatchThatItFixesIsNoReason) {
  write_text(network, onnx_model("Conv", {1, 2, 3, 4}, 3));
  const auto made = run_program({"quantize", network, "--calib", data, "--out", out});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_NE(made.err.find("batch of 3"), std::string::npos) << made.err;
  const auto measured = run_program(
      {"evaluate", out + "/net_int8/net_int8.espdl", "--data", data, "--reference", network});
  EXPECT_EQ(measured.exit_code, 0) << measured.err;
  write_arrays(data, {{"x", Tensor(DType::Float32, {5, 3, 2, 4, 4})}});
  expect_refused({"quantize", network, "--calib", data, "--out", folder.path("other")},
                 "a batch of 3");
}

TEST_F(RefusedNetwork, CutOff) {
  const std::string whole = onnx_model("Conv", {1, 2, 3, 4});
  for (const std::size_t length : {whole.size() - 1, whole.size() / 2, std::size_t{5}})
    expect_refused_network(whole.substr(0, length), "net.onnx");
}

TEST_F(RefusedNetwork, WithAnUnknownOperator) {
  expect_refused_network(onnx_model("Frobnicate", {1, 2, 3, 4}), "Frobnicate");
  const auto outcome = run_program({"quantize", network, "--calib", data, "--out", out});
  EXPECT_NE(outcome.err.find("node 'the_node'"), std::string::npos) << outcome.err;
}

TEST_F(RefusedNetwork, WithWeightsThatAreNotFinite) {
  expect_refused_network(onnx_model("Conv", {1, kNan, 3, 4}), "'w'");
  expect_refused_network(onnx_model("Conv", {1, 2, INFINITY, 4}), "'w'");
}

TEST_F(RefusedNetwork, WithTooFewWeights) {
  expect_refused_network(onnx_model("Conv", {1, 2, 3}), "'w'");
}

TEST_F(RefusedNetwork, WithDataOfAnotherShape) {
  expect_refused_data(Tensor(DType::Float32, {4, 3, 4, 4}), "4x3x4x4");
  expect_refused_data(Tensor(DType::Float32, {4, 2, 4}), "4x2x4");
}

TEST_F(RefusedNetwork, WithDataThatAreNotFinite) {
  Tensor x(DType::Float32, {4, 2, 4, 4});
  x.mutable_data<float>()[70] = kNan;
  expect_refused_data(x, "sample 2");
}

TEST_F(RefusedNetwork, ThroughAPipe) {
  write_text(network, onnx_model("Conv", {1, 2, 3, 4}));
  for (const std::string command :
       {"quantize - --calib x.npz", "inspect /dev/stdin", "quantize net.onnx --calib /dev/stdin"}) {
    const auto outcome = run_shell("cd '" + folder.path(".") + "' && cat net.onnx | " +
                                   ESPQUANT_PROGRAM + " " + command);
    expect_one_error(outcome, 1, "is a pipe");
  }
}

TEST_F(RefusedNetwork, WithoutData) {
  expect_refused_data(Tensor(DType::Float32, {0, 2, 4, 4}), "x.npz");
  write_text(network, onnx_model("Conv", {1, 2, 3, 4}));
  expect_refused({"quantize", network, "--calib", folder.path("none.npz"), "--out", out},
                 "none.npz");
}

}  // namespace
}  // namespace espquant::test
