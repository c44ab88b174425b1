#include <gtest/gtest.h>

#include <limits>

#include "tests/passes/run_pass.h"

namespace espquant::passes {
namespace {

using test::after_pass;
using test::expect_untouched;
using test::Network;
using test::Operators;
using test::operators_of;
using test::the_node;

ValueId relu6(Network& n, ValueId x) { return n.node("Clip", {x, n.scalar(0), n.scalar(6)}); }

TEST(FuseSwish, WhateverComputesTheInput) {
  Network n;
  const ValueId x = n.input("x", {1, 3});
  const ValueId direct = n.node("Mul", {x, n.node("Sigmoid", {x})});
  const ValueId sum = n.node("Add", {direct, x});
  const Graph graph =
      after_pass(fuse_swish, n.finish({n.node("Mul", {n.node("Sigmoid", {sum}), sum})}));
  EXPECT_EQ(operators_of(graph), (Operators{"Swish", "Add", "Swish"}));
  EXPECT_EQ(graph.node(graph.topological_order()[0]).domain, "espdl");
}

TEST(FuseSwish, NotWhereTheSigmoidIsReadElsewhereOrOfSomethingElse) {
  Network n;
  const ValueId x = n.input("x", {1, 3}), y = n.input("y", {1, 3});
  const ValueId shared = n.node("Sigmoid", {x}), output = n.node("Sigmoid", {x});
  expect_untouched(fuse_swish, n.finish({n.node("Mul", {x, shared}), n.node("Neg", {shared}),
                                         n.node("Mul", {x, output}), output,
                                         n.node("Mul", {y, n.node("Sigmoid", {x})})}));
}

TEST(FuseHardSwish, InEverySpelling) {
  Network n;
  const ValueId x = n.input("x", {1, 3});
  const auto shifted = [&] { return relu6(n, n.node("Add", {x, n.scalar(3)})); };
  const Graph graph = after_pass(
      fuse_hard_swish,
      n.finish(
          {n.node("Mul", {x, n.node("Div", {shifted(), n.scalar(6)})}),
           n.node("Mul", {n.node("Mul", {shifted(), n.scalar(1.F / 6)}), x}),
           n.node("Div", {n.node("Mul", {x, shifted()}), n.scalar(6)}),
           n.node("Mul", {x, n.node("HardSigmoid", {x}, {{"alpha", 1.F / 6}, {"beta", 0.5F}})})}));
  EXPECT_EQ(operators_of(graph), Operators(4, "HardSwish"));
}

TEST(FuseHardSwish, TheGateAloneBecomesHardSigmoid) {
  Network n;
  const ValueId x = n.input("x", {1, 3}), y = n.input("y", {1, 3});
  const ValueId gate = n.node("Div", {relu6(n, n.node("Add", {n.scalar(3), x})), n.scalar(6)});
  const Graph graph = after_pass(fuse_hard_swish, n.finish({n.node("Mul", {y, gate})}));
  EXPECT_EQ(operators_of(graph), (Operators{"HardSigmoid", "Mul"}));
}

TEST(FuseHardSwish, OtherConstantsStay) {
  Network n;
  const ValueId x = n.input("x", {1, 3});
  const ValueId two = relu6(n, n.node("Add", {x, n.scalar(2)}));
  const ValueId to_five =
      n.node("Clip", {n.node("Add", {x, n.scalar(3)}), n.scalar(0), n.scalar(5)});
  expect_untouched(fuse_hard_swish,
                   n.finish({n.node("Mul", {x, n.node("Div", {two, n.scalar(6)})}),
                             n.node("Mul", {x, n.node("Div", {to_five, n.scalar(6)})}),
                             n.node("Mul", {x, n.node("HardSigmoid", {x})})}));
}

/// 1 + erf(x / sqrt 2).
ValueId bell(Network& n, ValueId x) {
  return n.node("Add", {n.node("Erf", {n.node("Div", {x, n.scalar(1.41421356F)})}), n.scalar(1)});
}

TEST(FuseGelu, WithItsFactorsInAnyOrder) {
  Network n;
  const ValueId x = n.input("x", {1, 3});
  const Graph graph = after_pass(
      fuse_gelu, n.finish({n.node("Mul", {n.node("Mul", {x, bell(n, x)}), n.scalar(0.5F)}),
                           n.node("Div", {n.node("Mul", {bell(n, x), x}), n.scalar(2)}),
                           n.node("Mul", {n.node("Mul", {bell(n, x), n.scalar(0.5F)}), x}),
                           n.node("Mul", {n.node("Mul", {n.scalar(0.5F), x}), bell(n, x)})}));
  EXPECT_EQ(operators_of(graph), Operators(4, "Gelu"));
}

TEST(FuseGelu, TheTanhApproximation) {
  Network n;
  const ValueId x = n.input("x", {1, 3});
  const ValueId cubic = n.node("Mul", {n.scalar(0.044715F), n.node("Pow", {x, n.scalar(3)})});
  const ValueId argument = n.node("Mul", {n.scalar(0.7978845608F), n.node("Add", {x, cubic})});
  const ValueId sum = n.node("Add", {n.scalar(1), n.node("Tanh", {argument})});
  const Graph graph =
      after_pass(fuse_gelu, n.finish({n.node("Mul", {n.node("Mul", {n.scalar(0.5F), x}), sum})}));
  EXPECT_EQ(operators_of(graph), Operators{"Gelu"});
  EXPECT_EQ(the_node(graph, "Gelu").attributes.get_string("approximate", ""), "tanh");
}

TEST(FuseGelu, NotWithOtherConstantsOrReaders) {
  Network n;
  const ValueId x = n.input("x", {1, 3});
  const ValueId erf = n.node("Erf", {n.node("Div", {x, n.scalar(1.5F)})});
  const ValueId wrong =
      n.node("Mul", {n.node("Mul", {x, n.node("Add", {erf, n.scalar(1)})}), n.scalar(0.5F)});
  const ValueId shared = bell(n, x);
  const ValueId right = n.node("Mul", {n.node("Mul", {x, shared}), n.scalar(0.5F)});
  expect_untouched(fuse_gelu, n.finish({wrong, right, n.node("Neg", {shared})}));
}

TEST(MergeClips, RowsBecomeOne) {
  struct Case {
    const char* name;
    ValueId (*build)(Network&, ValueId);
    const char* op;
  };
  const std::vector<Case> cases = {
      {"Relu and Min",
       [](Network& n, ValueId x) {
         return n.node("Min", {n.node("Relu", {x}), n.scalar(6)});
       },
       "Clip"},
      {"Max and Min",
       [](Network& n, ValueId x) {
         return n.node("Min", {n.scalar(2), n.node("Max", {x, n.scalar(-1)})});
       },
       "Clip"},
      {"Max of zero",
       [](Network& n, ValueId x) {
         return n.node("Max", {x, n.scalar(0)});
       },
       "Relu"},
      {"Clip from zero",
       [](Network& n, ValueId x) {
         return n.node("Clip", {x, n.scalar(0)});
       },
       "Relu"},
      {"Clip and Relu",
       [](Network& n, ValueId x) {
         return n.node("Relu", {n.node("Clip", {x, n.scalar(-1), n.scalar(2)})});
       },
       "Clip"},
      {"Relu twice", [](Network& n, ValueId x) { return n.node("Relu", {n.node("Relu", {x})}); },
       "Relu"},
      {"bounds that miss each other",
       [](Network& n, ValueId x) {
         return n.node("Clip",
                       {n.node("Clip", {x, n.scalar(3), n.scalar(4)}), n.scalar(0), n.scalar(1)});
       },
       "Clip"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Network n;
    const ValueId x = n.input("x", {2, 16});
    EXPECT_EQ(operators_of(after_pass(merge_clips, n.finish({c.build(n, x)}))), Operators{c.op});
  }
}

TEST(MergeClips, ABoundThatNothingReachesIsNone) {
  Network n;
  const ValueId x = n.input("x", {2, 16});
  const ValueId guarded = n.node("Max", {x, n.scalar(std::numeric_limits<float>::lowest())});
  EXPECT_EQ(operators_of(after_pass(merge_clips, n.finish({guarded}))), Operators{"Identity"});
}

TEST(MergeClips, Relu6AsClipStays) {
  Network n;
  const ValueId x = n.input("x", {2, 16});
  expect_untouched(merge_clips, n.finish({relu6(n, x)}));
}

TEST(MergeClips, ElementwiseBoundsStay) {
  Network n;
  const ValueId x = n.input("x", {2, 3});
  expect_untouched(merge_clips, n.finish({n.node("Min", {x, n.floats({3}, {1, 2, 3})}),
                                          n.node("Max", {x, n.floats({2, 2, 1}, {0, 0, 0, 0})})}));
}

TEST(MergeClips, AValueThatOthersReadIsKept) {
  Network n;
  const ValueId x = n.input("x", {2, 3});
  const ValueId relu = n.node("Relu", {x});
  expect_untouched(merge_clips,
                   n.finish({n.node("Clip", {relu, kNone, n.scalar(1)}), n.node("Neg", {relu})}));
}

}  // namespace
}  // namespace espquant::passes
