#include <gtest/gtest.h>

#include "tests/passes/run_pass.h"

namespace espquant::passes {
namespace {

using test::after_pass;
using test::expect_untouched;
using test::Ints;
using test::Network;
using test::Operators;
using test::operators_of;

/// Relu -> node -> Neg over x of shape 1x2x4x4, so that the node stands in the middle.
using Builder = ValueId (*)(Network&, ValueId);
Graph in_the_middle(Builder build) {
  Network n(18);
  const ValueId x = n.input("x", {1, 2, 4, 4});
  return n.finish({n.node("Neg", {build(n, n.node("Relu", {x}))})});
}

struct RemoveIdentityCase {
  const char* name;
  Builder build;
};
void PrintTo(const RemoveIdentityCase& c, std::ostream* out) { *out << c.name; }

class RemovesIdentity : public testing::TestWithParam<RemoveIdentityCase> {};
TEST_P(RemovesIdentity, InTheMiddle) {
  const Graph graph = after_pass(remove_identity, in_the_middle(GetParam().build));
  EXPECT_EQ(operators_of(graph), (Operators{"Relu", "Neg"}));
}

INSTANTIATE_TEST_SUITE_P(
    Of, RemovesIdentity,
    testing::Values(
        RemoveIdentityCase{"Identity",
                           [](Network& n, ValueId x) { return n.node("Identity", {x}); }},
        RemoveIdentityCase{"Dropout", [](Network& n, ValueId x) { return n.node("Dropout", {x}); }},
        RemoveIdentityCase{"Cast",
                           [](Network& n, ValueId x) {
                             return n.node("Cast", {x}, {{"to", std::int64_t{1}}});
                           }},
        RemoveIdentityCase{"Reshape",
                           [](Network& n, ValueId x) {
                             return n.node("Reshape", {x, n.ints({0, 2, -1, 4})});
                           }},
        RemoveIdentityCase{"Transpose",
                           [](Network& n, ValueId x) {
                             return n.node("Transpose", {x}, {{"perm", Ints{0, 1, 2, 3}}});
                           }},
        RemoveIdentityCase{"Pad",
                           [](Network& n, ValueId x) {
                             return n.node("Pad", {x, n.ints({0, 0, 0, 0, 0, 0, 0, 0})});
                           }},
        RemoveIdentityCase{"Slice",
                           [](Network& n, ValueId x) {
                             return n.node("Slice", {x, n.ints({0}), n.ints({99}), n.ints({2})});
                           }},
        RemoveIdentityCase{"Concat",
                           [](Network& n, ValueId x) {
                             return n.node("Concat", {x}, {{"axis", std::int64_t{1}}});
                           }},
        RemoveIdentityCase{"Sum", [](Network& n, ValueId x) { return n.node("Sum", {x}); }},
        RemoveIdentityCase{"Expand",
                           [](Network& n, ValueId x) {
                             return n.node("Expand", {x, n.ints({1, 2, 1, 4})});
                           }},
        RemoveIdentityCase{"Tile",
                           [](Network& n, ValueId x) {
                             return n.node("Tile", {x, n.ints({1, 1, 1, 1})});
                           }},
        RemoveIdentityCase{"Split",
                           [](Network& n, ValueId x) {
                             return n.node("Split", {x, n.ints({2})}, {{"axis", std::int64_t{1}}});
                           }},
        RemoveIdentityCase{"Resize",
                           [](Network& n, ValueId x) {
                             return n.node("Resize", {x, kNone, n.floats({4}, {1, 1, 1, 1})},
                                           {{"mode", std::string("linear")}});
                           }},
        RemoveIdentityCase{"AveragePool",
                           [](Network& n, ValueId x) {
                             return n.node("AveragePool", {x}, {{"kernel_shape", Ints{1, 1}}});
                           }},
        RemoveIdentityCase{"MaxPool",
                           [](Network& n, ValueId x) {
                             return n.node("MaxPool", {x}, {{"kernel_shape", Ints{1, 1}}});
                           }},
        RemoveIdentityCase{"AddZero",
                           [](Network& n, ValueId x) {
                             return n.node("Add", {n.scalar(0), x});
                           }},
        RemoveIdentityCase{"SubZero",
                           [](Network& n, ValueId x) {
                             return n.node("Sub", {x, n.floats({2, 1, 1}, {0, 0})});
                           }},
        RemoveIdentityCase{"MulOne",
                           [](Network& n, ValueId x) {
                             return n.node("Mul", {x, n.scalar(1)});
                           }},
        RemoveIdentityCase{"DivOne",
                           [](Network& n, ValueId x) {
                             return n.node("Div", {x, n.scalar(1)});
                           }},
        RemoveIdentityCase{"PowOne",
                           [](Network& n, ValueId x) {
                             return n.node("Pow", {x, n.scalar(1)});
                           }},
        RemoveIdentityCase{"OpenClip", [](Network& n, ValueId x) { return n.node("Clip", {x}); }}),
    [](const testing::TestParamInfo<RemoveIdentityCase>& c) { return c.param.name; });

class KeepsNonIdentity : public testing::TestWithParam<RemoveIdentityCase> {};
TEST_P(KeepsNonIdentity, ThatKeepsTheShape) {
  expect_untouched(remove_identity, in_the_middle(GetParam().build));
}

INSTANTIATE_TEST_SUITE_P(
    Of, KeepsNonIdentity,
    testing::Values(
        RemoveIdentityCase{"Cast",
                           [](Network& n, ValueId x) {
                             return n.node("Cast", {n.node("Cast", {x}, {{"to", std::int64_t{6}}})},
                                           {{"to", std::int64_t{1}}});
                           }},
        RemoveIdentityCase{"Transpose",
                           [](Network& n, ValueId x) {
                             return n.node("Transpose", {x}, {{"perm", Ints{0, 1, 3, 2}}});
                           }},
        RemoveIdentityCase{"ShiftingPad",
                           [](Network& n, ValueId x) {
                             return n.node("Pad", {x, n.ints({0, 0, 0, 1, 0, 0, 0, -1})});
                           }},
        RemoveIdentityCase{
            "ReversingSlice",
            [](Network& n, ValueId x) {
              return n.node("Slice", {x, n.ints({-1}), n.ints({-99}), n.ints({2}), n.ints({-1})});
            }},
        RemoveIdentityCase{"ResizeByAFraction",
                           [](Network& n, ValueId x) {
                             return n.node("Resize", {x, kNone, n.floats({4}, {1, 1, 1.2F, 1})},
                                           {{"mode", std::string("linear")}});
                           }},
        RemoveIdentityCase{"MaxPool",
                           [](Network& n, ValueId x) {
                             return n.node(
                                 "MaxPool", {x},
                                 {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
                           }},
        RemoveIdentityCase{"ZeroMinus",
                           [](Network& n, ValueId x) {
                             return n.node("Sub", {n.scalar(0), x});
                           }},
        RemoveIdentityCase{"Clip",
                           [](Network& n, ValueId x) {
                             return n.node("Clip", {x, n.scalar(0)});
                           }}),
    [](const testing::TestParamInfo<RemoveIdentityCase>& c) { return c.param.name; });

TEST(RemoveIdentity, BroadcastingAdditionOfZeroIsNone) {
  Network n;
  const ValueId x = n.input("x", {1, 3});
  expect_untouched(remove_identity, n.finish({n.node("Add", {x, n.floats({2, 1}, {0, 0})})}));
}

TEST(RemoveIdentity, AnOutputsNameSurvives) {
  Network n;
  const ValueId x = n.input("x", {1, 3});
  const ValueId relu = n.node("Relu", {x});
  const Graph before = n.finish({n.node("Neg", {relu}), n.node("Identity", {relu})});
  const Graph graph = after_pass(remove_identity, before);
  EXPECT_EQ(operators_of(graph), (Operators{"Relu", "Neg"}));
}

TEST(RemoveIdentity, BetweenInputAndOutputNothingElseIsPossible) {
  Network n;
  const ValueId x = n.input("x", {1, 3});
  expect_untouched(remove_identity, n.finish({n.node("Identity", {x})}));
}

TEST(RemoveIdentity, AMaskThatIsReadKeepsDropout) {
  Network n;
  const ValueId x = n.input("x", {1, 3});
  const auto out = n.nodes("Dropout", {x}, {}, 2);
  expect_untouched(remove_identity, n.finish({n.node("Relu", {out[0]}), out[1]}));
}

}  // namespace
}  // namespace espquant::passes
