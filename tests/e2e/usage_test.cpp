#include <gtest/gtest.h>

#include "tests/e2e/program.h"

namespace espquant::test {
namespace {

TEST(Usage, HelpShowsExamples) {
  const auto outcome = run_program({"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.out.find("Examples:"), std::string::npos);
  EXPECT_NE(run_program({"run", "--help"}).out.find("Examples:"), std::string::npos);
}

TEST(Usage, VersionNamesTheProgram) {
  const auto outcome = run_program({"--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_TRUE(outcome.out.starts_with("espquant "));
}

TEST(Usage, ACommandIsRequired) { EXPECT_EQ(run_program({}).exit_code, 2); }

TEST(Usage, UnknownOptionIsNamed) {
  const TemporaryFolder folder;
  write_untested_model(folder.path("m.espdl"));
  expect_one_error(run_program({"inspect", folder.path("m.espdl"), "--colour"}), 2, "--colour");
}

TEST(Usage, UnknownTargetIsCorrected) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  expect_one_error(run_program({"verify", folder.path("m.espdl"), "--target", "esp32s33"}), 2,
                   "esp32s3");
}

TEST(Usage, ThreadsMustBePositive) {
  expect_one_error(run_program({"inspect", "m.espdl", "--threads", "0"}), 2, "--threads");
}

TEST(Usage, UnknownChoiceIsNamed) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  expect_one_error(run_program({"verify", folder.path("m.espdl"), "--kernels", "slow"}), 2,
                   "reference");
}

TEST(BadFiles, MissingFileIsNamed) {
  for (const char* name : {"/nowhere/m.espdl", "/nowhere/m.onnx"})
    expect_one_error(run_program({"inspect", name}), 1, name);
}

TEST(BadFiles, TextIsNoEspdl) {
  const TemporaryFolder folder;
  write_text(folder.path("m.espdl"), "This is a text, not a model.\n");
  for (const char* command : {"inspect", "verify"})
    expect_one_error(run_program({command, folder.path("m.espdl")}), 1, "m.espdl");
}

TEST(BadFiles, TruncatedOnnxIsRefused) {
  const TemporaryFolder folder;
  // ir_version 8, then a graph field that promises 100 bytes and ends after 3.
  write_text(folder.path("m.onnx"), std::string("\x08\x08\x3a\x64\x0a\x01\x61", 7));
  expect_one_error(run_program({"inspect", folder.path("m.onnx")}), 1, "m.onnx");
}

TEST(BadFiles, TruncatedEspdlIsRefused) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  std::filesystem::resize_file(folder.path("m.espdl"),
                               std::filesystem::file_size(folder.path("m.espdl")) / 2);
  expect_one_error(run_program({"inspect", folder.path("m.espdl")}), 1, "m.espdl");
}

TEST(BadFiles, UnwritableOutputLeavesNothing) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  write_text(folder.path("file"), "not a folder");
  write_arrays(folder.path("x.npz"), {{"x", Tensor(DType::Int8, {1, 2, 2, 3})}});
  const auto before = folder.entries();
  expect_one_error(run_program({"run", folder.path("m.espdl"), "--input", folder.path("x.npz"),
                                "--output", folder.path("file/out.npz")}),
                   1, "file");
  EXPECT_EQ(folder.entries(), before);
}

}  // namespace
}  // namespace espquant::test
