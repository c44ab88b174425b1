#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "tests/e2e/program.h"
#include "tests/support/source_dir.h"

/// docs/json.md names every field that commands print, and docs/commands.md every option.
namespace espquant::test {
namespace {

using Fields = std::set<std::string>;

/// Sections of the page, each with the fields of its table.
std::map<std::string, Fields> documented_fields() {
  std::map<std::string, Fields> sections;
  std::ifstream page(source_dir() / "docs/json.md");
  Fields* section = nullptr;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) section = &sections[line.substr(3)];
    if (section == nullptr || !line.starts_with("| `")) continue;
    const std::string cell = line.substr(0, line.find(" | ", 2));
    static const std::regex kField("`([^`]+)`");
    for (std::sregex_iterator it(cell.begin(), cell.end(), kField), end; it != end; ++it)
      section->insert((*it)[1]);
  }
  return sections;
}

/// "layers[].name" of every value.
void add_fields(const nlohmann::json& json, const std::string& path, Fields& fields) {
  if (json.is_object()) {
    for (const auto& [key, value] : json.items())
      add_fields(value, path.empty() ? key : path + '.' + key, fields);
  } else if (json.is_array()) {
    for (const auto& value : json) add_fields(value, path + "[]", fields);
  } else {
    fields.insert(path);
  }
}

/// A pattern "a.*" stands for all below a.
bool is_documented(const std::string& field, const Fields& known) {
  return std::any_of(known.begin(), known.end(), [&](const std::string& pattern) {
    return pattern == field ||
           (pattern.ends_with(".*") && field.starts_with(pattern.substr(0, pattern.size() - 1)));
  });
}

TEST(DocsOfJson, NameEveryField) {
  const TemporaryFolder folder;
  const std::string example = (source_dir() / "examples/gesture/").string();
  const std::string onnx = example + "gesture.onnx", calib = example + "calib.npz",
                    data = example + "test.npz", out = folder.path("out"),
                    espdl = out + "/gesture_int8/gesture_int8.espdl",
                    package = folder.path("models.espdl");
  ASSERT_EQ(run_program({"quantize", onnx, "--calib", calib, "--calib-count", "16", "--out", out})
                .exit_code,
            0);
  ASSERT_EQ(run_program({"package", "pack", espdl, "--out", package}).exit_code, 0);
  const std::vector<std::pair<std::string, std::vector<std::string>>> commands = {
      {"quantize",
       {"quantize", onnx, "--calib", calib, "--calib-count", "16", "--data", data, "--count", "8",
        "--recipe", "mixed", "--set", "equalization.enabled=true", "--out", out}},
      {"shrink",
       {"shrink", onnx, "--calib", calib, "--calib-count", "32", "--latency", "-30%", "--steps",
        "4", "--out", out}},
      {"compare",
       {"compare", onnx, "--calib", calib, "--calib-count", "16", "--data", data, "--count", "8",
        "--recipe", "int8,int16", "--out", out}},
      {"tune",
       {"tune", onnx, "--calib", calib, "--calib-count", "16", "--data", data, "--count", "64",
        "--goal", "accuracy-drop<=1", "--trials", "3", "--out", folder.path("tuned")}},
      {"analyze of an .onnx", {"analyze", onnx, "--calib", calib, "--calib-count", "16"}},
      {"analyze of an .espdl",
       {"analyze", espdl, "--data", data, "--count", "4", "--reference", onnx}},
      {"evaluate", {"evaluate", espdl, "--data", data, "--count", "8", "--reference", onnx}},
      {"inspect of an .espdl", {"inspect", espdl}},
      {"inspect of an .onnx", {"inspect", onnx}},
      {"verify", {"verify", espdl}},
      {"check of an .espdl", {"check", espdl, "--target", "esp32p4"}},
      {"latency", {"latency", espdl}},
      {"optimize", {"optimize", espdl, "--espdl", "3.3.9", "--out", folder.path("faster.espdl")}},
      {"package list", {"package", "list", package}},
      {"run", {"run", espdl, "-i", data, "--count", "2", "--out", folder.path("scores.npz")}}};
  const auto documented = documented_fields();
  EXPECT_EQ(documented.size(), commands.size()) << "a section of the page is not tested";
  for (auto [section, command] : commands) {
    SCOPED_TRACE(section);
    ASSERT_TRUE(documented.contains(section));
    command.emplace_back("--json");
    Fields printed;
    add_fields(nlohmann::json::parse(run_program(command).out), "", printed);
    EXPECT_GT(printed.size(), 4U);
    for (const std::string& field : printed)
      EXPECT_TRUE(is_documented(field, documented.at(section))) << field << " is not in the page";
  }
}

TEST(DocsOfCommands, AreWhatHelpPrints) {
  const std::string root = source_dir().string();
  const Outcome page = run_shell(
      fmt::format("'{0}/scripts/commands_page.sh' '{1}' | diff -u '{0}/docs/commands.md' -", root,
                  ESPQUANT_PROGRAM));
  EXPECT_EQ(page.exit_code, 0)
      << "write it anew: scripts/commands_page.sh build/espquant > docs/commands.md\n"
      << page.out;
}

}  // namespace
}  // namespace espquant::test
