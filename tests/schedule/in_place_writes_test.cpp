#include "schedule/in_place_writes.h"

#include <gtest/gtest.h>

#include "cost/memory_plan.h"
#include "tests/cost/small_model.h"

namespace espquant::schedule {
namespace {

using test::SmallModel;
using Remedy = MovedWrite::Remedy;

const Shape kImage{1, 4, 4, 16}, kFlat{1, 256};

SmallModel reshaped_input() {
  return SmallModel()
      .constant("flat", DType::Int64, {2})
      .constant("image", DType::Int64, {4})
      .input("x", kImage)
      .node("Reshape", {"x", "flat"}, "y", kFlat);
}

std::vector<std::string> order_of(const espdl::Model& model) {
  std::vector<std::string> names;
  for (const auto& node : model.nodes) names.push_back(node.name);
  return names;
}

class InPlaceWrites : public testing::Test {
 protected:
  std::vector<MovedWrite> protect(const SmallModel& small) {
    model = small.model();
    auto moved = protect_from_in_place_writes(model, find_target("esp32s3"));
    EXPECT_TRUE(cost::plan_memory(model, find_target("esp32s3")).overwrites.empty());
    return moved;
  }
  espdl::Model model;
};

TEST_F(InPlaceWrites, AModelThatLosesNothingStays) {
  const SmallModel small = reshaped_input().node("Relu", {"y"}, "z", kFlat).output("z");
  EXPECT_TRUE(protect(small).empty());
  EXPECT_EQ(model.nodes, small.model().nodes);
}

TEST_F(InPlaceWrites, TheWriterGoesBehindAReaderThatDoesNotNeedIt) {
  const auto moved = protect(reshaped_input()
                                 .node("Relu", {"y"}, "z", kFlat)
                                 .node("MaxPool", {"x"}, "p", kImage)
                                 .output("z")
                                 .output("p"));
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].remedy, Remedy::Order);
  EXPECT_EQ(moved[0].node, "z");
  EXPECT_EQ(moved[0].tensor, "x");
  EXPECT_EQ(order_of(model), (std::vector<std::string>{"y", "p", "z"}));
}

TEST_F(InPlaceWrites, AReaderThatNeedsTheWriterReadsThroughAnAlias) {
  const auto moved = protect(reshaped_input()
                                 .node("Sigmoid", {"y"}, "z", kFlat)
                                 .node("Reshape", {"z", "image"}, "back", kImage)
                                 .node("Mul", {"x", "back"}, "product", kImage)
                                 .output("product"));
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].remedy, Remedy::Alias);
  EXPECT_EQ(order_of(model),
            (std::vector<std::string>{"y", "x_kept_node", "z", "back", "product"}));
  EXPECT_EQ(model.nodes[1].op, "Reshape");
  EXPECT_EQ(model.nodes[1].inputs[0], "y");
  EXPECT_EQ(model.nodes[4].inputs[0], "x_kept");
  EXPECT_EQ(model.find_value("x_kept")->shape, kImage);
}

TEST_F(InPlaceWrites, AnOutputIsShownByAnAliasThatThePlannerSees) {
  // a and the output are two views of x: Relu writes over both.
  const auto moved = protect(SmallModel()
                                 .constant("flat", DType::Int64, {2})
                                 .input("in", kImage)
                                 .node("Conv", {"in"}, "x", kImage)
                                 .node("Reshape", {"x", "flat"}, "seen", kFlat)
                                 .node("Reshape", {"x", "flat"}, "a", kFlat)
                                 .node("Relu", {"a"}, "z", kFlat)
                                 .output("seen")
                                 .output("z"));
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].remedy, Remedy::Alias);
  EXPECT_EQ(order_of(model), (std::vector<std::string>{"x", "a", "seen_node", "z"}));
  EXPECT_EQ(model.nodes[2].inputs[0], "a");
  EXPECT_EQ(model.nodes[2].outputs[0], "seen");
}

TEST_F(InPlaceWrites, AnOutputThatIsReadBeforeKeepsItsReaders) {
  protect(SmallModel()
              .constant("flat", DType::Int64, {2})
              .input("in", kImage)
              .node("Conv", {"in"}, "x", kImage)
              .node("Reshape", {"x", "flat"}, "seen", kFlat)
              .node("Softmax", {"seen"}, "s", kFlat)
              .node("Reshape", {"x", "flat"}, "a", kFlat)
              .node("Relu", {"a"}, "z", kFlat)
              .output("seen")
              .output("s")
              .output("z"));
  EXPECT_EQ(model.nodes[1].outputs[0], "seen_early");
  EXPECT_EQ(model.nodes[2].inputs[0], "seen_early");
}

TEST_F(InPlaceWrites, AnOutputIsMadeWhenItsMemoryIsNotReadAnyMore) {
  // The planner gives x back behind p, and with it the output that lies there.
  const auto moved = protect(SmallModel()
                                 .constant("flat", DType::Int64, {2})
                                 .input("in", kImage)
                                 .node("Conv", {"in"}, "x", kImage)
                                 .node("Reshape", {"x", "flat"}, "seen", kFlat)
                                 .node("MaxPool", {"x"}, "p", kImage)
                                 .node("Conv", {"p"}, "q", kImage)
                                 .output("seen")
                                 .output("q"));
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].remedy, Remedy::Last);
  EXPECT_EQ(moved[0].tensor, "seen");
  EXPECT_EQ(order_of(model), (std::vector<std::string>{"x", "p", "seen", "q"}));
}

TEST_F(InPlaceWrites, SeveralViewsAreProtectedOneAfterTheOther) {
  EXPECT_FALSE(protect(reshaped_input()
                           .node("Reshape", {"y", "image"}, "w", kImage)
                           .node("Relu", {"w"}, "z", kImage)
                           .node("Sigmoid", {"z"}, "s", kImage)
                           .node("Reshape", {"x", "flat"}, "v", kFlat)
                           .node("Tanh", {"v"}, "t", kFlat)
                           .node("Mul", {"y", "t"}, "m", kFlat)
                           .node("Mul", {"x", "s"}, "n", kImage)
                           .output("m")
                           .output("n"))
                   .empty());
}

}  // namespace
}  // namespace espquant::schedule
