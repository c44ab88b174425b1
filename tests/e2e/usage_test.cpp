#include <gtest/gtest.h>

#include <sstream>

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

TEST(Usage, HelpIsACommandToo) {
  EXPECT_EQ(run_program({"help"}).out, run_program({"--help"}).out);
  EXPECT_EQ(run_program({"help", "run"}).out, run_program({"run", "--help"}).out);
  EXPECT_EQ(run_program({"-V"}).out, run_program({"--version"}).out);
}

TEST(Usage, HelpOfACommandHasTheOptionsOfAll) {
  EXPECT_NE(run_program({"package", "pack", "--help"}).out.find("--threads"), std::string::npos);
}

TEST(Usage, HelpHasNoLineBeyond100Characters) {
  for (const char* command : {"quantize", "run", "inspect", "package"}) {
    std::istringstream help(run_program({command, "--help"}).out);
    for (std::string line; std::getline(help, line);) EXPECT_LE(line.size(), 100U) << line;
  }
}

TEST(Usage, UnknownCommandGetsTheNearest) {
  expect_one_error(run_program({"quantise"}), 2, "'quantize'? See espquant --help");
  expect_one_error(run_program({"quantise", "--help"}), 2, "'quantize'");
  expect_one_error(run_program({"--threads", "1", "quantise"}), 2, "'quantize'");
}

TEST(Usage, UnknownOptionGetsTheNearestOfItsCommand) {
  expect_one_error(run_program({"quantize", "m.onnx", "--traget", "esp32s3"}), 2,
                   "'--traget'. Did you mean '--target'? See espquant quantize --help");
  expect_one_error(run_program({"package", "pack", "a.espdl", "--formaat=pdl1"}), 2,
                   "'--format'? See espquant package pack --help");
  expect_one_error(run_program({"--verison"}), 2, "'--version'");
}

TEST(Usage, NumbersAndWordsAreNamedWithWhatIsExpected) {
  expect_one_error(run_program({"quantize", "m.onnx", "--calib", "x", "--calib-count", "0"}), 2,
                   "--calib-count: '0' is no whole number from 1 on");
  expect_one_error(run_program({"analyze", "m.onnx", "--sort", "acumulated"}), 2,
                   "Did you mean 'accumulated'?");
}

TEST(Usage, AFileMayFollowAssignments) {
  expect_one_error(run_program({"quantize", "--calib", "x", "--preprocess", "mean=.5", "std=.5",
                                "/nowhere/m.onnx"}),
                   1, "/nowhere/m.onnx");
}

TEST(Usage, SpellingsOfEarlierVersionsAreUnderstood) {
  expect_one_error(
      run_program({"compare", "/nowhere/m.onnx", "--calib", "x", "--test=y", "--recipes", "int8"}),
      1, "/nowhere/m.onnx");
  expect_one_error(run_program({"run", "/nowhere/m.espdl", "--input", "x", "--output", "y.npz"}), 1,
                   "/nowhere/m.espdl");
}

TEST(Usage, NamesOfFilesStayInTheFolder) {
  for (const char* name : {"../x", "a/b", "..", ""})
    expect_one_error(run_program({"quantize", "m.onnx", "--calib", "x", "--name", name}), 2,
                     "--name");
}

TEST(Usage, MoreThreadsThanCoresAreNothingToSpeakOf) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  EXPECT_EQ(run_program({"--threads", "64", "verify", folder.path("m.espdl")}).err, "");
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
                                "--out", folder.path("file/out.npz")}),
                   1, "file");
  EXPECT_EQ(folder.entries(), before);
}

TEST(MaxMemory, EndsARunThatWantsMore) {
  if (std::string(ESPQUANT_SANITIZE) != "")
    GTEST_SKIP() << "a sanitizer takes more memory than the limit";
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  write_arrays(folder.path("x.npz"), {{"x", Tensor(DType::Float32, {1'000'000, 3, 2, 2})}});
  const std::vector<std::string> run = {
      "run",   folder.path("m.espdl"), "--input",     folder.path("x.npz"),
      "--out", folder.path("y.npz"),   "--max-memory"};
  auto limited = run;
  limited.push_back("64MB");
  expect_one_error(run_program(limited), 1, "more memory than the 64 MiB of --max-memory");
  EXPECT_EQ(folder.entries(), (std::vector<std::string>{"m.espdl", "x.npz"}));
}

TEST(MaxMemory, RefusesWhatTheProgramItselfNeeds) {
  expect_one_error(run_program({"--max-memory", "1MB", "recipes"}), 2, "--max-memory of 1 MiB");
}

}  // namespace
}  // namespace espquant::test
