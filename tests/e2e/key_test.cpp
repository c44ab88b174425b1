#include <gtest/gtest.h>

#include "base/file.h"
#include "data/npz.h"
#include "espdl/reader.h"
#include "tests/e2e/program.h"

namespace espquant::test {
namespace {

const std::string kDigits = "000102030405060708090A0b0c0d0e0f";

class Key : public testing::Test {
 protected:
  void SetUp() override {
    write_relu_model(folder.path("plain.espdl"));
    ASSERT_EQ(change("encrypt", "plain.espdl", "m.espdl").exit_code, 0);
  }

  Outcome change(const char* command, const char* in, const char* out,
                 const std::string& key = kDigits) {
    return run_program({command, folder.path(in), "--key", key, "--out", folder.path(out)});
  }

  TemporaryFolder folder;
};

TEST_F(Key, EncryptsAsTheWriterDoesAndDecryptsToTheSameBytes) {
  write_model_file(folder.path("written.espdl"),
                   espdl::read_model(read_file(folder.path("plain.espdl"))),
                   {.key = espdl::parse_key(kDigits)});
  EXPECT_EQ(read_file(folder.path("m.espdl")), read_file(folder.path("written.espdl")));
  ASSERT_EQ(change("decrypt", "m.espdl", "again.espdl").exit_code, 0);
  EXPECT_EQ(read_file(folder.path("again.espdl")), read_file(folder.path("plain.espdl")));
}

/// Every command that reads an .espdl, with what it needs beside the file.
std::vector<std::vector<std::string>> commands(TemporaryFolder& folder) {
  Tensor x(DType::Float32, {4, 3, 2, 2});
  write_arrays(folder.path("x.npz"), {{"x", x}});
  const std::string m = folder.path("m.espdl"), data = folder.path("x.npz");
  return {{"inspect", m},
          {"verify", m},
          {"check", m},
          {"run", m, "--input", data, "--out", folder.path("y.npz")},
          {"evaluate", m, "--data", data}};
}

TEST_F(Key, IsTakenByEveryCommandAsDigitsAndAsAFile) {
  write_text(folder.path("digits"), kDigits + "\n");
  std::string bytes;
  for (char c = 0; c < 16; ++c) bytes += c;
  write_text(folder.path("bytes"), bytes);
  for (auto command : commands(folder))
    for (const std::string& key : {kDigits, folder.path("digits"), folder.path("bytes")}) {
      auto words = command;
      words.insert(words.end(), {"--key", key});
      const auto outcome = run_program(words);
      EXPECT_EQ(outcome.exit_code, 0) << command[0] << ' ' << key << ": " << outcome.err;
    }
}

TEST_F(Key, AWrongOneIsNamedAsTheReason) {
  for (auto command : commands(folder)) {
    command.insert(command.end(), {"--key", "00000000000000000000000000000000"});
    expect_one_error(run_program(command), 1, "key does not open");
  }
}

TEST_F(Key, AMissingOneIsAskedFor) {
  for (const auto& command : commands(folder)) expect_one_error(run_program(command), 2, "--key");
}

TEST_F(Key, MistypedOnesAreRefusedAndNotRepeated) {
  for (const std::string& key : {kDigits.substr(1), kDigits.substr(1) + 'x'}) {
    const auto outcome = change("decrypt", "m.espdl", "out.espdl", key);
    expect_one_error(outcome, 2, "32 hexadecimal digits");
    EXPECT_EQ(outcome.err.find(key), std::string::npos) << outcome.err;
  }
  write_text(folder.path("short"), "0001");
  expect_one_error(change("decrypt", "m.espdl", "out.espdl", folder.path("short")), 2, "short");
}

TEST_F(Key, EncryptingTwiceOverTheInputOrRubbishIsRefused) {
  expect_one_error(change("encrypt", "m.espdl", "twice.espdl"), 2, "encrypted already");
  expect_one_error(change("decrypt", "plain.espdl", "out.espdl"), 2, "not encrypted");
  expect_one_error(change("encrypt", "plain.espdl", "plain.espdl"), 2, "replace the input");
  write_text(folder.path("text.espdl"), "EDL3, or so");
  expect_one_error(change("encrypt", "text.espdl", "out.espdl"), 1, "text.espdl");
  EXPECT_FALSE(std::filesystem::exists(folder.path("out.espdl")));
}

}  // namespace
}  // namespace espquant::test
