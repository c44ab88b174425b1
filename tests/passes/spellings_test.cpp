#include <gtest/gtest.h>

#include <functional>

#include "tests/passes/run_pass.h"

/// What exporters make of one operator, taken through all passes.
namespace espquant::passes {
namespace {

using test::Ints;
using test::Network;
using test::Operators;

struct Spelling {
  std::string name;
  std::function<ValueId(Network&, ValueId x, std::int64_t axis)> write;
};

Graph simplified(const Shape& shape, std::int64_t axis, const Spelling& spelling,
                 double relative = 1e-4) {
  Network n(18);
  const ValueId x = n.input("x", shape);
  const Graph before = n.finish({spelling.write(n, x, axis)});
  const Graph after = simplify(before);
  test::expect_same_function(after, before, relative);
  return after;
}

Operators without_moves(Operators ops) {
  std::erase_if(ops, [](const std::string& op) { return op == "Transpose" || op == "Reshape"; });
  return ops;
}

ValueId reduced(Network& n, const std::string& op, ValueId v, std::int64_t axis) {
  return n.node(op, {v, n.ints({axis})});
}
ValueId squared(Network& n, ValueId v) { return n.node("Mul", {v, v}); }
ValueId raised(Network& n, ValueId v, float exponent) {
  return n.node("Pow", {v, n.scalar(exponent)});
}
ValueId plus(Network& n, ValueId v, float term) { return n.node("Add", {v, n.scalar(term)}); }
ValueId deviation_from_mean(Network& n, ValueId x, std::int64_t axis) {
  return n.node("Sub", {x, reduced(n, "ReduceMean", x, axis)});
}
ValueId inverse_deviation(Network& n, ValueId h, std::int64_t axis) {
  const ValueId variance = plus(n, reduced(n, "ReduceMean", squared(n, h), axis), 1e-3F);
  return n.node("Reciprocal", {n.node("Sqrt", {variance})});
}

const std::vector<Spelling>& layer_normalizations() {
  static const std::vector<Spelling> all = {
      {"torch, one deviation",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId h = deviation_from_mean(n, x, axis);
         const ValueId variance = reduced(n, "ReduceMean", raised(n, h, 2), axis);
         return n.node("Div", {h, n.node("Sqrt", {plus(n, variance, 1e-5F)})});
       }},
      {"two deviations, products, power of a half",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId a = deviation_from_mean(n, x, axis), b = deviation_from_mean(n, x, axis);
         const ValueId variance = reduced(n, "ReduceMean", squared(n, b), axis);
         return n.node("Div", {a, raised(n, plus(n, variance, 1e-5F), 0.5F)});
       }},
      {"times a power of minus a half",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId h = deviation_from_mean(n, x, axis);
         const ValueId variance = reduced(n, "ReduceMean", squared(n, h), axis);
         return n.node("Mul", {raised(n, plus(n, variance, 1e-3F), -0.5F), h});
       }},
      {"Keras: x * inverse - mean * inverse",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId mean = reduced(n, "ReduceMean", x, axis);
         const ValueId inverse = inverse_deviation(n, n.node("Sub", {x, mean}), axis);
         return n.node("Sub", {n.node("Mul", {x, inverse}), n.node("Mul", {mean, inverse})});
       }},
      {"Keras with gain and offset",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId mean = reduced(n, "ReduceMean", x, axis);
         const ValueId inverse =
             n.node("Mul", {inverse_deviation(n, n.node("Sub", {x, mean}), axis), n.scalar(1.5F)});
         return n.node("Add", {n.node("Mul", {inverse, x}),
                               n.node("Sub", {n.scalar(0.25F), n.node("Mul", {mean, inverse})})});
       }},
      {"sums over their count",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId mean = n.node("Div", {reduced(n, "ReduceSum", x, axis), n.scalar(12)});
         const ValueId h = n.node("Sub", {x, mean});
         const ValueId variance =
             n.node("Mul", {reduced(n, "ReduceSumSquare", h, axis), n.scalar(1.0F / 12)});
         const ValueId y = n.node("Div", {h, n.node("Sqrt", {plus(n, variance, 1e-3F)})});
         return n.node("Add", {n.node("Mul", {y, n.scalar(2)}), n.scalar(1)});
       }},
      {"reduced without keeping the axis",
       [](Network& n, ValueId x, std::int64_t axis) {
         const auto mean_of = [&](ValueId v) {
           const ValueId m =
               n.node("ReduceMean", {v, n.ints({axis})}, {{"keepdims", std::int64_t{0}}});
           return n.node("Unsqueeze", {m, n.ints({axis})});
         };
         const ValueId h = n.node("Sub", {x, mean_of(x)});
         return n.node("Div", {h, n.node("Sqrt", {plus(n, mean_of(squared(n, h)), 1e-3F)})});
       }},
  };
  return all;
}

const std::vector<std::pair<Shape, std::int64_t>>& places() {
  static const std::vector<std::pair<Shape, std::int64_t>> all = {
      {{1, 12}, -1},      {{1, 1, 12}, -1},   {{1, 4, 12}, 2}, {{1, 3, 4, 12}, -1},
      {{1, 1, 1, 12}, 3}, {{1, 12, 3, 4}, 1}, {{1, 12, 5}, 1},
  };
  return all;
}

TEST(Spellings, OfLayerNormalization) {
  for (const Spelling& spelling : layer_normalizations())
    for (const auto& [shape, axis] : places())
      EXPECT_EQ(without_moves(test::operators_of(simplified(shape, axis, spelling))),
                Operators{"LayerNormalization"})
          << spelling.name << ", " << shape.size() << " axes, over " << axis;
}

TEST(Spellings, OfLayerNormalizationBetweenLayers) {
  for (const std::int64_t rows : {1, 4}) {
    Network n(18);
    const ValueId x = n.input("x", {1, rows, 12});
    const ValueId before = n.node("MatMul", {x, n.random({12, 12})});
    const ValueId h = layer_normalizations()[0].write(n, before, -1);
    const ValueId scaled = n.node("Add", {n.node("Mul", {h, n.random({12})}), n.random({12})});
    const Graph graph = n.finish({n.node("MatMul", {scaled, n.random({12, 3})})});
    const Graph after = simplify(graph);
    EXPECT_EQ(without_moves(test::operators_of(after)),
              (Operators{"MatMul", "LayerNormalization", "MatMul"}));
    test::expect_same_function(after, graph, 1e-4);
  }
}

TEST(Spellings, OfRmsNormalization) {
  const std::vector<Spelling> spellings = {
      {"by division",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId square = reduced(n, "ReduceMean", raised(n, x, 2), axis);
         return n.node("Div", {x, n.node("Sqrt", {plus(n, square, 1e-3F)})});
       }},
      {"by the inverse root, with a gain",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId square = reduced(n, "ReduceMean", squared(n, x), axis);
         const ValueId inverse =
             n.node("Div", {n.scalar(1), n.node("Sqrt", {plus(n, square, 1e-3F)})});
         return n.node("Mul", {n.scalar(3), n.node("Mul", {x, inverse})});
       }},
      {"a sum with a term that counts",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId sum = reduced(n, "ReduceSum", squared(n, x), axis);
         return n.node("Mul", {x, raised(n, plus(n, sum, 1e-2F), -0.5F)});
       }},
  };
  for (const Spelling& spelling : spellings)
    for (const auto& [shape, axis] : places())
      EXPECT_EQ(without_moves(test::operators_of(simplified(shape, axis, spelling))),
                Operators{"RMSNormalization"})
          << spelling.name << ", " << shape.size() << " axes, over " << axis;
}

TEST(Spellings, OfL2Normalization) {
  const std::vector<Spelling> spellings = {
      {"torch: clamped and expanded",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId floor = n.node("Clip", {reduced(n, "ReduceL2", x, axis), n.scalar(1e-12F)});
         return n.node("Div", {x, floor});
       }},
      {"product, sum and root",
       [](Network& n, ValueId x, std::int64_t axis) {
         return n.node("Div", {x, n.node("Sqrt", {reduced(n, "ReduceSum", squared(n, x), axis)})});
       }},
      {"tf.math.l2_normalize",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId sum = reduced(n, "ReduceSum", squared(n, x), axis);
         const ValueId bound = n.node("Max", {sum, n.scalar(1e-12F)});
         return n.node("Mul", {x, n.node("Reciprocal", {n.node("Sqrt", {bound})})});
       }},
      {"powers and a small term",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId sum = reduced(n, "ReduceSum", raised(n, x, 2), axis);
         return n.node("Div", {x, plus(n, raised(n, sum, 0.5F), 1e-8F)});
       }},
      {"sum of squares",
       [](Network& n, ValueId x, std::int64_t axis) {
         return n.node("Div", {x, n.node("Sqrt", {reduced(n, "ReduceSumSquare", x, axis)})});
       }},
  };
  for (const Spelling& spelling : spellings)
    for (const auto& [shape, axis] : places())
      EXPECT_EQ(without_moves(test::operators_of(simplified(shape, axis, spelling))),
                Operators{"LpNormalization"})
          << spelling.name << ", " << shape.size() << " axes, over " << axis;
}

TEST(Spellings, OfSoftmax) {
  const std::vector<Spelling> spellings = {
      {"exponentials over their sum",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId e = n.node("Exp", {x});
         return n.node("Div", {e, reduced(n, "ReduceSum", e, axis)});
       }},
      {"the largest taken off",
       [](Network& n, ValueId x, std::int64_t axis) {
         const ValueId e = n.node("Exp", {n.node("Sub", {x, reduced(n, "ReduceMax", x, axis)})});
         return n.node("Mul", {e, n.node("Reciprocal", {reduced(n, "ReduceSum", e, axis)})});
       }},
  };
  for (const Spelling& spelling : spellings)
    for (const auto& [shape, axis] : places())
      EXPECT_EQ(without_moves(test::operators_of(simplified(shape, axis, spelling))),
                Operators{"Softmax"})
          << spelling.name;
  const Spelling logarithm{"logarithm", [](Network& n, ValueId x, std::int64_t axis) {
                             const ValueId s = n.node("Sub", {x, reduced(n, "ReduceMax", x, axis)});
                             const ValueId sum = reduced(n, "ReduceSum", n.node("Exp", {s}), axis);
                             return n.node("Sub", {s, n.node("Log", {sum})});
                           }};
  EXPECT_EQ(test::operators_of(simplified({1, 4, 12}, -1, logarithm)), Operators{"LogSoftmax"});
}

TEST(Spellings, OfActivations) {
  const auto relu6 = [](Network& n, ValueId v) {
    return n.node("Min", {n.node("Relu", {v}), n.scalar(6)});
  };
  const std::vector<std::pair<std::string, Spelling>> spellings = {
      {"Swish",
       {"product",
        [](Network& n, ValueId x, std::int64_t) {
          return n.node("Mul", {x, n.node("Sigmoid", {x})});
        }}},
      {"Swish",
       {"quotient",
        [](Network& n, ValueId x, std::int64_t) {
          return n.node("Div", {x, plus(n, n.node("Exp", {n.node("Neg", {x})}), 1)});
        }}},
      {"Swish",
       {"sigmoid spelled out",
        [](Network& n, ValueId x, std::int64_t) {
          const ValueId e = n.node("Exp", {n.node("Mul", {x, n.scalar(-1)})});
          return n.node("Mul", {n.node("Div", {n.scalar(1), plus(n, e, 1)}), x});
        }}},
      {"HardSwish",
       {"late sixth",
        [&](Network& n, ValueId x, std::int64_t) {
          return n.node("Div", {n.node("Mul", {x, relu6(n, plus(n, x, 3))}), n.scalar(6)});
        }}},
      {"HardSwish",
       {"early sixth",
        [&](Network& n, ValueId x, std::int64_t) {
          return n.node("Mul", {n.node("Mul", {relu6(n, plus(n, x, 3)), n.scalar(1.0F / 6)}), x});
        }}},
      {"HardSwish",
       {"gate",
        [](Network& n, ValueId x, std::int64_t) {
          return n.node("Mul",
                        {x, n.node("HardSigmoid", {x}, {{"alpha", 1.0F / 6}, {"beta", 0.5F}})});
        }}},
      {"Gelu",
       {"torch",
        [](Network& n, ValueId x, std::int64_t) {
          const ValueId erf = n.node("Erf", {n.node("Div", {x, n.scalar(1.41421354F)})});
          return n.node("Mul", {n.node("Mul", {x, plus(n, erf, 1)}), n.scalar(0.5F)});
        }}},
      {"Gelu",
       {"tf2onnx",
        [](Network& n, ValueId x, std::int64_t) {
          const ValueId erf = n.node("Erf", {n.node("Mul", {x, n.scalar(0.70710677F)})});
          return n.node("Mul", {n.node("Mul", {n.scalar(0.5F), x}), plus(n, erf, 1)});
        }}},
  };
  for (const auto& [op, spelling] : spellings)
    for (const Shape& shape : {Shape{1, 12}, Shape{1, 6, 5}, Shape{1, 6, 3, 5}}) {
      EXPECT_EQ(test::operators_of(simplified(shape, -1, spelling)), Operators{op})
          << spelling.name;
      Spelling behind = spelling;
      behind.write = [&](Network& n, ValueId x, std::int64_t axis) {
        if (shape.size() != 4) return spelling.write(n, x, axis);
        return spelling.write(n, n.node("Conv", {x, n.random({6, 6, 1, 1}), n.random({6})}), axis);
      };
      EXPECT_EQ(test::operators_of(simplified(shape, -1, behind)).back(), op)
          << spelling.name << " behind a layer";
    }
}

TEST(SpreadOperands, OnlyOfADivByOrOfOneElement) {
  Network n(18);
  const ValueId x = n.input("x", {1, 8, 16}), s = n.input("s", {1, 1, 1});
  const Graph graph =
      n.finish({n.node("Div", {x, plus(n, s, 3)}), n.node("Div", {plus(n, s, 2), x}),
                n.node("Div", {s, plus(n, s, 4)})});
  const Graph after = test::after_pass(spread_operands, graph);
  for (NodeId id : after.topological_order()) {
    if (after.node(id).op != "Div") continue;
    for (ValueId v : after.node(id).inputs)
      EXPECT_GT(element_count(*after.value(v).shape), 1) << after.node(id).name;
  }
  Network rest(18);
  const ValueId y = rest.input("y", {1, 8, 16}), rows = rest.input("rows", {1, 8, 1});
  test::expect_untouched(
      spread_operands,
      rest.finish({rest.node("Div", {y, rows}), rest.node("Div", {rest.scalar(2), y}),
                   rest.node("Mul", {y, rest.node("ReduceMax", {y})})}));
}

}  // namespace
}  // namespace espquant::passes
