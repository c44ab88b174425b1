#include <gtest/gtest.h>

#include "tests/passes/run_pass.h"

namespace espquant::passes {
namespace {

using test::after_pass;
using test::Ints;
using test::Network;
using test::Operators;
using test::operators_of;

struct UpgradeOpsetCase {
  const char* name;
  std::int64_t opset;
  ValueId (*build)(Network&, ValueId);
};
void PrintTo(const UpgradeOpsetCase& c, std::ostream* out) { *out << c.name; }

/// Over x of shape 1x2x4x6: the old form means what the new one does.
class UpgradesOpset : public testing::TestWithParam<UpgradeOpsetCase> {};
TEST_P(UpgradesOpset, AndKeepsTheMeaning) {
  Network n(GetParam().opset);
  const ValueId x = n.input("x", {1, 2, 4, 6});
  const Graph graph = after_pass(upgrade_opset, n.finish({GetParam().build(n, x)}));
  EXPECT_EQ(graph.opset, kCanonicalOpset);
}

INSTANTIATE_TEST_SUITE_P(
    Of, UpgradesOpset,
    testing::Values(
        UpgradeOpsetCase{"Clip", 7,
                         [](Network& n, ValueId x) {
                           return n.node("Clip", {x}, {{"min", -0.5F}, {"max", 1.5F}});
                         }},
        UpgradeOpsetCase{"ClipWithOneBound", 7,
                         [](Network& n, ValueId x) {
                           return n.node("Clip", {x}, {{"max", 1.5F}});
                         }},
        UpgradeOpsetCase{
            "Pad", 7,
            [](Network& n, ValueId x) {
              return n.node("Pad", {x}, {{"pads", Ints{0, 0, 1, 2, 0, 0, 0, 1}}, {"value", 3.F}});
            }},
        UpgradeOpsetCase{"ReflectingPad", 7,
                         [](Network& n, ValueId x) {
                           return n.node("Pad", {x},
                                         {{"pads", Ints{0, 0, 1, 2, 0, 0, 0, 1}},
                                          {"mode", std::string("reflect")}});
                         }},
        UpgradeOpsetCase{
            "Slice", 7,
            [](Network& n, ValueId x) {
              return n.node("Slice", {x},
                            {{"starts", Ints{1, 2}}, {"ends", Ints{3, -1}}, {"axes", Ints{2, 3}}});
            }},
        UpgradeOpsetCase{
            "SliceWithoutAxes", 7,
            [](Network& n, ValueId x) {
              return n.node("Slice", {x}, {{"starts", Ints{0, 1}}, {"ends", Ints{1, 2}}});
            }},
        UpgradeOpsetCase{
            "Upsample7", 7,
            [](Network& n, ValueId x) {
              return n.node("Upsample", {x}, {{"scales", std::vector<float>{1, 1, 2, 1.5F}}});
            }},
        UpgradeOpsetCase{"Upsample9", 9,
                         [](Network& n, ValueId x) {
                           return n.node("Upsample", {x, n.floats({4}, {1, 1, 2, 2})},
                                         {{"mode", std::string("linear")}});
                         }},
        UpgradeOpsetCase{"Resize10", 10,
                         [](Network& n, ValueId x) {
                           return n.node("Resize", {x, n.floats({4}, {1, 1, 0.5F, 2})},
                                         {{"mode", std::string("nearest")}});
                         }},
        UpgradeOpsetCase{"SoftmaxOverAllFromAxis", 11,
                         [](Network& n, ValueId x) { return n.node("Softmax", {x}); }},
        UpgradeOpsetCase{"SoftmaxOverTheLastAxis", 11,
                         [](Network& n, ValueId x) {
                           return n.node("Softmax", {x}, {{"axis", std::int64_t{-1}}});
                         }},
        UpgradeOpsetCase{"LogSoftmaxOverAllFromAxis", 11,
                         [](Network& n, ValueId x) {
                           return n.node("LogSoftmax", {x}, {{"axis", std::int64_t{2}}});
                         }},
        UpgradeOpsetCase{"Squeeze", 11,
                         [](Network& n, ValueId x) {
                           return n.node("Squeeze", {x}, {{"axes", Ints{0}}});
                         }},
        UpgradeOpsetCase{"Unsqueeze", 11,
                         [](Network& n, ValueId x) {
                           return n.node("Unsqueeze", {x}, {{"axes", Ints{0, 3}}});
                         }},
        UpgradeOpsetCase{"ReduceSum", 11,
                         [](Network& n, ValueId x) {
                           return n.node("ReduceSum", {x}, {{"axes", Ints{1, -1}}});
                         }},
        UpgradeOpsetCase{
            "ReduceMean", 17,
            [](Network& n, ValueId x) {
              return n.node("ReduceMean", {x}, {{"axes", Ints{2}}, {"keepdims", std::int64_t{0}}});
            }},
        UpgradeOpsetCase{"ReduceMaxOverAll", 11,
                         [](Network& n, ValueId x) { return n.node("ReduceMax", {x}); }},
        UpgradeOpsetCase{
            "Split", 11,
            [](Network& n, ValueId x) {
              const auto parts =
                  n.nodes("Split", {x}, {{"axis", std::int64_t{3}}, {"split", Ints{2, 4}}}, 2);
              return n.node("Concat", {parts[1], parts[0]}, {{"axis", std::int64_t{3}}});
            }}),
    [](const testing::TestParamInfo<UpgradeOpsetCase>& c) { return c.param.name; });

TEST(UpgradeOpset, SoftmaxOverTheLastAxisStaysOneNode) {
  Network n(11);
  const ValueId x = n.input("x", {2, 5});
  const Graph graph = after_pass(upgrade_opset, n.finish({n.node("Softmax", {x})}));
  EXPECT_EQ(operators_of(graph), Operators{"Softmax"});
}

TEST(UpgradeOpset, NewerModelsAreNotTouched) {
  Network n(kCanonicalOpset);
  const ValueId x = n.input("x", {2, 5});
  test::expect_untouched(upgrade_opset, n.finish({n.node("Softmax", {x})}));
}

}  // namespace
}  // namespace espquant::passes
