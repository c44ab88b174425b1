#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

#include "base/random.h"
#include "tests/e2e/onnx_bytes.h"
#include "tests/e2e/program.h"
#include "tests/support/content_of.h"

/// What the disk, the system or a user does to the program in the midst of writing.
namespace espquant::test {
namespace {

namespace fs = std::filesystem;

using Files = std::map<std::string, std::string>;

/// Reports say how long each stage took.
std::string without_times(const std::string& text) {
  static const std::regex kTimes("\"(seconds|milliseconds_taken)\": *[-+.0-9e]+");
  return text.size() > 1 << 20 ? text : std::regex_replace(text, kTimes, "\"$1\": 0");
}

/// Every file below a folder, by its path there.
Files files_in(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[entry.path().lexically_relative(folder).string()] =
          without_times(content_of(entry.path()));
  return files;
}

Files without_temporaries(Files files) {
  std::erase_if(files,
                [](const auto& f) { return f.first.find(".espquant-") != std::string::npos; });
  return files;
}

/// A command whose results replace older ones, in folders of an output that may also be new.
class Faults : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::string(ESPQUANT_SANITIZE) != "")
      GTEST_SKIP() << "a sanitizer's runtime does not go beside a preloaded library";
    write_relu_model(folder_.path("relu.espdl"));
    write_untested_model(folder_.path("other.espdl"));
    // Two models into a folder, and a package with what an application must compile in.
    EXPECT_EQ(run_program({"package", "pack", folder_.path("relu.espdl"),
                           folder_.path("other.espdl"), "--out", folder_.path("two.espdl")})
                  .exit_code,
              0);
  }

  /// The command under the preloaded library.
  Outcome run(const std::string& fault, const std::string& count = "") {
    return run_shell("LD_PRELOAD='" ESPQUANT_FAIL_WRITE "' ESPQUANT_FAULT=" + fault +
                     (count.empty() ? "" : " ESPQUANT_FAULT_COUNT='" + count + "'") +
                     " exec '" ESPQUANT_PROGRAM "' " + command_);
  }

  void start_with(const Files& files) {
    fs::remove_all(out());
    for (const auto& [name, text] : files) {
      fs::create_directories((out() / name).parent_path());
      std::ofstream(out() / name, std::ios::binary) << text;
    }
  }

  /// Each of the command's write-related calls fails in turn, in each of three ways; of many, about
  /// forty. A set that lies in folders of its own is cleaned up by the command itself, done again.
  void expect_old_or_new(const std::string& command, const Files& old, bool again = false) {
    command_ = command;
    start_with(old);
    ASSERT_EQ(run("count:0", folder_.path("calls")).exit_code, 0);
    const Files made = files_in(out());
    ASSERT_NE(made, old);
    const int calls = std::stoi(content_of(folder_.path("calls")));
    ASSERT_GT(calls, 8);
    for (const std::string way : {"fail", "full", "kill"})
      for (int n = 1; n <= calls; n += 1 + calls / 40) {
        SCOPED_TRACE(way + ":" + std::to_string(n));
        start_with(old);
        const Outcome outcome = run(way + ":" + std::to_string(n));
        if (way != "kill") {
          EXPECT_TRUE(outcome.exit_code == 0 || outcome.exit_code == 1) << outcome.err;
          EXPECT_EQ(outcome.exit_code == 1, outcome.err.find("espquant: error: ") == 0)
              << outcome.err;
        }
        // Each file is whole even before anybody cleans up.
        const Files left = without_temporaries(files_in(out()));
        for (const auto& [name, text] : left)
          EXPECT_TRUE((old.contains(name) && text == old.at(name)) ||
                      (made.contains(name) && text == made.at(name)))
              << name;
        if (outcome.exit_code == 0) {
          EXPECT_EQ(left, made);
        }
        // With one call that fails, the set is whole at once.
        if (way == "fail") {
          EXPECT_TRUE(left == old || left == made);
        }
        const Outcome next =
            run_shell("'" ESPQUANT_PROGRAM "' " + (again ? command_ : next_command()));
        EXPECT_EQ(next.exit_code, 0) << next.err;
        Files after = files_in(out());
        EXPECT_EQ(after.erase("next.espdl"), again ? 0U : 1U);
        EXPECT_TRUE(after == made || (!again && after == old));
      }
  }

  /// Another run that writes into the folder.
  std::string next_command() const {
    return "encrypt --key 000102030405060708090a0b0c0d0e0f '" + folder_.path("relu.espdl") +
           "' --out '" + (out() / "next.espdl").string() + "'";
  }

  fs::path out() const { return folder_.root() / "out"; }

  TemporaryFolder folder_;
  std::string command_;
};

TEST_F(Faults, ASetOfResultsAppearsWholeOrNotAtAll) {
  expect_old_or_new(
      "package pack '" + folder_.path("relu.espdl") + "' '" + folder_.path("other.espdl") +
          "' --out '" + (out() / "p.espdl").string() + "'",
      {{"p.espdl", "old package"}, {"p.compile_req.yml", "old request"}, {"mine", "kept"}});
}

TEST_F(Faults, NewFilesAppearBesideOthers) {
  expect_old_or_new(
      "package extract '" + folder_.path("two.espdl") + "' --out '" + out().string() + "'",
      {{"mine", "kept"}});
}

TEST_F(Faults, ASingleResultThatIsWrittenPieceByPiece) {
  write_arrays(folder_.path("x.npz"), {{"x", Tensor(DType::Float32, {1, 3, 2, 2})}});
  expect_old_or_new("run '" + folder_.path("relu.espdl") + "' --input '" + folder_.path("x.npz") +
                        "' --out '" + (out() / "y.npz").string() + "'",
                    {{"y.npz", "old arrays"}});
}

/// Commands that make files of a network.
class NetworkFaults : public Faults {
 protected:
  void SetUp() override {
    Faults::SetUp();
    if (IsSkipped()) return;
    write_text(folder_.path("n.onnx"), onnx_model("Conv", {0.5F, -1, 0.25F, 2}));
    // Loud frames and quiet ones, so that there are banks.
    Tensor frames(DType::Float32, {64, 2, 4, 4});
    Random random(1);
    auto data = frames.mutable_data<float>();
    for (std::size_t i = 0; i < data.size(); ++i)
      data[i] = random.uniform(-1, 1) * (i / 32 % 2 == 0 ? 1.0F : 0x1p-6F);
    write_arrays(folder_.path("c.npz"), {{"x", frames}});
  }
  std::string on_network(const std::string& command, const std::string& more) const {
    return command + " '" + folder_.path("n.onnx") + "' --calib '" + folder_.path("c.npz") + "' " +
           more + " --out '" + out().string() + "'";
  }
};

TEST_F(NetworkFaults, AModelItsBanksAndItsReportAppearTogether) {
  expect_old_or_new(on_network("quantize", "--recipe dynamic"),
                    {{"n_dynamic/n_dynamic.espdl", "old model"},
                     {"n_dynamic/n_dynamic.banks", "old banks"},
                     {"mine", "kept"}},
                    true);
}

TEST_F(NetworkFaults, ModelsThatAreComparedAppearTogether) {
  expect_old_or_new(on_network("compare", "--recipe int8,int16"),
                    {{"n_int8/n_int8.espdl", "old model"}, {"mine", "kept"}}, true);
}

TEST_F(NetworkFaults, ARewrittenModelReplacesTheOldOne) {
  ASSERT_EQ(
      run_shell("'" ESPQUANT_PROGRAM "' " + on_network("quantize", "--recipe int8")).exit_code, 0);
  fs::copy_file(out() / "n_int8/n_int8.espdl", folder_.path("made.espdl"));
  expect_old_or_new("optimize '" + folder_.path("made.espdl") + "' --fit latency --out '" +
                        (out() / "fast.espdl").string() + "'",
                    {{"fast.espdl", "old model"}});
}

TEST_F(Faults, AProjectAppearsWhole) {
  expect_old_or_new(
      "project '" + folder_.path("relu.espdl") + "' --out '" + (out() / "firmware").string() + "'",
      {{"mine", "kept"}}, true);
}

TEST_F(Faults, TwoRunsAtOnceDoNotMixTheirResults) {
  // Both write the same two files again and again; at the end they are of one run.
  write_model_file(folder_.path("third.espdl"), relu_model());
  const std::string one = "package pack '" + folder_.path("relu.espdl") + "' --out '" +
                          (out() / "p.espdl").string() + "' --quiet",
                    two = "package pack '" + folder_.path("third.espdl") + "' --out '" +
                          (out() / "p.espdl").string() + "' --quiet";
  std::vector<Files> whole;
  for (const std::string& command : {one, two}) {
    fs::remove_all(out());
    ASSERT_EQ(run_shell("'" ESPQUANT_PROGRAM "' " + command).exit_code, 0);
    whole.push_back(files_in(out()));
  }
  ASSERT_NE(whole[0], whole[1]);
  const std::string again = "for i in 1 2 3 4 5 6 7 8 9 10; do '" ESPQUANT_PROGRAM "' ";
  const Outcome both = run_shell("(" + again + one + " || exit 1; done) & a=$!; (" + again + two +
                                 " || exit 1; done) & b=$!; wait $a && wait $b");
  EXPECT_EQ(both.exit_code, 0) << both.err;
  const Files left = files_in(out());
  EXPECT_TRUE(left == whole[0] || left == whole[1]);
}

TEST(Interruption, CtrlCStopsARunAndLeavesOldFilesAlone) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("relu.espdl"));
  // So many frames that no machine is through with them before it is stopped.
  write_arrays(folder.path("x.npz"), {{"x", Tensor(DType::Float32, {1'000'000, 3, 2, 2})}});
  write_text(folder.path("y.npz"), "old");
  const Outcome stopped =
      run_shell("'" ESPQUANT_PROGRAM "' run '" + folder.path("relu.espdl") + "' --input '" +
                folder.path("x.npz") + "' --out '" + folder.path("y.npz") + "' & while ! ls -d '" +
                folder.root().string() +
                "'/.espquant-* >/dev/null 2>&1; do sleep 0.01; done; "
                "kill -TERM $!; wait $!");
  EXPECT_EQ(stopped.exit_code, 128 + SIGTERM) << stopped.err;
  EXPECT_NE(stopped.err.find("interrupted; nothing was written"), std::string::npos) << stopped.err;
  EXPECT_EQ(folder.entries(), (std::vector<std::string>{"relu.espdl", "x.npz", "y.npz"}));
  EXPECT_EQ(content_of(folder.path("y.npz")), "old");
}

TEST(Interruption, WhatCtrlCGivesBackIsTheExitCodeOfShells) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("relu.espdl"));
  write_arrays(folder.path("x.npz"), {{"x", Tensor(DType::Float32, {1'000'000, 3, 2, 2})}});
  // A shell has its background jobs ignore SIGINT; env gives it back.
  const Outcome stopped =
      run_shell("/usr/bin/env --default-signal=INT '" ESPQUANT_PROGRAM "' run '" +
                folder.path("relu.espdl") + "' --input '" + folder.path("x.npz") + "' --out '" +
                folder.path("y.npz") + "' & while ! ls -d '" + folder.root().string() +
                "'/.espquant-* >/dev/null 2>&1; do sleep 0.01; done; "
                "kill -INT $!; wait $!");
  EXPECT_EQ(stopped.exit_code, 130) << stopped.err;
  EXPECT_EQ(folder.entries(), (std::vector<std::string>{"relu.espdl", "x.npz"}));
}

}  // namespace
}  // namespace espquant::test
