#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "tests/data/image_fixtures.h"
#include "tests/e2e/program.h"
#include "tests/support/source_dir.h"

/// The examples of every --help, as docs/commands.md holds them, are commands that do their work.
namespace espquant::test {
namespace {

namespace fs = std::filesystem;

/// Each once: the commands below `package` show the same ones.
std::vector<std::string> help_examples() {
  std::vector<std::string> examples;
  std::ifstream page(source_dir() / "docs/commands.md");
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("      espquant ")) continue;
    const std::string example = line.substr(6);
    if (std::ranges::find(examples, example) == examples.end()) examples.push_back(example);
  }
  return examples;
}

/// Of a model with inputs of these names, or of what somebody's board printed.
bool is_of_something_else(const std::string& example) {
  return std::ranges::any_of(
      std::array{"audio=", "recorded.npz", "profile.txt", "board.toml", "--port"},
      [&](const char* name) { return example.find(name) != example.npos; });
}

std::string command_of(const std::string& example) {
  const std::size_t begin = example.find(' ') + 1;
  return example.substr(begin, example.find(' ', begin) - begin);
}

std::vector<std::string> commands_with_examples() {
  std::vector<std::string> commands;
  for (const std::string& example : help_examples())
    if (const std::string command = command_of(example);
        !is_of_something_else(example) && std::ranges::find(commands, command) == commands.end())
      commands.push_back(command);
  return commands;
}

class HelpExamples : public testing::TestWithParam<std::string> {
 protected:
  HelpExamples() {
    const fs::path gesture = source_dir() / "examples/gesture";
    fs::create_directories(folder.path("bin"));
    fs::create_symlink(ESPQUANT_PROGRAM, folder.path("bin/espquant"));
    fs::create_symlink(gesture / "gesture.onnx", folder.path("model.onnx"));
    for (const char* name : {"calib.npz", "test.npz"})
      fs::create_symlink(gesture / name, folder.path(name));
    fs::create_directories(folder.path("images"));
    std::vector<std::string> pictures{"photo.jpg", "hand.jpg"};
    for (int i = 1; i <= 16; ++i) pictures.push_back(fmt::format("images/{}.png", i));
    for (const std::string& name : pictures)
      write_text(folder.path(name),
                 {reinterpret_cast<const char*>(std::data(data::fixtures::kPngRgb)),
                  std::size(data::fixtures::kPngRgb)});
    write_text(folder.path("key.bin"), "0123456789abcdef");
    EXPECT_EQ(
        shell("espquant quantize model.onnx --calib calib.npz --quiet --name model --out made")
            .exit_code,
        0);
    for (const char* name : {"model.espdl", "faster.espdl", "cat.espdl", "dog.espdl"})
      fs::copy(folder.path("made/model_int8/model_int8.espdl"), folder.path(name));
    EXPECT_EQ(shell("espquant package pack cat.espdl dog.espdl --out models.pdl").exit_code, 0);
    EXPECT_EQ(
        shell("espquant recipes int8 | sed 's/^name = .*/name = \"mine\"/' > mine.toml").exit_code,
        0);
  }

  Outcome shell(const std::string& command) {
    return run_shell(
        fmt::format("cd '{}' && export PATH=\"$PWD/bin:$PATH\" && {}", folder.path("."), command));
  }

  TemporaryFolder folder;
};

TEST_P(HelpExamples, DoTheirWork) {
  for (const std::string& example : help_examples()) {
    if (command_of(example) != GetParam() || is_of_something_else(example)) continue;
    SCOPED_TRACE(example);
    if (GetParam() == "decrypt")
      shell("espquant encrypt cat.espdl --key key.bin --out model.espdl");
    const Outcome outcome = shell(example + " 2>&1");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
    fs::remove_all(folder.path("firmware"));
  }
}

INSTANTIATE_TEST_SUITE_P(Of, HelpExamples, testing::ValuesIn(commands_with_examples()));

TEST(CommandsWithExamples, AreMostOfAll) { EXPECT_GT(commands_with_examples().size(), 15U); }

}  // namespace
}  // namespace espquant::test
