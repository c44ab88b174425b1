#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/e2e/program.h"
#include "tests/support/shared.h"
#include "tests/support/source_dir.h"

/// Projects of `espquant project`, built and run on the PC: CMake reads their files as ESP-IDF's
/// build would, and a stand-in of ESP-DL runs the simulator (tests/deploy/standin).
namespace espquant::test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Project : public testing::Test {
 protected:
  static void SetUpTestSuite() { shared_ = new TemporaryFolder; }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }

  /// The bundled network for a chip; quantized once.
  static std::string gesture(const std::string& chip) {
    const std::string path = shared_->path(fmt::format("{}/gesture_int8/gesture_int8.espdl", chip));
    if (!fs::exists(path)) {
      const fs::path example = source_dir() / "examples/gesture";
      const Outcome made = run_program({"quantize", (example / "gesture.onnx").string(), "--calib",
                                        (example / "calib.npz").string(), "--count", "16",
                                        "--target", chip, "--quiet", "--set",
                                        "quantization.reconstruct=false", "--out", shared_->path(chip)});
      EXPECT_EQ(made.exit_code, 0) << made.err;
    }
    return path;
  }
  static std::string test_data() { return (source_dir() / "examples/gesture/test.npz").string(); }

  void make(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "project");
    arguments.insert(arguments.end(), {"--out", firmware()});
    const Outcome made = run_program(arguments);
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  std::string firmware() const { return folder_.path("firmware"); }

  void build(const std::string& chip, const std::string& config = "") {
    const Outcome built = run_shell(fmt::format(
        "IDF_PATH='{}' IDF_TARGET={} STANDIN_LIBRARY='{}' cmake -G Ninja -S '{}' -B '{}' "
        "-DSTANDIN_CONFIG='{}' 2>&1 && ninja -C '{}' 2>&1",
        (source_dir() / "tests/deploy/standin/idf").string(), chip, ESPQUANT_STANDIN, firmware(),
        folder_.path("build"), config, folder_.path("build")));
    ASSERT_EQ(built.exit_code, 0) << built.out;
  }
  Outcome boot(const std::string& environment = "") const {
    return run_shell(fmt::format("{} '{}'", environment, folder_.path("build/main/app")));
  }

  TemporaryFolder folder_;

 private:
  static TemporaryFolder* shared_;
};

TemporaryFolder* Project::shared_ = nullptr;

TEST_F(Project, SelfTestPassesWhereTheChipComputesAsTheSimulator) {
  make({gesture("esp32s3"), "--samples", test_data(), "--count", "3"});
  build("esp32s3");
  const Outcome good = boot();
  EXPECT_NE(good.out.find("test values of the file: ok\nsample 0: ok\nsample 1: ok\nsample 2: ok\n"
                          "sample 3: ok\n"),
            std::string::npos)
      << good.out;
  EXPECT_NE(good.out.find("\nrun:"), std::string::npos);
  EXPECT_TRUE(good.out.ends_with("self-test: PASSED\n")) << good.out;

  // The times are those that `latency --fit` reads.
  write_text(folder_.path("log.txt"), good.out);
  const Outcome fitted =
      run_program({"latency", gesture("esp32s3"), "--fit", folder_.path("log.txt")});
  EXPECT_EQ(fitted.exit_code, 0) << fitted.err;
  EXPECT_NE(fitted.out.find("measured     "), std::string::npos) << fitted.out;

  const Outcome bad = boot("STANDIN_FAULT=logits:5");
  EXPECT_NE(bad.out.find("test values of the file: FAILED"), std::string::npos);
  EXPECT_NE(bad.out.find("sample 1: FAILED, output 'logits' differs in 1 of 8 elements, first at "
                         "element 5: "),
            std::string::npos)
      << bad.out;
  EXPECT_TRUE(bad.out.ends_with("self-test: FAILED\n"));
}

TEST_F(Project, RamIsAsPlanned) {
  make({gesture("esp32s3")});
  build("esp32s3");
  const std::string out = boot().out;
  const auto at = out.find(" bytes PSRAM taken, ");
  ASSERT_NE(at, std::string::npos) << out;
  const std::string taken = out.substr(out.rfind(' ', at - 1) + 1, at - out.rfind(' ', at - 1) - 1);
  EXPECT_NE(out.find(fmt::format("taken, {} bytes planned", taken)), std::string::npos) << out;
}

TEST_F(Project, MinimalRunsTheModelOnce) {
  make({gesture("esp32s3"), "--app", "minimal"});
  build("esp32s3");
  const Outcome outcome = boot();
  EXPECT_NE(outcome.out.find("test values of the file: ok\nlogits: "), std::string::npos)
      << outcome.out;
}

TEST_F(Project, SourcesAreFormatted) {
  if (run_shell("command -v clang-format").exit_code != 0)
    GTEST_SKIP() << "clang-format is not installed";
  make({gesture("esp32s3")});
  const Outcome checked = run_shell(fmt::format(
      "cd '{}' && clang-format --dry-run --Werror main/*.cpp main/*.hpp 2>&1", firmware()));
  EXPECT_EQ(checked.exit_code, 0) << checked.out;
}

TEST_F(Project, SameInputSameBytes) {
  make({gesture("esp32s3"), "--samples", test_data()});
  std::map<std::string, std::string> first;
  for (const auto& entry : fs::recursive_directory_iterator(firmware()))
    if (entry.is_regular_file()) first[entry.path().string()] = text_of(entry.path());
  fs::remove_all(firmware());
  make({gesture("esp32s3"), "--samples", test_data(), "--threads", "1"});
  for (const auto& [path, text] : first) EXPECT_EQ(text_of(path), text) << path;
}

}  // namespace
}  // namespace espquant::test
