#include "measure/planned_memory.h"

#include <gtest/gtest.h>

#include "sim/verify.h"
#include "tests/cost/small_model.h"

namespace espquant::measure {
namespace {

const Shape kShape{1, 2, 2, 4};

/// Neg writes over x, seen as y, which the Add reads afterwards.
espdl::Model losing_model() {
  test::SmallModel small;
  small.constant("shape", DType::Int64, {4})
      .input("x", kShape)
      .node("Reshape", {"x", "shape"}, "y", kShape)
      .node("Neg", {"y"}, "z", kShape)
      .attribute("quant_type", std::string("S8"))
      .node("Add", {"x", "z"}, "sum", kShape)
      .attribute("quant_type", std::string("S8"))
      .output("sum");
  espdl::Model model = small.model();
  model.initializers[0].data = Tensor::of<std::int64_t>({4}, std::span(kShape));
  return model;
}

Tensor filled(std::int8_t value) {
  Tensor t(DType::Int8, kShape);
  for (auto& v : t.mutable_data<std::int8_t>()) v = value;
  return t;
}

TEST(PlannedMemory, ALaidOutProgramComputesWithWhatIsLeft) {
  const espdl::Model model = losing_model();
  sim::Program program(model, find_target("esp32s3"));
  const std::map<std::string, Tensor> input{{"x", filled(3)}};
  EXPECT_TRUE(sim::verify(program, input, {{"sum", filled(0)}}).at(0).passed());

  const auto lost = compute_in_planned_memory(program);
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].tensor, "x");
  EXPECT_EQ(lost[0].node, "z");
  const auto checks = sim::verify(program, input, {{"sum", filled(-6)}, {"y", filled(3)}});
  EXPECT_TRUE(checks.at(0).passed()) << "the Add reads what Neg has left in the place of x";
  EXPECT_TRUE(checks.at(1).passed()) << "other tensors are kept as their nodes wrote them";
}

TEST(PlannedMemory, AnOutputIsReadWhenAllNodesHaveRun) {
  test::SmallModel small;
  small.constant("shape", DType::Int64, {4})
      .input("x", kShape)
      .node("Reshape", {"x", "shape"}, "seen", kShape)
      .node("Reshape", {"x", "shape"}, "y", kShape)
      .node("Neg", {"y"}, "z", kShape)
      .attribute("quant_type", std::string("S8"))
      .output("seen")
      .output("z");
  espdl::Model model = small.model();
  model.initializers[0].data = Tensor::of<std::int64_t>({4}, std::span(kShape));
  sim::Program program(model, find_target("esp32s3"));
  EXPECT_EQ(compute_in_planned_memory(program).size(), 1u);
  for (const auto& check :
       sim::verify(program, {{"x", filled(3)}}, {{"seen", filled(-3)}, {"z", filled(-3)}}))
    EXPECT_TRUE(check.passed()) << check.name;
}

TEST(PlannedMemory, CheckNamesWhatIsLost) {
  const auto findings = check_model(losing_model(), find_target("esp32s3"));
  const auto lost = std::find_if(findings.begin(), findings.end(),
                                 [](const auto& f) { return f.name == "overwritten"; });
  ASSERT_NE(lost, findings.end());
  EXPECT_EQ(lost->node, "z");
  EXPECT_EQ(lost->tensor, "x");
}

}  // namespace
}  // namespace espquant::measure
