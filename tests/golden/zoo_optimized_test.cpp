#include <gtest/gtest.h>

#include <map>

#include "cost/latency.h"
#include "cost/memory_plan.h"
#include "schedule/optimize.h"
#include "tests/golden/golden_runner.h"
#include "tests/support/shared.h"

/// Shipped networks, rearranged for their chip: still every element of what ESP-DL gives, and what
/// is won by estimate.
namespace espquant::test {
namespace {

struct ZooCase {
  std::string release, goal;
};

class ZooOptimized : public testing::TestWithParam<ZooCase> {};

const Target& chip_of(const std::string& name, const std::string& release) {
  return find_target(name.ends_with("_p4") ? "esp32p4" : "esp32s3").under(find_release(release));
}

double milliseconds_of(const espdl::Model& model, const Target& target) {
  return cost::estimate_latency(model, target).milliseconds;
}

TEST_P(ZooOptimized, GivesWhatEspDlGives) {
  ESPQUANT_NEEDS_SHARED("golden/zoo");
  const auto goal = schedule::parse_goal(GetParam().goal);
  GoldenSummary summary("zoo, " + GetParam().goal + ", " + GetParam().release);
  for (const auto& file : files_below(shared_dir() / "golden/zoo", ".espdl")) {
    const std::string name = file.stem().string();
    run_case(summary, name, [&] {
      const Target& target = chip_of(name, GetParam().release);
      const espdl::Model model = espdl::read_model_file(file);
      const auto made = schedule::optimize(model, {target}, {goal, {}});
      EXPECT_TRUE(cost::plan_memory(made.model, target).overwrites.empty()) << name;
      EXPECT_LE(milliseconds_of(made.model, target), milliseconds_of(model, target)) << name;
      const auto npz = data::read_npz(std::filesystem::path(file).replace_extension(".npz"));
      const sim::Program program(made.model, target, kAsOnAPc);
      return sim::verify(program, entries(npz, "input:"), entries(npz, "output:"),
                         {sim::Tolerance::Exact});
    });
  }
  summary.print();
  EXPECT_GT(summary.cases, 0);
  EXPECT_TRUE(summary.failed.empty());
}

INSTANTIATE_TEST_SUITE_P(Latency, ZooOptimized,
                         testing::Values(ZooCase{"3.3.9", "latency"},
                                         ZooCase{"3.3.14", "latency"}));

TEST(ZooOptimized, WhatFiltersBeyondTheCacheTakeIsWon) {
  ESPQUANT_NEEDS_SHARED("golden/zoo");
  const std::map<std::string, double> most = {{"imagenet_cls_mobilenetv2_s8_v1_s3", 0.32},
                                              {"coco_detect_yolo11n_320_s8_v1_s3", 0.45}};
  for (const auto& [name, share] : most) {
    const Target& target = chip_of(name, "3.3.9");
    const auto model = espdl::read_model_file(shared_dir() / "golden/zoo" / (name + ".espdl"));
    const auto made = schedule::optimize(model, {target}, {schedule::parse_goal("latency"), {}});
    EXPECT_LT(milliseconds_of(made.model, target), share * milliseconds_of(model, target)) << name;
  }
}

/// Of networks whose first activations are the largest.
struct SmallerCase {
  std::string name, goal;
  /// Estimated milliseconds, as a share of those before.
  double most_time;
};

TEST(ZooOptimized, LargeActivationsNeverExistWhole) {
  ESPQUANT_NEEDS_SHARED("golden/zoo");
  const std::vector<SmallerCase> cases = {
      {"imagenet_cls_mobilenetv2_s8_v1_s3", "ram=600000", 1.15},
      {"imagenet_cls_mobilenetv2_s8_v1_p4", "ram=600000", 1.15},
      {"espdet_pico_224_224_cat_s3", "ram=220000", 1.2},
      {"espdet_pico_224_224_cat_p4", "ram=220000", 1.2},
      {"mobilenetv2_0_5_128_128_gesture_s3", "ram=130K", 1.15},
      {"human_face_feat_mfn_s8_v1_s3", "ram=500K", 1.15},
      {"coco_detect_yolo11n_320_s8_v1_s3", "ram=600K", 1.15}};
  for (const auto& one : cases) {
    SCOPED_TRACE(one.name);
    const auto goal = schedule::parse_goal(one.goal);
    const Target& target = chip_of(one.name, "3.3.14");
    const auto model = espdl::read_model_file(shared_dir() / "golden/zoo" / (one.name + ".espdl"));
    const auto made = schedule::optimize(model, {target}, {goal, {}});
    EXPECT_LE(cost::plan_memory(made.model, target).activation_bytes(), *goal.ram);
    EXPECT_LE(milliseconds_of(made.model, target), one.most_time * milliseconds_of(model, target));
    const auto npz = data::read_npz(shared_dir() / "golden/zoo" / (one.name + ".npz"));
    const sim::Program program(made.model, target, kAsOnAPc);
    for (const auto& check : sim::verify(program, entries(npz, "input:"), entries(npz, "output:"),
                                         {sim::Tolerance::Exact}))
      EXPECT_TRUE(check.passed()) << check.name;
  }
}

}  // namespace
}  // namespace espquant::test
