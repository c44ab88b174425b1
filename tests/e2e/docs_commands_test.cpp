#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <regex>
#include <span>
#include <string>
#include <vector>

#include "tests/data/image_fixtures.h"
#include "tests/e2e/printed_commands.h"
#include "tests/e2e/program.h"
#include "tests/support/source_dir.h"

/// Every command that a page prints is run, in the order of the page, and says what the page says.
namespace espquant::test {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = source_dir();

/// Translations have the commands of their originals.
bool is_translation(const fs::path& page) { return page.stem().string().ends_with("_cn"); }

std::vector<std::string> names_of_pages() {
  std::vector<std::string> names{"README.md"};
  for (const auto& entry : fs::directory_iterator(kSource / "docs"))
    if (entry.path().extension() == ".md" && !is_translation(entry.path()) &&
        !printed_commands(entry.path()).empty())
      names.push_back("docs/" + entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// A network that neither the project nor the page makes: nothing can be run with it.
bool names_a_strangers_network(const std::string& command, const fs::path& folder) {
  static const std::regex kNetwork("[^ ]+\\.onnx");
  for (std::sregex_iterator it(command.begin(), command.end(), kNetwork), end; it != end; ++it)
    if (!fs::exists(folder / it->str())) return true;
  return false;
}

/// A folder in which the names that pages use stand for the bundled network and its data.
class PrintedCommands : public testing::TestWithParam<std::string> {
 protected:
  PrintedCommands() {
    link(kSource / "examples", "examples");
    link(ESPQUANT_PROGRAM, "bin/espquant");
    link(kSource / "examples/gesture/gesture.onnx", "model.onnx");
    for (const char* name : {"calib.npz", "test.npz"})
      link(kSource / "examples/gesture" / name, name);
    write_bytes("hand.png", data::fixtures::kPngRgb);
    write_bytes("images/1.png", data::fixtures::kPngRgb);
    write_bytes("images/2.png", data::fixtures::kPngGray16);
    write_text(folder.path("key.bin"), "0123456789abcdef");
  }

  void link(const fs::path& from, const std::string& name) {
    fs::create_directories(fs::path(folder.path(name)).parent_path());
    fs::create_symlink(from, folder.path(name));
  }
  void write_bytes(const std::string& name, std::span<const std::uint8_t> bytes) {
    fs::create_directories(fs::path(folder.path(name)).parent_path());
    write_text(folder.path(name), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  Outcome shell(const std::string& command) {
    return run_shell(
        fmt::format("cd '{}' && export PATH=\"$PWD/bin:$PATH\" && {}", folder.path("."), command));
  }
  /// What a page takes for granted.
  void make(const std::string& name) {
    if (fs::exists(folder.path(name))) return;
    const auto quantize = [&](const std::string& more) {
      const Outcome made = shell(
          "espquant quantize model.onnx --calib calib.npz --name gesture --out made --quiet " +
          more);
      ASSERT_EQ(made.exit_code, 0) << made.err;
    };
    if (name == "demo/gesture_int8/gesture_int8.espdl") {
      quantize("");
      fs::create_directories(folder.path("demo"));
      fs::rename(folder.path("made/gesture_int8"), folder.path("demo/gesture_int8"));
    } else if (name == "model.espdl" || name == "gesture.espdl") {
      quantize("");
      fs::copy(folder.path("made/gesture_int8/gesture_int8.espdl"), folder.path(name));
    } else if (name == "gesture_w8a16.espdl") {
      quantize("--recipe w8a16");
      fs::copy(folder.path("made/gesture_w8a16/gesture_w8a16.espdl"), folder.path(name));
    }
  }

  TemporaryFolder folder;
};

TEST_P(PrintedCommands, DoWhatThePageSays) {
  for (const PrintedCommand& command : printed_commands(kSource / GetParam())) {
    SCOPED_TRACE(fmt::format("{}:{}: {}", GetParam(), command.line, command.text));
    for (const char* name : {"demo/gesture_int8/gesture_int8.espdl", "model.espdl", "gesture.espdl",
                             "gesture_w8a16.espdl"})
      if (command.text.find(std::string(" ") + name) != std::string::npos) make(name);
    if (names_a_strangers_network(command.text, folder.path("."))) continue;
    const Outcome outcome = shell(command.text + " 2>&1");
    const bool refused =
        std::any_of(command.output.begin(), command.output.end(), [](const std::string& line) {
          return line.starts_with("espquant: error") || line.find(" defect") != std::string::npos;
        });
    EXPECT_LE(outcome.exit_code, refused ? 2 : 0) << outcome.out;
    const std::string difference = first_difference(command.output, outcome.out);
    EXPECT_EQ(difference, "") << outcome.out;
  }
}

std::vector<fs::path> translations() {
  std::vector<fs::path> pages;
  for (const fs::path& folder : {kSource, kSource / "docs"})
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".md" && is_translation(entry.path()))
        pages.push_back(entry.path());
  return pages;
}

TEST(TranslatedPages, PrintTheCommandsOfTheOriginalAndWhatComesOut) {
  const auto printed = [](const fs::path& page, bool output) {
    std::vector<std::string> lines;
    for (const PrintedCommand& command : printed_commands(page)) {
      lines.push_back(command.text.substr(0, command.text.find("  #")));
      if (output) lines.insert(lines.end(), command.output.begin(), command.output.end());
    }
    return lines;
  };
  ASSERT_FALSE(translations().empty());
  for (const fs::path& page : translations()) {
    const std::string stem = page.stem().string();
    const fs::path original =
        page.parent_path() / (stem.substr(0, stem.size() - std::string("_cn").size()) + ".md");
    ASSERT_FALSE(printed(original, false).empty()) << original;
    // The README leaves out what comes out.
    const bool output = page.filename() != "README_cn.md";
    EXPECT_EQ(printed(page, output), printed(original, output)) << page;
  }
}

INSTANTIATE_TEST_SUITE_P(Page, PrintedCommands, testing::ValuesIn(names_of_pages()),
                         [](const auto& page) {
                           std::string name = page.param;
                           std::replace_if(
                               name.begin(), name.end(),
                               [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });

TEST(FirstDifference, TakesNumbersThatAreNearAndBlanksAsOne) {
  EXPECT_EQ(first_difference({"noise  0.154 %, RAM 70.8 KiB"}, "noise 0.16 %, RAM  71.0 KiB\n"),
            "");
  EXPECT_NE(first_difference({"noise 0.154 %"}, "noise 0.4 %\n"), "");
  EXPECT_NE(first_difference({"noise 0.154 %"}, "nose 0.154 %\n"), "");
  EXPECT_EQ(first_difference({"a", "...", "b"}, "a\nx\ny\nb\n"), "");
  EXPECT_NE(first_difference({"a", "b"}, "a\nx\nb\n"), "");
  EXPECT_NE(first_difference({"a", "b"}, "a\n"), "");
  EXPECT_EQ(first_difference({"File: 70 KiB (filters ..."}, "File: 71 KiB (filters 1, b 2)"), "");
  EXPECT_EQ(first_difference({"36,688 bytes"}, "36,690 bytes"), "");
}

}  // namespace
}  // namespace espquant::test
