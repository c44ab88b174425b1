#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/program.h"
#include "tests/support/content_of.h"
#include "tests/support/source_dir.h"

/// `espquant tune` on the example network, with few samples and trials.
namespace espquant::test {
namespace {

namespace fs = std::filesystem;

/// Everything in a folder but the journal, by name.
std::map<std::string, std::string> results_in(const fs::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename().string().find("tune.journal") != 0)
      all[entry.path().lexically_relative(folder).string()] = content_of(entry.path());
  return all;
}

class Tune : public ::testing::Test {
 protected:
  Tune() {
    write_text(folder_.path("space.toml"),
               "start = [\"int8\"]\ncalibration = [\"auto\", \"minmax\"]\n"
               "clip_scope = [\"tensor\"]\nequalization = [\"none\"]\nscale_layers = [\"yes\"]\n"
               "alignment = [\"exact\"]\nreconstruct = [\"yes\"]\nfinetune = [\"no\"]\n"
               "layers = [\"/blocks/blocks.1/*\"]\n");
  }

  std::vector<std::string> arguments(const std::string& out, int trials,
                                     const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"tune",          example_ + "gesture.onnx",
                                    "--calib",       example_ + "calib.npz",
                                    "--calib-count", "32",
                                    "--data",        example_ + "test.npz",
                                    "--count",       "64",
                                    "--goal",        "noise<=1",
                                    "--space",       folder_.path("space.toml"),
                                    "--generation",  "3",
                                    "--trials",      std::to_string(trials),
                                    "--out",         folder_.path(out)};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void tune(const std::string& out, int trials, const std::vector<std::string>& more = {}) const {
    const Outcome outcome = run_program(arguments(out, trials, more));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  nlohmann::json summary(const std::string& out) const {
    return nlohmann::json::parse(content_of(folder_.path(out) + "/tune.json"));
  }

  TemporaryFolder folder_;
  std::string example_ = (source_dir() / "examples/gesture/").string();
};

TEST_F(Tune, EveryPointIsWhatItsRecipeGives) {
  tune("out", 6);
  const nlohmann::json json = summary("out");
  EXPECT_EQ(json["trials"], 6);
  ASSERT_GE(json["front"].size(), 3u);
  EXPECT_TRUE(json["goals_met"]);
  std::string recommended;
  for (const auto& point : json["front"]) {
    const fs::path espdl = fs::path(folder_.path("out")) / point["files"][0].get<std::string>();
    const std::string recipe = (espdl.parent_path() / "recipe.toml").string();
    const std::string name = point["recipe"];
    const Outcome again =
        run_program({"quantize", example_ + "gesture.onnx", "--calib", example_ + "calib.npz",
                     "--recipe", recipe, "--out", folder_.path("again")});
    ASSERT_EQ(again.exit_code, 0) << again.err;
    EXPECT_EQ(content_of(folder_.path("again/gesture_" + name + "/gesture_" + name + ".espdl")),
              content_of(espdl))
        << name;
    if (name == json["recommended"]) recommended = content_of(espdl);
  }
  EXPECT_EQ(content_of(folder_.path("out/best/gesture.espdl")), recommended);
  EXPECT_EQ(run_program({"verify", folder_.path("out/best/gesture.espdl")}).exit_code, 0);
}

TEST_F(Tune, IsTheSameForAnyNumberOfThreads) {
  tune("one", 5, {"--threads", "1"});
  tune("three", 5, {"--threads", "3"});
  EXPECT_EQ(results_in(folder_.path("one")), results_in(folder_.path("three")));
}

TEST_F(Tune, GoesOnWhereItStopped) {
  tune("whole", 5);
  tune("parts", 2);
  const Outcome again = run_program(arguments("parts", 5));
  expect_one_error(again, 2, "there is a search already");
  tune("parts", 5, {"--resume"});
  const auto whole = results_in(folder_.path("whole")), parts = results_in(folder_.path("parts"));
  for (const auto& [name, text] : whole) {
    ASSERT_TRUE(parts.contains(name)) << name;
    EXPECT_EQ(parts.at(name), text) << name;
  }
  // And once more, with nothing left to measure.
  const Outcome last = run_program(arguments("parts", 5, {"--resume", "--json"}));
  EXPECT_EQ(nlohmann::json::parse(last.out)["measured"], 0) << last.err;
}

TEST_F(Tune, AJournalOfOtherInputsIsRefused) {
  tune("out", 2);
  const auto before = results_in(folder_.path("out"));
  expect_one_error(run_program(arguments("out", 3, {"--resume", "--target", "esp32p4"})), 2,
                   "another chip");
  auto fewer = arguments("out", 3, {"--resume"});
  fewer[5] = "24";
  expect_one_error(run_program(fewer), 2, "another number of calibration samples");
  EXPECT_EQ(results_in(folder_.path("out")), before);
}

TEST_F(Tune, ShowsWhatWasTried) {
  tune("out", 3);
  const std::string out = folder_.path("out");
  const Outcome list = run_program({"tune", "--list", "--out", out});
  EXPECT_NE(list.out.find("int8"), std::string::npos) << list.out;
  const Outcome csv = run_program({"tune", "--export", "csv", "--out", out});
  std::istringstream lines(csv.out);
  std::string line;
  int trials = 0, columns = -1;
  while (std::getline(lines, line)) {
    const auto commas = std::count(line.begin(), line.end(), ',');
    if (columns < 0) columns = static_cast<int>(commas);
    EXPECT_EQ(commas, columns) << line;
    trials += line.find(",trial,") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(trials, 3);
  const Outcome json = run_program({"tune", "--export", "json", "--out", out});
  EXPECT_GT(nlohmann::json::parse(json.out).size(), 3u);
  expect_one_error(run_program({"tune", "--list", "--out", folder_.path("none")}), 2,
                   "there is no journal");
}

TEST_F(Tune, WhatIsNotUnderstoodIsRefusedBeforeAnythingIsDone) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"--goal", "speed<=3"}, "nothing called 'speed'"},
      {{"--minimize", "size"}, "nothing called 'size'"},
      {{"--time", "soon"}, "no span of time"},
      {{"--calib", ""}, "--calib is required"},
  };
  for (const auto& [option, message] : wrong) {
    std::vector<std::string> all = arguments("out", 2);
    if (option[0] == "--calib")
      all.erase(all.begin() + 2, all.begin() + 4);
    else
      all.insert(all.end(), option.begin(), option.end());
    expect_one_error(run_program(all), 2, message);
  }
  EXPECT_FALSE(fs::exists(folder_.path("out")));
}

/// With so little to search that it can be disturbed at many places.
class DisturbedTune : public Tune {
 protected:
  void SetUp() override {
    if (std::string(ESPQUANT_SANITIZE) != "")
      GTEST_SKIP() << "a sanitizer's runtime does not go beside a preloaded library";
    write_text(folder_.path("space.toml"),
               "start = [\"int8\"]\ncalibration = [\"auto\", \"minmax\", \"mse\"]\n"
               "clip_scope = [\"tensor\"]\nequalization = [\"none\"]\nscale_layers = [\"yes\"]\n"
               "alignment = [\"exact\"]\nreconstruct = [\"yes\"]\nfinetune = [\"no\"]\n"
               "refine = [\"no\"]\nwidths = [\"8\"]\n");
    ASSERT_EQ(disturbed("count:0", "undisturbed").exit_code, 0);
    undisturbed_ = results_in(folder_.path("undisturbed"));
    ASSERT_FALSE(undisturbed_.empty());
    calls_ = std::stol(content_of(folder_.path("calls")));
    ASSERT_GT(calls_, 50);
  }

  Outcome disturbed(const std::string& fault, const std::string& out) {
    std::string command = "LD_PRELOAD='" ESPQUANT_FAIL_WRITE "' ESPQUANT_FAULT=" + fault +
                          " ESPQUANT_FAULT_COUNT='" + folder_.path("calls") +
                          "' exec '" ESPQUANT_PROGRAM "'";
    for (const std::string& word : arguments(out, 3, {"--order", "exhaustive"}))
      command += " '" + word + "'";
    return run_shell(command);
  }

  /// What is in the place of the best so far can be used at any time.
  void expect_usable_best(const std::string& out) {
    const std::string best = folder_.path(out) + "/best/gesture.espdl";
    if (!fs::exists(best)) return;
    EXPECT_EQ(run_program({"verify", best}).exit_code, 0);
  }

  void expect_undisturbed_when_resumed(const std::string& out) {
    tune(out, 3, {"--resume", "--order", "exhaustive"});
    EXPECT_EQ(results_in(folder_.path(out)), undisturbed_);
  }

  /// Disturbs the search at `places` of its write-related calls, evenly spread.
  void disturb_everywhere(const std::string& how, long places) {
    for (long p = 0; p < places; ++p) {
      const long call = 1 + p * (calls_ - 1) / (places - 1);
      SCOPED_TRACE(fmt::format("{}:{} of {}", how, call, calls_));
      const std::string out = fmt::format("{}{}", how, call);
      const Outcome outcome = disturbed(fmt::format("{}:{}", how, call), out);
      if (how != "kill" && outcome.exit_code != 0) {
        EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
        EXPECT_NE(outcome.err.find("espquant: error: "), std::string::npos) << outcome.err;
      }
      expect_usable_best(out);
      expect_undisturbed_when_resumed(out);
    }
  }

  std::map<std::string, std::string> undisturbed_;
  long calls_ = 0;
};

TEST_F(DisturbedTune, KilledAnywhereItGoesOn) { disturb_everywhere("kill", 9); }

TEST_F(DisturbedTune, OnAFullDiskItStopsAndGoesOnLater) { disturb_everywhere("full", 5); }

TEST_F(DisturbedTune, AWriteThatFailsOnceCostsNoOutcome) { disturb_everywhere("fail", 5); }

TEST_F(DisturbedTune, ADamagedJournalCostsWhatIsDamaged) {
  const std::string journal = folder_.path("undisturbed") + "/tune.journal";
  std::string bytes = content_of(journal);
  for (std::size_t at = bytes.size() / 2; at < bytes.size(); at += 97) bytes[at] ^= 0x15;
  write_text(journal, bytes);
  const Outcome outcome =
      run_program(arguments("undisturbed", 3, {"--resume", "--order", "exhaustive"}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("the journal is damaged"), std::string::npos) << outcome.err;
  EXPECT_EQ(results_in(folder_.path("undisturbed")), undisturbed_);
}

/// A process that joins while another leads: whoever measures, the result is the same.
TEST_F(Tune, OthersMayJoin) {
  tune("alone", 6);
  std::string lead = "'" ESPQUANT_PROGRAM "'";
  for (const std::string& word : arguments("led", 6)) lead += " '" + word + "'";
  const std::string join = "'" ESPQUANT_PROGRAM "' tune --worker '" + folder_.path("led") + "'";
  const Outcome both =
      run_shell(join + " > '" + folder_.path("joined") + "' 2>&1 & " + lead + "; wait");
  EXPECT_EQ(both.exit_code, 0) << both.err;
  EXPECT_NE(content_of(folder_.path("joined")).find("Measured "), std::string::npos)
      << content_of(folder_.path("joined"));
  EXPECT_EQ(results_in(folder_.path("led")), results_in(folder_.path("alone")));
}

class TuneUnderMpirun : public Tune {
 protected:
  void SetUp() override {
    if (run_shell("command -v mpirun").exit_code != 0 ||
        !fs::exists(fs::path(ESPQUANT_PROGRAM).parent_path() / "libespquant_mpi.so"))
      GTEST_SKIP() << "needs mpirun (openmpi-bin), and a build that found libopenmpi-dev";
  }
  std::string typed(const std::string& out, int trials) const {
    std::string command = "'" ESPQUANT_PROGRAM "'";
    for (const std::string& word : arguments(out, trials)) command += " '" + word + "'";
    return command;
  }
  const std::string mpirun_ =
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe ";
};

TEST_F(TuneUnderMpirun, ItIsTheSame) {
  tune("alone", 4);
  const Outcome outcome = run_shell(mpirun_ + "-n 3 " + typed("ranks", 4));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(results_in(folder_.path("ranks")), results_in(folder_.path("alone")));
}

/// Open MPI ends the whole job with it.
TEST_F(TuneUnderMpirun, ARankThatIsKilledCostsItsTrial) {
  tune("alone", 4);
  const std::string word = typed("ranks", 4);
  for (const char* ranks :
       {"-n 1 %s : -n 1 timeout -s KILL 1 %s", "-n 1 timeout -s KILL 1 %s : -n 1 %s"}) {
    std::string command = ranks;
    for (std::size_t at = 0; (at = command.find("%s")) != std::string::npos;)
      command.replace(at, 2, word);
    fs::remove_all(folder_.path("ranks"));
    run_shell(mpirun_ + command);
    tune("ranks", 4, {"--resume"});
    EXPECT_EQ(results_in(folder_.path("ranks")), results_in(folder_.path("alone"))) << ranks;
  }
}

TEST_F(Tune, AZooHasAFolderForEachNetwork) {
  fs::copy(example_ + "gesture.onnx", folder_.path("one.onnx"));
  fs::copy(example_ + "gesture.onnx", folder_.path("two.onnx"));
  fs::copy(example_ + "calib.npz", folder_.path("one.npz"));
  fs::copy(example_ + "calib.npz", folder_.path("two.npz"));
  auto all = arguments("zoo", 1);
  all[1] = folder_.path("one.onnx");
  all[3] = folder_.path("{name}.npz");
  all.insert(all.begin() + 2, folder_.path("two.onnx"));
  const Outcome outcome = run_program(all);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* name : {"one", "two"})
    EXPECT_TRUE(fs::exists(folder_.path("zoo") + "/" + name + "/best/" + name + ".espdl"));
}

}  // namespace
}  // namespace espquant::test
