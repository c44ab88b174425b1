#include "sim/verify.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/sim/one_node.h"

namespace espquant::test {
namespace {

using sim::compare;
using sim::Tolerance;

TEST(Compare, Int8IsExactAndInt16MayBeOffByOne) {
  EXPECT_FALSE(compare("y", int8({1, 2}), int8({1, 3})).passed());
  EXPECT_TRUE(compare("y", int16({1, 2}), int16({1, 3})).passed());
  EXPECT_FALSE(compare("y", int16({1, 2}), int16({1, 4})).passed());
  EXPECT_FALSE(compare("y", int16({1, 2}), int16({1, 3}), {Tolerance::Exact}).passed());
}

TEST(Compare, FloatsHaveAnAbsoluteToleranceAndNanEqualsNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(compare("y", float32({1.0F, nan}), float32({1.00001F, nan})).passed());
  EXPECT_FALSE(compare("y", float32({1.0F}), float32({1.0001F})).passed());
  EXPECT_FALSE(compare("y", float32({nan}), float32({1.0F})).passed());
}

TEST(Compare, ReportsCountSizeAndPlaceOfTheDifferences) {
  const auto check = compare("y", int8({0, 5, 0, -7}), int8({0, 1, 0, 1}));
  EXPECT_EQ(check.elements, 4);
  EXPECT_EQ(check.mismatches, 2);
  EXPECT_EQ(check.first, 1);
  EXPECT_EQ(check.largest, 8);
}

TEST(Compare, TypeAndShapeMustAgree) {
  EXPECT_FALSE(compare("y", int8({1}), int16({1})).problem.empty());
  EXPECT_FALSE(compare("y", int8({1, 2}), int8({1, 2}, {2, 1})).problem.empty());
}

/// Doubles the exponent of an int8 input, with test values.
espdl::Model with_test_values(Tensor given, int given_exponent, Tensor expected,
                              int expected_exponent) {
  OneNode node("RequantizeLinear");
  node.input(int8({0, 0}), -1).output(DType::Int8, 0);
  espdl::Model model = node.model();
  model.test_inputs.push_back({model.inputs[0], std::move(given), {given_exponent}, ""});
  model.test_outputs.push_back({model.outputs[0], std::move(expected), {expected_exponent}, ""});
  return model;
}

bool passes(const espdl::Model& model) {
  return sim::verify_test_values(sim::Program(model, find_target("esp32s3")))[0].passed();
}

TEST(VerifyTestValues, ComparesTheOutputsOfTheTestInputs) {
  EXPECT_TRUE(passes(with_test_values(int8({4, 6}), -1, int8({2, 3}), 0)));
  EXPECT_FALSE(passes(with_test_values(int8({4, 6}), -1, int8({2, 4}), 0)));
}

TEST(VerifyTestValues, BringsTestInputsToTheExponentOfTheInput) {
  EXPECT_TRUE(passes(with_test_values(int8({2, 3}), 0, int8({2, 3}), 0)));
  EXPECT_TRUE(passes(with_test_values(float32({2.0F, 3.0F}), 0, int8({2, 3}), 0)));
}

TEST(VerifyTestValues, ExponentsMustAgree) {
  EXPECT_FALSE(passes(with_test_values(int8({4, 6}), -1, int8({2, 3}), 1)));
}

TEST(VerifyTestValues, AModelWithoutTestValuesIsAnError) {
  espdl::Model model = with_test_values(int8({4, 6}), -1, int8({2, 3}), 0);
  model.test_inputs.clear();
  EXPECT_THROW(passes(model), Error);
  model.test_outputs.clear();
  EXPECT_THROW(passes(model), Error);
}

TEST(Verify, TakesInputsAndOutputsByName) {
  OneNode node("RequantizeLinear");
  node.input(int8({0, 0}), -1).output(DType::Int8, 0);
  const sim::Program program(node.model(), find_target("esp32s3"));
  const auto checks = sim::verify(program, {{"input0", int8({4, 6})}}, {{"output0", int8({2, 3})}});
  ASSERT_EQ(checks.size(), 1U);
  EXPECT_TRUE(checks[0].passed());
  EXPECT_THROW(sim::verify(program, {}, {}), Error);
}

}  // namespace
}  // namespace espquant::test
