#include "cost/internal_ram.h"

#include <gtest/gtest.h>

#include "tests/cost/small_model.h"

namespace espquant::cost {
namespace {

constexpr std::size_t kPlenty = 256 * 1024;

/// Element-wise layers on 16 KiB each: hardly more than waiting for them.
espdl::Model waiting_model() {
  const Shape shape{1, 32, 32, 16};
  return test::SmallModel()
      .input("x", shape)
      .node("Add", {"x", "x"}, "a", shape)
      .node("Add", {"a", "x"}, "b", shape)
      .node("Add", {"b", "a"}, "y", shape)
      .output("y")
      .model();
}

std::optional<InternalRam> recommended(const std::string& chip, std::size_t most = kPlenty,
                                       const PlannerOptions& planner = {}) {
  return recommend_internal_ram(waiting_model(), find_target(chip), planner, {}, most);
}

TEST(InternalRam, IsRecommendedWhereItSavesWaiting) {
  const auto whole = recommended("esp32s3");
  ASSERT_TRUE(whole);
  const auto model = waiting_model();
  const double without = estimate_latency(model, find_target("esp32s3")).milliseconds;
  EXPECT_LT(whole->milliseconds, 0.9 * without);
  // What the planner and the estimate say of it.
  PlannerOptions options;
  options.max_internal_size = whole->bytes;
  const auto plan = plan_memory(model, find_target("esp32s3"), options);
  EXPECT_EQ(plan.internal_bytes, whole->internal_bytes);
  EXPECT_EQ(plan.psram_bytes, whole->psram_bytes);
  LatencyOptions latency;
  latency.internal_tensors = internal_tensors_of(plan);
  EXPECT_DOUBLE_EQ(estimate_latency(model, find_target("esp32s3"), latency).milliseconds,
                   whole->milliseconds);
}

TEST(InternalRam, IsNoMoreThanThereIs) {
  const auto part = recommended("esp32s3", 20 * 1024);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->bytes, 16u * 1024);
  EXPECT_GT(part->milliseconds, recommended("esp32s3")->milliseconds);
  EXPECT_FALSE(recommended("esp32s3", 8 * 1024));
}

TEST(InternalRam, IsNotRecommendedWhereItIsAllThatThereIs) {
  EXPECT_FALSE(recommended("esp32c3"));
  PlannerOptions options;
  options.has_psram = false;
  EXPECT_FALSE(recommended("esp32s3", kPlenty, options));
}

}  // namespace
}  // namespace espquant::cost
