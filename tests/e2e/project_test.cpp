#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "tests/data/image_fixtures.h"
#include "tests/e2e/json_page.h"
#include "tests/e2e/program.h"
#include "tests/support/content_of.h"
#include "tests/support/shared.h"
#include "tests/support/source_dir.h"

/// Projects of `espquant project`, built and run on the PC: CMake reads their files as ESP-IDF's
/// build would, and a stand-in of ESP-DL runs the simulator (tests/deploy/standin).
namespace espquant::test {
namespace {

namespace fs = std::filesystem;

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
      const Outcome made = run_program(
          {"quantize", (example / "gesture.onnx").string(), "--calib",
           (example / "calib.npz").string(), "--calib-count", "16", "--target", chip, "--quiet",
           "--set", "quantization.reconstruct=false", "--out", shared_->path(chip)});
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

/// A package of the bundled network and of another copy of it.
std::string packed_twice(const std::string& file, const TemporaryFolder& folder) {
  fs::copy(file, folder.path("second.espdl"));
  const Outcome made = run_program(
      {"package", "pack", file, folder.path("second.espdl"), "--out", folder.path("both.espdl")});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  return folder.path("both.espdl");
}

TEST_F(Project, MinimalRunsTheModelOnce) {
  make({gesture("esp32s3"), "--app", "minimal"});
  build("esp32s3");
  const Outcome outcome = boot();
  EXPECT_NE(outcome.out.find("test values of the file: ok\nlogits: "), std::string::npos)
      << outcome.out;
}

TEST_F(Project, TheModelMayLieInAPartitionOrOnACard) {
  const std::string file = gesture("esp32s3");
  make({file, "--app", "minimal", "--storage", "partition"});
  build("esp32s3");
  EXPECT_NE(boot(fmt::format("STANDIN_PARTITION='{}'", file)).out.find("file: ok\n"),
            std::string::npos);
  make({file, "--app", "minimal", "--storage", "sdcard"});
  build("esp32s3", "FIRMWARE_SD_CLK=39");
  EXPECT_NE(boot(fmt::format("STANDIN_SDCARD='{}/main'", firmware())).out.find("file: ok\n"),
            std::string::npos);
  EXPECT_NE(boot().out.find("the SD card cannot be read"), std::string::npos);
}

TEST_F(Project, AnEncryptedModelTakesItsKeyFromNvs) {
  write_text(folder_.path("key.bin"), "0123456789abcdef");
  const Outcome made = run_program({"encrypt", gesture("esp32s3"), "--key", folder_.path("key.bin"),
                                    "--out", folder_.path("secret.espdl")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  make({folder_.path("secret.espdl"), "--key", folder_.path("key.bin"), "--app", "minimal"});
  build("esp32s3");
  const Outcome good = boot(fmt::format("STANDIN_NVS='{}/model_key.csv'", firmware()));
  EXPECT_NE(good.out.find("file: ok\n"), std::string::npos) << good.out;
  EXPECT_NE(boot().out.find("there is no key of the model"), std::string::npos);
  for (const auto& entry : fs::directory_iterator(fs::path(firmware()) / "main"))
    EXPECT_EQ(content_of(entry.path()).find("0123456789abcdef"), std::string::npos) << entry.path();
}

TEST_F(Project, EveryModelOfAPackageIsTested) {
  make({packed_twice(gesture("esp32s3"), folder_)});
  build("esp32s3");
  const std::string out = boot().out;
  EXPECT_NE(out.find("model second.espdl\n"), std::string::npos) << out;
  EXPECT_TRUE(out.ends_with("self-test: PASSED\n")) << out;
}

TEST_F(Project, EveryModelOfAPackageRunsOnceAndLooksThroughTheCamera) {
  const std::string both = packed_twice(gesture("esp32s3"), folder_);
  make({both, "--app", "minimal"});
  build("esp32s3");
  const std::string once = boot().out;
  for (const char* name : {"gesture_int8", "second"})
    EXPECT_NE(once.find(fmt::format("model {}.espdl\ntest values of the file: ok\nlogits: ", name)),
              std::string::npos)
        << once;
  fs::remove_all(firmware());
  make({both, "--app", "camera"});
  build("esp32s3", "FIRMWARE_CAMERA_ESP32S3_EYE=1");
  write_text(folder_.path("frame.bin"), std::string(96 * 96, '\x40'));
  const std::string seen = boot(fmt::format("STANDIN_FRAME='{}'", folder_.path("frame.bin"))).out;
  for (const char* name : {"gesture_int8", "second"})
    EXPECT_NE(seen.find(fmt::format("model {}.espdl\nlogits: ", name)), std::string::npos) << seen;
}

TEST_F(Project, TheCameraShowsTheClassThatThePcFinds) {
  make({gesture("esp32s3"), "--app", "camera"});
  build("esp32s3", "FIRMWARE_CAMERA_ESP32S3_EYE=1");
  write_text(folder_.path("frame.bin"), std::string(96 * 96, '\x40'));
  const Outcome seen = boot(fmt::format("STANDIN_FRAME='{}'", folder_.path("frame.bin")));
  EXPECT_NE(seen.out.find("logits: "), std::string::npos) << seen.out;
  EXPECT_NE(seen.out.find("\nprepared in "), std::string::npos);
  write_text(folder_.path("frame.bin"), "short");
  const Outcome cut = boot(fmt::format("STANDIN_FRAME='{}'", folder_.path("frame.bin")));
  EXPECT_NE(cut.out.find("the frame is cut short"), std::string::npos) << cut.out;
}

/// What the PC finds in a picture: the line that the board prints of the output.
std::string line_of_class(const std::string& text) {
  const auto at = text.find("logits: ");
  return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
}

TEST_F(Project, TheCameraMayGiveJpeg) {
  make({gesture("esp32s3"), "--app", "camera"});
  build("esp32s3", "FIRMWARE_CAMERA_ESP32S3_EYE=1;FIRMWARE_CAMERA_JPEG=1");
  const auto bytes = [](const auto& fixture) {
    return std::string(reinterpret_cast<const char*>(fixture), sizeof(fixture));
  };
  write_text(folder_.path("rgb.jpg"), bytes(data::fixtures::kJpegRgb));
  write_text(folder_.path("gray.jpg"), bytes(data::fixtures::kJpegGray));
  write_text(folder_.path("cut.jpg"), bytes(data::fixtures::kJpegRgb).substr(0, 100));
  // Frames of different sizes, and damaged ones between, one after the other.
  const auto frames = [&](const std::string& names) {
    std::string files;
    for (const char c : names)
      files += folder_.path(c == 'r' ? "rgb.jpg" : c == 'g' ? "gray.jpg" : "cut.jpg") + ":";
    return boot(fmt::format("STANDIN_FRAME='{}'", files)).out;
  };
  const std::string rgb = line_of_class(frames("r")), gray = line_of_class(frames("g"));
  ASSERT_FALSE(rgb.empty());
  EXPECT_NE(rgb, gray);
  const std::string all = frames("rrcgr");
  EXPECT_NE(all.find("the frame is no baseline JPEG\n"), std::string::npos) << all;
  std::string lines;
  for (std::size_t at = all.find("logits: "); at != std::string::npos;
       at = all.find("logits: ", at + 1))
    lines += line_of_class(all.substr(at)) + "\n";
  EXPECT_EQ(lines, fmt::format("{0}\n{0}\n{1}\n{0}\n", rgb, gray));
}

/// A board that runs the serial application until the object goes.
class Board {
 public:
  Board(const std::string& app, const std::string& log, const std::string& environment) {
    const Outcome started =
        run_shell(fmt::format("{} timeout 120 '{}' > '{}' 2>&1 & echo $!", environment, app, log));
    pid_ = started.out.substr(0, started.out.find('\n'));
    for (int i = 0; i < 400 && port_.empty(); ++i) {
      const std::string text = content_of(log);
      const auto at = text.find("\nport "), end = text.find('\n', at + 1);
      if (at != std::string::npos && end != std::string::npos)
        port_ = text.substr(at + 6, end - at - 6);
      else
        run_shell("sleep 0.05");
    }
    EXPECT_FALSE(port_.empty()) << content_of(log);
  }
  ~Board() { run_shell("kill " + pid_); }
  const std::string& port() const { return port_; }

 private:
  std::string pid_, port_;
};

TEST_F(Project, ADataSetRunsOnTheBoard) {
  const std::string file = gesture("esp32s3");
  make({file, "--app", "serial"});
  build("esp32s3", "FIRMWARE_BAUD=921600");
  const auto device = [&](const std::string& environment, std::vector<std::string> more) {
    const Board board(folder_.path("build/main/app"), folder_.path("log.txt"), environment);
    more.insert(more.begin(), {"device", file, "--port", board.port(), "--data", test_data(),
                               "--count", "12", "--quiet"});
    return run_program(more);
  };
  // The network's integers, and pictures that the board prepares.
  for (const char* how : {"--json", "--pictures"}) {
    const Outcome outcome = device("", {how});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    if (std::string_view(how) == "--json")
      expect_documented(nlohmann::json::parse(outcome.out), "device");
    EXPECT_NE(outcome.out.find(std::string_view(how) == "--json" ? "\"different_samples\": 0"
                                                                 : "all as simulated"),
              std::string::npos)
        << outcome.out;
  }
  // An answer that is damaged on the way is asked for again.
  EXPECT_EQ(device("STANDIN_DAMAGE=150", {"--patience", "2"}).exit_code, 0);
  const Outcome wrong = device("STANDIN_FAULT=logits:5", {});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_NE(wrong.out.find("12 samples differ from the simulator, in 12 elements"),
            std::string::npos)
      << wrong.out;
  EXPECT_NE(wrong.out.find("output 'logits', element 5: "), std::string::npos) << wrong.out;
}

TEST_F(Project, EveryModelOfAPackageAnswersTheDataSet) {
  const std::string both = packed_twice(gesture("esp32s3"), folder_);
  make({both, "--app", "serial"});
  build("esp32s3", "FIRMWARE_BAUD=921600");
  const Board board(folder_.path("build/main/app"), folder_.path("log.txt"), "");
  const auto device = [&](const std::string& model) {
    return run_program({"device", both, "--port", board.port(), "--data", test_data(), "--count",
                        "4", "--quiet", "--model", model});
  };
  // From one to the other and back: the board loads the one that is asked for.
  for (const char* model : {"second.espdl", "gesture_int8.espdl", "second.espdl"}) {
    const Outcome outcome = device(model);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    EXPECT_NE(outcome.out.find("all as simulated"), std::string::npos) << outcome.out;
  }
  expect_one_error(device("third.espdl"), 2, "third.espdl");
}

TEST_F(Project, WhatTheChipCannotDoIsRefused) {
  const auto refused = [&](std::vector<std::string> arguments, const std::string& part) {
    arguments.insert(arguments.begin(), "project");
    arguments.insert(arguments.end(), {"--out", firmware()});
    expect_one_error(run_program(arguments), 2, part);
    EXPECT_FALSE(fs::exists(firmware()));
  };
  refused({gesture("esp32p4"), "--app", "camera"}, "esp32-camera does not drive the esp32p4");
  refused({gesture("esp32s3"), "--flash", "2"}, "MB of flash, the board has 2");
  refused({gesture("esp32s3"), "--internal-ram", "64K", "--no-psram"}, "--no-psram");
  refused({gesture("esp32s3"), "--model", "other"}, "Leave --model out");
  expect_one_error(run_program({"project", gesture("esp32s3"), "--out", ""}), 2, "--out");
  // A file for a family of chips, until one is named.
  refused({gesture("c")}, "a project is for one chip");
}

TEST_F(Project, EveryChipHasItsProject) {
  for (const char* chip : {"esp32p4", "esp32s31", "esp32c3"}) {
    make({gesture(chip)});
    build(chip);
    const std::string out = boot().out;
    EXPECT_TRUE(out.ends_with("self-test: PASSED\n")) << chip << out;
    EXPECT_TRUE(fs::exists(fmt::format("{}/sdkconfig.defaults.{}", firmware(), chip)));
    fs::remove_all(firmware());
  }
}

TEST_F(Project, NetworksOfOtherKindsPass) {
  ESPQUANT_NEEDS_SHARED("models");
  const auto passes = [&](const std::string& file, const std::string& chip,
                          const std::string& samples) {
    SCOPED_TRACE(file);
    std::vector<std::string> arguments = {file};
    if (!samples.empty()) arguments.insert(arguments.end(), {"--samples", samples, "--count", "2"});
    make(arguments);
    build(chip);
    const std::string out = boot().out;
    EXPECT_TRUE(out.ends_with("self-test: PASSED\n")) << out;
    fs::remove_all(firmware());
    fs::remove_all(folder_.path("build"));
  };
  const auto quantized = [&](const std::string& network, const std::string& data,
                             const std::string& chip) {
    const Outcome made =
        run_program({"quantize", (shared_dir() / "models" / network).string(), "--calib",
                     (shared_dir() / "data" / data).string(), "--calib-count", "16", "--target",
                     chip, "--quiet", "--set", "quantization.reconstruct=false", "--name", network,
                     "--out", folder_.path("networks")});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return folder_.path(fmt::format("networks/{0}_int8/{0}_int8.espdl", network));
  };
  const auto data = [](const std::string& name) { return (shared_dir() / "data" / name).string(); };
  // A keyword spotter takes no pictures, a file of another tool does not say how it takes them.
  passes(quantized("kws_dscnn.onnx", "kws_calib.npz", "esp32c3"), "esp32c3", data("kws_test.npz"));
  passes(quantized("mobilenet_v1_0.25_224.onnx", "imagenet500", "esp32s31"), "esp32s31",
         data("imagenet500"));
  passes((shared_dir() / "golden/zoo/espdet_pico_224_224_cat_p4.espdl").string(), "esp32p4", "");
}

/// Pictures of full brightness, and 4 and 16 times darker, in turn.
Tensor pictures_of_three_gains(std::int64_t count) {
  Tensor frames(DType::Float32, {count, 1, 96, 96});
  Random random(5);
  auto data = frames.mutable_data<float>();
  for (std::size_t i = 0; i < data.size(); ++i)
    data[i] = random.uniform(0, 1) * std::exp2(-2.0F * static_cast<float>(i / (96 * 96) % 3));
  return frames;
}

TEST_F(Project, BanksComputeOnTheBoardAsInTheSimulator) {
  write_arrays(folder_.path("frames.npz"), {{"input", pictures_of_three_gains(24)}});
  const Outcome made = run_program(
      {"quantize", (source_dir() / "examples/gesture/gesture.onnx").string(), "--calib",
       folder_.path("frames.npz"), "--recipe", "dynamic", "--out", folder_.path("out"), "--quiet"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const std::string file = folder_.path("out/gesture_dynamic/gesture_dynamic.espdl");
  make({file, "--samples", folder_.path("frames.npz"), "--count", "6"});
  build("esp32s3");
  const std::string tested = boot().out;
  EXPECT_NE(tested.find("bank 0: sample "), std::string::npos) << tested;
  EXPECT_NE(tested.find("bank 1: sample "), std::string::npos) << tested;
  EXPECT_TRUE(tested.ends_with("self-test: PASSED\n")) << tested;
  const auto expect_formatted = [&] {
    if (run_shell("command -v clang-format").exit_code != 0) return;
    const Outcome checked = run_shell(fmt::format(
        "cd '{}' && clang-format --dry-run --Werror main/*.cpp main/*.hpp 2>&1", firmware()));
    EXPECT_EQ(checked.exit_code, 0) << checked.out;
  };
  expect_formatted();
  fs::remove_all(firmware());

  make({file, "--app", "minimal"});
  expect_formatted();
  build("esp32s3");
  EXPECT_NE(boot().out.find("bank 1 of "), std::string::npos);
  fs::remove_all(firmware());

  // A dark picture and a bright one are computed by different banks.
  make({file, "--app", "camera"});
  expect_formatted();
  build("esp32s3", "FIRMWARE_CAMERA_ESP32S3_EYE=1");
  const auto seen = [&](char pixel) {
    write_text(folder_.path("frame.bin"), std::string(96 * 96, pixel));
    return boot(fmt::format("STANDIN_FRAME='{}'", folder_.path("frame.bin"))).out;
  };
  EXPECT_NE(seen('\x04').find("bank 1 of "), std::string::npos) << seen('\x04');
  EXPECT_EQ(seen('\xf0').find("bank 1 of "), std::string::npos) << seen('\xf0');
}

TEST_F(Project, SourcesAreFormatted) {
  if (run_shell("command -v clang-format").exit_code != 0)
    GTEST_SKIP() << "clang-format is not installed";
  write_text(folder_.path("key.bin"), "0123456789abcdef");
  const std::string secret = folder_.path("secret.espdl");
  ASSERT_EQ(run_program(
                {"encrypt", gesture("esp32s3"), "--key", folder_.path("key.bin"), "--out", secret})
                .exit_code,
            0);
  const auto expect_formatted = [&](std::vector<std::string> arguments) {
    make(std::move(arguments));
    const Outcome checked = run_shell(fmt::format(
        "cd '{}' && clang-format --dry-run --Werror main/*.cpp main/*.hpp 2>&1", firmware()));
    EXPECT_EQ(checked.exit_code, 0) << checked.out;
    fs::remove_all(firmware());
  };
  for (const char* app : {"selftest", "minimal", "serial", "camera"})
    for (const char* storage : {"rodata", "partition", "sdcard"}) {
      SCOPED_TRACE(fmt::format("{} {}", app, storage));
      expect_formatted({gesture("esp32s3"), "--app", app, "--storage", storage});
      expect_formatted(
          {secret, "--key", folder_.path("key.bin"), "--app", app, "--storage", storage});
    }
}

TEST_F(Project, SameInputSameBytes) {
  make({gesture("esp32s3"), "--samples", test_data()});
  std::map<std::string, std::string> first;
  for (const auto& entry : fs::recursive_directory_iterator(firmware()))
    if (entry.is_regular_file()) first[entry.path().string()] = content_of(entry.path());
  fs::remove_all(firmware());
  make({gesture("esp32s3"), "--samples", test_data(), "--threads", "1"});
  for (const auto& [path, text] : first) EXPECT_EQ(content_of(path), text) << path;
}

}  // namespace
}  // namespace espquant::test
