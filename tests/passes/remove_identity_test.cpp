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

struct Case {
  const char* name;
  Builder build;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class RemovesIdentity : public testing::TestWithParam<Case> {};
TEST_P(RemovesIdentity, InTheMiddle) {
  const Graph graph = after_pass(remove_identity, in_the_middle(GetParam().build));
  EXPECT_EQ(operators_of(graph), (Operators{"Relu", "Neg"}));
}

INSTANTIATE_TEST_SUITE_P(
    Of, RemovesIdentity,
    testing::Values(Case{"Identity", [](Network& n, ValueId x) { return n.node("Identity", {x}); }},
                    Case{"Dropout", [](Network& n, ValueId x) { return n.node("Dropout", {x}); }},
                    Case{"Cast",
                         [](Network& n, ValueId x) {
                           return n.node("Cast", {x}, {{"to", std::int64_t{1}}});
                         }},
                    Case{"Reshape",
                         [](Network& n, ValueId x) {
                           return n.node("Reshape", {x, n.ints({0, 2, -1, 4})});
                         }},
                    Case{"Transpose",
                         [](Network& n, ValueId x) {
                           return n.node("Transpose", {x}, {{"perm", Ints{0, 1, 2, 3}}});
                         }},
                    Case{"Pad",
                         [](Network& n, ValueId x) {
                           return n.node("Pad", {x, n.ints({0, 0, 0, 0, 0, 0, 0, 0})});
                         }},
                    Case{"Slice",
                         [](Network& n, ValueId x) {
                           return n.node("Slice", {x, n.ints({0}), n.ints({99}), n.ints({2})});
                         }},
                    Case{"Concat",
                         [](Network& n, ValueId x) {
                           return n.node("Concat", {x}, {{"axis", std::int64_t{1}}});
                         }},
                    Case{"Sum", [](Network& n, ValueId x) { return n.node("Sum", {x}); }},
                    Case{"Expand",
                         [](Network& n, ValueId x) {
                           return n.node("Expand", {x, n.ints({1, 2, 1, 4})});
                         }},
                    Case{"Tile",
                         [](Network& n, ValueId x) {
                           return n.node("Tile", {x, n.ints({1, 1, 1, 1})});
                         }},
                    Case{"Split",
                         [](Network& n, ValueId x) {
                           return n.node("Split", {x, n.ints({2})}, {{"axis", std::int64_t{1}}});
                         }},
                    Case{"Resize",
                         [](Network& n, ValueId x) {
                           return n.node("Resize", {x, kNone, n.floats({4}, {1, 1, 1, 1})},
                                         {{"mode", std::string("linear")}});
                         }},
                    Case{"AveragePool",
                         [](Network& n, ValueId x) {
                           return n.node("AveragePool", {x}, {{"kernel_shape", Ints{1, 1}}});
                         }},
                    Case{"MaxPool",
                         [](Network& n, ValueId x) {
                           return n.node("MaxPool", {x}, {{"kernel_shape", Ints{1, 1}}});
                         }},
                    Case{"AddZero",
                         [](Network& n, ValueId x) {
                           return n.node("Add", {n.scalar(0), x});
                         }},
                    Case{"SubZero",
                         [](Network& n, ValueId x) {
                           return n.node("Sub", {x, n.floats({2, 1, 1}, {0, 0})});
                         }},
                    Case{"MulOne",
                         [](Network& n, ValueId x) {
                           return n.node("Mul", {x, n.scalar(1)});
                         }},
                    Case{"DivOne",
                         [](Network& n, ValueId x) {
                           return n.node("Div", {x, n.scalar(1)});
                         }},
                    Case{"PowOne",
                         [](Network& n, ValueId x) {
                           return n.node("Pow", {x, n.scalar(1)});
                         }},
                    Case{"OpenClip", [](Network& n, ValueId x) { return n.node("Clip", {x}); }}),
    [](const testing::TestParamInfo<Case>& c) { return c.param.name; });

class KeepsNonIdentity : public testing::TestWithParam<Case> {};
TEST_P(KeepsNonIdentity, ThatKeepsTheShape) {
  expect_untouched(remove_identity, in_the_middle(GetParam().build));
}

INSTANTIATE_TEST_SUITE_P(
    Of, KeepsNonIdentity,
    testing::Values(
        Case{"Cast",
             [](Network& n, ValueId x) {
               return n.node("Cast", {n.node("Cast", {x}, {{"to", std::int64_t{6}}})},
                             {{"to", std::int64_t{1}}});
             }},
        Case{"Transpose",
             [](Network& n, ValueId x) {
               return n.node("Transpose", {x}, {{"perm", Ints{0, 1, 3, 2}}});
             }},
        Case{"ShiftingPad",
             [](Network& n, ValueId x) {
               return n.node("Pad", {x, n.ints({0, 0, 0, 1, 0, 0, 0, -1})});
             }},
        Case{"ReversingSlice",
             [](Network& n, ValueId x) {
               return n.node("Slice", {x, n.ints({-1}), n.ints({-99}), n.ints({2}), n.ints({-1})});
             }},
        Case{"ResizeByAFraction",
             [](Network& n, ValueId x) {
               return n.node("Resize", {x, kNone, n.floats({4}, {1, 1, 1.2F, 1})},
                             {{"mode", std::string("linear")}});
             }},
        Case{"MaxPool",
             [](Network& n, ValueId x) {
               return n.node("MaxPool", {x},
                             {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
             }},
        Case{"ZeroMinus",
             [](Network& n, ValueId x) {
               return n.node("Sub", {n.scalar(0), x});
             }},
        Case{"Clip",
             [](Network& n, ValueId x) {
               return n.node("Clip", {x, n.scalar(0)});
             }}),
    [](const testing::TestParamInfo<Case>& c) { return c.param.name; });

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
