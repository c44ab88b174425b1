#include "cost/memory_plan.h"

#include <gtest/gtest.h>

#include "espdl/reader.h"
#include "tests/cost/small_model.h"
#include "tests/support/errors.h"
#include "tests/support/shared.h"

namespace espquant::cost {
namespace {

using test::SmallModel;

const Target& memory_plan_s3() { return find_target("esp32s3"); }

const TensorPlace& place_of(const MemoryPlan& plan, std::string_view tensor) {
  for (const auto& place : plan.tensors)
    if (place.name == tensor) return place;
  throw std::runtime_error("no such tensor in the plan");
}

std::size_t offset_of(const MemoryPlan& plan, std::string_view tensor) {
  return place_of(plan, tensor).offset;
}

/// The plan of a model whose every tensor has `n` bytes.
Shape bytes(std::int64_t n) { return {1, n}; }

TEST(MemoryPlan, MemoryOfATensorIsReusedOnceItWasReadLast) {
  const auto plan = plan_memory(SmallModel()
                                    .input("x", bytes(64))
                                    .node("Conv", {"x"}, "a", bytes(64))
                                    .node("Conv", {"a"}, "b", bytes(64))
                                    .node("Conv", {"b"}, "y", bytes(64))
                                    .output("y")
                                    .model(),
                                memory_plan_s3());
  EXPECT_EQ(offset_of(plan, "x"), 0U);
  EXPECT_EQ(offset_of(plan, "a"), 64U);
  EXPECT_EQ(offset_of(plan, "b"), 0U);
  EXPECT_EQ(offset_of(plan, "y"), 64U);
  EXPECT_EQ(plan.psram_bytes, 128U);
  EXPECT_EQ(plan.internal_bytes, 0U);
}

TEST(MemoryPlan, OffsetsAreMultiplesOf16) {
  const auto plan = plan_memory(SmallModel()
                                    .input("x", bytes(5))
                                    .node("Conv", {"x"}, "y", {1, 9}, DType::Int16)
                                    .output("y")
                                    .model(),
                                memory_plan_s3());
  EXPECT_EQ(offset_of(plan, "y"), 16U);
  EXPECT_EQ(place_of(plan, "y").bytes, 18U);
  EXPECT_EQ(plan.psram_bytes, 16U + 32U);
}

TEST(MemoryPlan, TakesTheSmallestHoleThatIsLargeEnough) {
  // Holes of 64 (x), 32 (b) and 48 (d) bytes, kept apart by a, c and e, when y of 40 bytes comes.
  const auto plan = plan_memory(SmallModel()
                                    .input("x", bytes(64))
                                    .node("Conv", {"x"}, "a", bytes(16))
                                    .node("Conv", {"x"}, "b", bytes(32))
                                    .node("Conv", {"x"}, "c", bytes(16))
                                    .node("Conv", {"x"}, "d", bytes(48))
                                    .node("Concat", {"x", "b", "d"}, "e", bytes(16))
                                    .node("Conv", {"e"}, "y", bytes(40))
                                    .output("a")
                                    .output("c")
                                    .output("e")
                                    .output("y")
                                    .model(),
                                memory_plan_s3());
  EXPECT_EQ(offset_of(plan, "d"), 128U);
  EXPECT_EQ(offset_of(plan, "y"), 128U);
}

TEST(MemoryPlan, AFreeEndOfTheBlockIsExtended) {
  const auto plan = plan_memory(SmallModel()
                                    .input("x", bytes(16))
                                    .node("Conv", {"x"}, "a", bytes(16))
                                    .node("Conv", {"x"}, "b", bytes(32))
                                    .node("Conv", {"b"}, "c", bytes(16))
                                    .node("Conv", {"a", "c"}, "y", bytes(64))
                                    .output("a")
                                    .output("y")
                                    .model(),
                                memory_plan_s3());
  // b ended the block at 64 and is free; c went into the hole that x left.
  EXPECT_EQ(offset_of(plan, "c"), 0U);
  EXPECT_EQ(offset_of(plan, "y"), 32U);
  EXPECT_EQ(plan.psram_bytes, 96U);
}

TEST(MemoryPlan, ActivationsOverwriteTheirInput) {
  const auto plan = plan_memory(SmallModel()
                                    .input("x", bytes(64))
                                    .node("Conv", {"x"}, "a", bytes(64))
                                    .node("Relu", {"a"}, "b", bytes(64))
                                    .node("Conv", {"b"}, "y", bytes(16))
                                    .output("y")
                                    .model(),
                                memory_plan_s3());
  EXPECT_EQ(place_of(plan, "b").shares, "a");
  EXPECT_EQ(offset_of(plan, "b"), offset_of(plan, "a"));
  EXPECT_EQ(place_of(plan, "a").end, 3U) << "lives until its follower was read";
}

TEST(MemoryPlan, ATensorThatIsReadAgainIsNotOverwritten) {
  const auto plan = plan_memory(SmallModel()
                                    .input("x", bytes(64))
                                    .node("Conv", {"x"}, "a", bytes(64))
                                    .node("Relu", {"a"}, "b", bytes(64))
                                    .node("Concat", {"a", "b"}, "y", bytes(128))
                                    .output("y")
                                    .model(),
                                memory_plan_s3());
  EXPECT_EQ(place_of(plan, "b").shares, "");
  EXPECT_NE(offset_of(plan, "b"), offset_of(plan, "a"));
}

TEST(MemoryPlan, AddTakesTheFirstInputThatIsLargeEnough) {
  const auto plan = plan_memory(SmallModel()
                                    .input("small", bytes(16))
                                    .input("large", bytes(64))
                                    .node("Add", {"small", "large"}, "y", bytes(64))
                                    .node("Conv", {"y"}, "z", bytes(16))
                                    .output("z")
                                    .model(),
                                memory_plan_s3());
  EXPECT_EQ(place_of(plan, "y").shares, "large");
}

TEST(MemoryPlan, OutputsOfTheNetworkAreNeitherOverwrittenNorFreed) {
  const auto plan = plan_memory(SmallModel()
                                    .input("x", bytes(16))
                                    .node("Conv", {"x"}, "y", bytes(64))
                                    .node("Relu", {"y"}, "a", bytes(64))
                                    .node("Conv", {"a"}, "b", bytes(64))
                                    .node("Conv", {"b"}, "z", bytes(64))
                                    .output("y")
                                    .output("z")
                                    .model(),
                                memory_plan_s3());
  EXPECT_EQ(place_of(plan, "a").shares, "");
  EXPECT_EQ(place_of(plan, "y").end, std::nullopt);
  EXPECT_TRUE(plan.overwrites.empty());
}

TEST(MemoryPlan, MulAndSubHaveMemoryOfTheirOwn) {
  for (const char* op : {"Mul", "Sub"}) {
    const auto plan = plan_memory(
        SmallModel().input("x", bytes(16)).node(op, {"x", "x"}, "y", bytes(16)).output("y").model(),
        memory_plan_s3());
    EXPECT_EQ(place_of(plan, "y").shares, "") << op;
  }
}

TEST(MemoryPlan, ReportsWhatTheRuntimeOverwritesThroughAReshape) {
  // The runtime cuts x from what overwrites it, but not from what overwrites x's alias y.
  const auto plan = plan_memory(SmallModel()
                                    .input("x", bytes(64))
                                    .node("Reshape", {"x"}, "y", {64})
                                    .node("Relu", {"y"}, "z", {64})
                                    .node("Concat", {"x", "z"}, "out", bytes(128))
                                    .output("out")
                                    .model(),
                                memory_plan_s3());
  ASSERT_EQ(plan.overwrites.size(), 1U);
  EXPECT_EQ(plan.overwrites[0].tensor, "x");
  EXPECT_EQ(plan.overwrites[0].node, "z");
}

TEST(MemoryPlan, InternalRamIsFilledFirst) {
  const auto model = SmallModel()
                         .input("x", bytes(64))
                         .node("Conv", {"x"}, "a", bytes(32))
                         .node("Conv", {"a"}, "y", bytes(64))
                         .output("y")
                         .model();
  PlannerOptions options;
  options.max_internal_size = 64;
  const auto plan = plan_memory(model, memory_plan_s3(), options);
  EXPECT_EQ(place_of(plan, "x").memory, Memory::Internal);
  EXPECT_EQ(place_of(plan, "a").memory, Memory::Psram);
  EXPECT_EQ(place_of(plan, "y").memory, Memory::Internal);
  EXPECT_EQ(plan.internal_bytes, 64U);
  EXPECT_EQ(plan.psram_bytes, 32U);
}

TEST(MemoryPlan, WithoutPsramEverythingIsInternal) {
  const auto model =
      SmallModel().input("x", bytes(64)).node("Conv", {"x"}, "y", bytes(64)).output("y").model();
  const auto plan = plan_memory(model, find_target("esp32c3"));
  EXPECT_EQ(plan.internal_bytes, 128U);
  EXPECT_EQ(plan.psram_bytes, 0U);
}

TEST(MemoryPlan, CountsParametersOnceAndACopyForEachReader) {
  auto model = SmallModel()
                   .input("x", bytes(16))
                   .constant("w", DType::Int8, {1, 1, 16, 17})
                   .node("Conv", {"x", "w"}, "a", bytes(16))
                   .node("Conv", {"a", "w"}, "y", bytes(16))
                   .output("y")
                   .model();
  EXPECT_EQ(plan_memory(model, memory_plan_s3()).parameter_bytes, 272U);
  EXPECT_EQ(plan_memory(model, memory_plan_s3()).parameter_copy_bytes, 544U);
  PlannerOptions in_flash;
  in_flash.copy_parameters = false;
  EXPECT_EQ(plan_memory(model, memory_plan_s3(), in_flash).parameter_bytes, 272U);
  EXPECT_EQ(plan_memory(model, memory_plan_s3(), in_flash).parameter_copy_bytes, 0U);
}

TEST(MemoryPlan, TheS3KeepsARepackedBias) {
  const auto model = SmallModel()
                         .input("x", {1, 1, 1, 16})
                         .constant("w", DType::Int8, {1, 1, 16, 18})
                         .constant("b", DType::Int32, {18})
                         .node("Conv", {"x", "w", "b"}, "y", {1, 1, 1, 18})
                         .output("y")
                         .model();
  PlannerOptions in_flash;
  in_flash.copy_parameters = false;
  // 16 channels of 4 bytes, 2 of 8 (ESP-DL 4.3).
  EXPECT_EQ(plan_memory(model, memory_plan_s3(), in_flash).scratch[0].kept, 80U);
  EXPECT_EQ(plan_memory(model, memory_plan_s3()).scratch[0].kept, 0U)
      << "it replaces the copy of 80 bytes";
  EXPECT_EQ(plan_memory(model, find_target("esp32p4"), in_flash).scratch[0].kept, 0U);
}

TEST(MemoryPlan, CountsBuffersBesideThePlan) {
  const auto plan = plan_memory(SmallModel()
                                    .input("x", {1, 4, 4, 8})
                                    .node("Resize", {"x"}, "r", {1, 8, 8, 8})
                                    .attribute("mode", std::string("linear"))
                                    .node("GlobalAveragePool", {"r"}, "g", {1, 1, 1, 8})
                                    .node("Softmax", {"g"}, "y", {1, 1, 1, 8}, DType::Float32)
                                    .output("y")
                                    .model(),
                                memory_plan_s3());
  EXPECT_EQ(plan.scratch[0].kept, 4U * (3 * 8 + 2 * 8 * 8));
  EXPECT_EQ(plan.scratch[1].per_run, 32U);
  EXPECT_EQ(plan.scratch[2].kept, 1024U);
  EXPECT_EQ(plan.ram_bytes(), plan.psram_bytes + plan.scratch[0].kept + 1024 + 32);
}

/// 1x1 convolutions of 24 to 20 channels, by release.
TEST(MemoryPlan, BuffersOfPointwiseConvolutionsDependOnTheRelease) {
  const auto per_run = [](const char* chip, const char* release, std::int64_t pad) {
    const auto model = SmallModel()
                           .input("x", {1, 4, 4, 24})
                           .constant("w", DType::Int8, {1, 1, 24, 20})
                           .node("Conv", {"x", "w"}, "y", {1, 4 + 2 * pad, 4 + 2 * pad, 20})
                           .attribute("pads", std::vector<std::int64_t>{pad, pad, pad, pad})
                           .output("y")
                           .model();
    return plan_memory(model, find_target(chip).under(find_release(release))).scratch[0].per_run;
  };
  EXPECT_EQ(per_run("esp32s3", "3.3.9", 1), 0U);
  EXPECT_EQ(per_run("esp32s3", "3.3.15", 1), 32U);
  EXPECT_EQ(per_run("esp32s3", "3.3.15", 0), 0U);
  EXPECT_EQ(per_run("esp32", "3.3.9", 0), 80U);
  EXPECT_EQ(per_run("esp32", "3.3.15", 0), 8U * 24 + 16U * 20);
  EXPECT_EQ(per_run("esp32", "3.3.15", 1), 80U);
}

TEST(MemoryPlan, RefusesInternalRamThatIsNoMultipleOf16) {
  PlannerOptions options;
  options.max_internal_size = 1000;
  const auto error =
      test::error_of([&] { plan_memory(espdl::Model{}, memory_plan_s3(), options); });
  EXPECT_EQ(error.code(), ErrorCode::Usage);
}

TEST(MemoryPlan, RefusesATensorOfUnknownShape) {
  auto model =
      SmallModel().input("x", bytes(16)).node("Relu", {"x"}, "y", bytes(16)).output("y").model();
  model.values.pop_back();
  const auto error = test::error_of([&] { plan_memory(model, memory_plan_s3()); });
  EXPECT_EQ(error.code(), ErrorCode::Malformed);
  EXPECT_EQ(error.tensor(), "y");
}

TEST(MemoryPlan, RefusesATensorThatNothingWrites) {
  auto model =
      SmallModel().input("x", bytes(16)).node("Relu", {"x"}, "y", bytes(16)).output("y").model();
  model.inputs.clear();
  const auto error = test::error_of([&] { plan_memory(model, memory_plan_s3()); });
  EXPECT_EQ(error.code(), ErrorCode::Malformed);
  EXPECT_EQ(error.node(), "y");
  EXPECT_EQ(error.tensor(), "x");
}

TEST(MemoryPlan, RefusesMoreThanAChipCanAddress) {
  const auto error = test::error_of([&] {
    plan_memory(SmallModel().input("x", {1 << 16, 1 << 16}).node("Relu", {"x"}, "y", {1}).model(),
                memory_plan_s3());
  });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_EQ(error.tensor(), "x");
}

struct ShippedModel {
  const char* file;
  std::size_t psram_bytes, psram_bytes_beside_64_kib;
};

/// What ESP-DL 3.3.9's own planner, compiled for a PC, makes of Espressif's models.
class ShippedModels : public testing::TestWithParam<ShippedModel> {};

TEST_P(ShippedModels, PlanIsTheRuntimes) {
  const auto& expected = GetParam();
  const std::string file = std::string("golden/zoo/") + expected.file;
  ESPQUANT_NEEDS_SHARED(file);
  const auto model = espdl::read_model_file(test::shared_dir() / file, {});
  const auto plan = plan_memory(model, memory_plan_s3());
  EXPECT_EQ(plan.psram_bytes, expected.psram_bytes);
  EXPECT_TRUE(plan.overwrites.empty());
  PlannerOptions options;
  options.max_internal_size = 64 * 1024;
  EXPECT_EQ(plan_memory(model, memory_plan_s3(), options).psram_bytes,
            expected.psram_bytes_beside_64_kib);
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, ShippedModels,
    testing::Values(ShippedModel{"coco_detect_yolo11n_320_s8_v1_s3.espdl", 1024000, 1024000},
                    ShippedModel{"espdet_pico_224_224_cat_s3.espdl", 351232, 401408},
                    ShippedModel{"human_face_detect_msr_s8_v1_s3.espdl", 202400, 144800},
                    ShippedModel{"imagenet_cls_mobilenetv2_s8_v1_s3.espdl", 1705984, 1705984},
                    ShippedModel{"person_reid_feat_osn_s8_v1_s3.espdl", 184320, 147456},
                    ShippedModel{"pp_ocr_v6_rec_s16_p4.espdl", 571680, 552480},
                    ShippedModel{"yolo26n_512_s8_s3_s3.espdl", 2621440, 2490368}),
    [](const auto& model) {
      std::string name = model.param.file;
      return name.substr(0, name.find('.'));
    });

}  // namespace
}  // namespace espquant::cost
