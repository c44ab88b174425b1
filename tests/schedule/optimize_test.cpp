#include "schedule/optimize.h"

#include <gtest/gtest.h>

#include "schedule/same_integers.h"
#include "tests/schedule/filled.h"
#include "tests/support/errors.h"

namespace espquant::schedule {
namespace {

using test::filled;
using test::SmallModel;

TEST(Goal, IsReadFromText) {
  EXPECT_TRUE(parse_goal("latency").latency);
  EXPECT_FALSE(parse_goal("latency").ram);
  EXPECT_EQ(parse_goal("ram=200K").ram, 200u * 1024);
  EXPECT_EQ(parse_goal("ram=2M").ram, 2u * 1024 * 1024);
  EXPECT_EQ(parse_goal("ram=1.5K").ram, 1536u);
  const Goal both = parse_goal("ram=1000,latency");
  EXPECT_TRUE(both.latency);
  EXPECT_EQ(both.ram, 1000u);
  for (const char* wrong : {"", "fast", "ram", "ram=", "ram=0", "ram=K", "ram=-1", "ram=0.5",
                            "ram=9999999M", "latency,", "latency,latency", "ram=1K,ram=2K"})
    EXPECT_EQ(test::error_of([&] { parse_goal(wrong); }).code(), ErrorCode::Usage) << wrong;
}

SmallModel one_filter() {
  return SmallModel()
      .input("x", {1, 8, 8, 1024})
      .constant("w", DType::Int8, {1, 1, 1024, 256}, {-9})
      .node("Conv", {"x", "w"}, "y", {1, 8, 8, 256})
      .attribute("quant_type", std::string("S8"))
      .output("y");
}

const Target& old_s3() { return find_target("esp32s3").under(find_release("3.3.9")); }

TEST(Optimize, SaysWhatWasDone) {
  const auto made = optimize(filled(one_filter()), {old_s3()}, {parse_goal("latency"), {}});
  ASSERT_EQ(made.done.size(), 1u);
  EXPECT_EQ(made.done[0].name, "split_filters");
  EXPECT_EQ(made.model.metadata_value("espquant.schedule"), "split_filters 1");
  EXPECT_EQ(made.model.metadata_value("target"), "esp32s3");
  EXPECT_EQ(made.model.metadata_value("espquant.espdl"), "3.3.9");
}

TEST(Optimize, LeavesOutWhatIsDisabled) {
  const espdl::Model model = filled(one_filter());
  const auto made = optimize(model, {old_s3()}, {parse_goal("latency"), {"split_filters"}});
  EXPECT_TRUE(made.done.empty());
  EXPECT_EQ(made.model.nodes, model.nodes);
  EXPECT_TRUE(made.model.metadata.empty());
  const Error error = test::error_of([&] {
    optimize(model, {old_s3()}, {parse_goal("latency"), {"split_filter"}});
  });
  EXPECT_EQ(error.code(), ErrorCode::Usage);
  EXPECT_EQ(error.remedy(), "Did you mean 'split_filters'?");
}

TEST(SameIntegers, ASingleOtherWeightIsFound) {
  const espdl::Model before = filled(one_filter());
  espdl::Model after = before;
  require_same_integers(before, after, old_s3());
  after.initializers[0].data.mutable_data<std::int8_t>()[5] ^= 64;
  const Error error = test::error_of([&] { require_same_integers(before, after, old_s3()); });
  EXPECT_EQ(error.code(), ErrorCode::Internal);
  EXPECT_EQ(error.tensor(), "y");
}

}  // namespace
}  // namespace espquant::schedule
