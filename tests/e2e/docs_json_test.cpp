#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/e2e/json_page.h"
#include "tests/e2e/program.h"
#include "tests/support/source_dir.h"

/// docs/json.md names every field that commands print, and docs/commands.md every option.
namespace espquant::test {
namespace {

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
       {"shrink", onnx, "--calib", calib, "--calib-count", "32", "--latency", "-30%", "--prune",
        "30%", "--steps", "4", "--out", out}},
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
  // One more is held to a board, in project_test.cpp.
  EXPECT_EQ(documented_fields().size(), commands.size() + 1)
      << "a section of the page is not tested";
  for (auto [section, command] : commands) {
    SCOPED_TRACE(section);
    command.emplace_back("--json");
    expect_documented(nlohmann::json::parse(run_program(command).out), section);
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
