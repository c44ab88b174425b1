#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/random.h"
#include "tests/e2e/json_page.h"
#include "tests/e2e/program.h"
#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

const std::string kDynamicExample = source_dir().string() + "/examples/gesture/gesture.onnx";

/// Frames for the gesture network, of which every fourth is of full loudness, the others 4, 16 and
/// 64 times quieter; or all of one gain.
Tensor gesture_frames(std::int64_t count, std::uint64_t seed, int gain = -1) {
  Tensor frames(DType::Float32, {count, 1, 96, 96});
  Random random(seed);
  auto data = frames.mutable_data<float>();
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto frame = static_cast<int>(i / (96 * 96));
    data[i] =
        random.uniform(0, 1) * std::exp2(-2.0F * static_cast<float>(gain < 0 ? frame % 4 : gain));
  }
  return frames;
}

/// Quantized once; every test gets its own copy of the files.
class Dynamic : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    made_ = new TemporaryFolder;
    write_arrays(made_->path("calib.npz"), {{"input", gesture_frames(32, 1)}});
    write_arrays(made_->path("quiet.npz"), {{"input", gesture_frames(8, 2, 3)}});
    outcome_ = run_program({"quantize", kDynamicExample, "--calib", made_->path("calib.npz"),
                            "--recipe", "dynamic", "--out", made_->path("out")});
  }
  static void TearDownTestSuite() {
    delete made_;
    made_ = nullptr;
  }
  void SetUp() override {
    ASSERT_EQ(outcome_.exit_code, 0) << outcome_.err;
    std::filesystem::copy(made_->path(""), folder_.path(""),
                          std::filesystem::copy_options::recursive);
  }
  std::string file(const char* extension) const {
    return folder_.path(std::string("out/gesture_dynamic/gesture_dynamic") + extension);
  }
  Outcome evaluate(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{
        "evaluate",    file(".espdl"),  "--data", folder_.path("quiet.npz"),
        "--reference", kDynamicExample, "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  static double noise_of(const Outcome& outcome) {
    return nlohmann::json::parse(outcome.out).at("noise_to_signal");
  }

  const TemporaryFolder folder_;
  static TemporaryFolder* made_;
  static Outcome outcome_;
};

TemporaryFolder* Dynamic::made_ = nullptr;
Outcome Dynamic::outcome_;

TEST_F(Dynamic, BanksAreWrittenToldAndFound) {
  EXPECT_TRUE(std::filesystem::exists(file(".banks")));
  EXPECT_NE(outcome_.out.find("bank for inputs up to"), std::string::npos) << outcome_.out;
  EXPECT_NE(outcome_.out.find("gesture_dynamic.banks"), std::string::npos);
  EXPECT_LT(noise_of(evaluate()), noise_of(evaluate({"--banks", "none"})) / 4);
  EXPECT_EQ(evaluate().out, evaluate({"--banks", file(".banks")}).out);
}

TEST_F(Dynamic, TheModelAloneIsAnOrdinaryFile) {
  const auto verified = run_program({"verify", file(".espdl"), "--tolerance", "exact"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  EXPECT_EQ(run_program({"check", file(".espdl")}).exit_code, 0);
}

TEST_F(Dynamic, BanksOfAnotherModelAreRefused) {
  const auto int8 = run_program({"quantize", kDynamicExample, "--calib", folder_.path("calib.npz"),
                                 "--out", folder_.path("out"), "--calib-count", "8"});
  ASSERT_EQ(int8.exit_code, 0) << int8.err;
  const std::string other = folder_.path("out/gesture_int8/gesture_int8.espdl");
  expect_one_error(run_program({"evaluate", other, "--data", folder_.path("quiet.npz"), "--banks",
                                file(".banks")}),
                   1, "these banks belong to another .espdl");
}

TEST_F(Dynamic, EveryCommandFindsThem) {
  const std::string quiet = folder_.path("quiet.npz"), out = folder_.path("out.npz");
  const auto ran = run_program({"run", file(".espdl"), "--input", quiet, "--out", out});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(ran.out.find("Bank of frames: 0 (0-7)"), std::string::npos) << ran.out;
  const auto alone =
      run_program({"run", file(".espdl"), "--input", quiet, "--out", out, "--banks", "none"});
  EXPECT_EQ(alone.out.find("Bank of frames"), std::string::npos) << alone.out;
  const auto verified = run_program({"verify", file(".espdl")});
  EXPECT_NE(verified.out.find("banks of exponents beside the model's own belong to it"),
            std::string::npos)
      << verified.out << verified.err;
  const auto inspected = run_program({"inspect", file(".espdl"), "--json"});
  const auto banks = nlohmann::json::parse(inspected.out).at("banks").at("banks");
  expect_documented(nlohmann::json::parse(inspected.out), "inspect of an .espdl");
  expect_documented(nlohmann::json::parse(run_program({"verify", file(".espdl"), "--json"}).out),
                    "verify");
  ASSERT_GE(banks.size(), 1U);
  EXPECT_LT(banks.front().at("largest"), 0.1);
  EXPECT_NE(run_program({"inspect", file(".espdl")}).out.find("Banks of exponents: "),
            std::string::npos);
  EXPECT_EQ(run_program({"check", file(".espdl")}).exit_code, 0);
}

TEST_F(Dynamic, AnalyzeSaysWhichRangesFollowTheInput) {
  const auto analyzed =
      run_program({"analyze", file(".espdl"), "--data", folder_.path("quiet.npz"), "--json"});
  ASSERT_EQ(analyzed.exit_code, 0) << analyzed.err;
  const auto ranges = nlohmann::json::parse(analyzed.out).at("ranges");
  EXPECT_EQ(ranges.front().at("tensor"), "input");
  EXPECT_TRUE(ranges.front().at("follows"));
  EXPECT_GT(ranges.front().at("octaves"), 3);
  const auto text = run_program({"analyze", file(".espdl"), "--data", folder_.path("quiet.npz")});
  EXPECT_NE(text.out.find("Frames of bank 0:"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("follows the input"), std::string::npos) << text.out;
}

TEST_F(Dynamic, CompareCountsThemAndUsesThem) {
  const auto compared =
      run_program({"compare", kDynamicExample, "--calib", folder_.path("calib.npz"), "--data",
                   folder_.path("quiet.npz"), "--recipe", "int8,dynamic", "--out",
                   folder_.path("both"), "--json"});
  ASSERT_EQ(compared.exit_code, 0) << compared.err;
  const auto recipes = nlohmann::json::parse(compared.out).at("recipes");
  EXPECT_LT(recipes[1].at("noise_to_signal").get<double>(),
            recipes[0].at("noise_to_signal").get<double>() / 4);
  EXPECT_GT(recipes[1].at("banks_bytes"), 0);
  EXPECT_TRUE(std::filesystem::exists(folder_.path("both/gesture_dynamic/gesture_dynamic.banks")));
}

TEST_F(Dynamic, DamagedBanksAreRefused) {
  std::filesystem::resize_file(file(".banks"), 100);
  expect_one_error(evaluate(), 1, "gesture_dynamic.banks: banks: it is 100 bytes long and says");
}

TEST(DynamicOfOneLoudness, WritesNoBanksAndSaysWhy) {
  const TemporaryFolder folder;
  write_arrays(folder.path("calib.npz"), {{"input", gesture_frames(16, 1, 0)}});
  const auto outcome =
      run_program({"quantize", kDynamicExample, "--calib", folder.path("calib.npz"), "--recipe",
                   "dynamic", "--out", folder.path("out")});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("one bank of exponents"), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(folder.path("out/gesture_dynamic/gesture_dynamic.banks")));
}

}  // namespace
}  // namespace espquant::test
