#include <gtest/gtest.h>

#include "tests/passes/run_pass.h"

namespace espquant::passes {
namespace {

using test::expect_untouched;
using test::Network;
using test::Operators;
using test::operators_of;

/// Rows of tables that tokens of 0 to 4 choose.
struct Tokens {
  Network n;
  ValueId tokens;
  explicit Tokens(const Shape& shape, DType type = DType::Int64)
      : tokens(n.input("tokens", shape, type)) {}
  ValueId rows(const Shape& table, ValueId positions) {
    return n.node("Gather", {n.random(table), positions});
  }
};

void expect_same_rows(const Graph& before) {
  Graph after = before;
  EXPECT_GT(embed_by_product(after), 0);
  after.remove_dead();
  ops::infer_shapes(after);
  const Value& given = before.value(before.inputs()[0]);
  const Value& taken = after.value(after.inputs()[0]);
  EXPECT_EQ(taken.dtype, DType::Float32);
  EXPECT_EQ(taken.given, given.dtype);
  Tensor numbers(DType::Float32, *given.shape);
  for (std::size_t i = 0; i < numbers.data<float>().size(); ++i)
    numbers.mutable_data<float>()[i] = static_cast<float>(i * 3 % 5);
  const auto expected = test::evaluate(before, {numbers.cast(given.dtype)});
  const auto actual = test::evaluate(after, {numbers});
  for (std::size_t o = 0; o < expected.size(); ++o)
    test::expect_close(actual[o], expected[o], 0, "rows");
}

TEST(EmbedByProduct, RowsThatAnInputChoosesAreAProduct) {
  for (const Shape& shape : {Shape{1, 6}, Shape{6}, Shape{1, 2, 3}})
    for (const Shape& table : {Shape{5, 8}, Shape{300, 8}, Shape{5}, Shape{5, 2, 3}})
      for (const DType type : {DType::Int64, DType::Int32}) {
        SCOPED_TRACE(to_string(shape) + " of " + to_string(table));
        Tokens t(shape, type);
        expect_same_rows(t.n.finish({t.rows(table, t.tokens)}));
      }
}

TEST(EmbedByProduct, OnesAreSharedAndMovesAreLookedThrough) {
  Tokens t({1, 6}, DType::Int32);
  const ValueId moved = t.n.node("Reshape", {t.tokens, t.n.ints({2, 3})});
  const ValueId wide = t.n.node("Cast", {moved}, {{"to", static_cast<std::int64_t>(DType::Int64)}});
  const Graph before =
      t.n.finish({t.rows({5, 8}, wide), t.rows({5, 4}, wide), t.rows({7, 4}, t.tokens)});
  expect_same_rows(before);
  Graph after = before;
  embed_by_product(after);
  after.remove_dead();
  const Operators all = operators_of(after);
  EXPECT_EQ(std::count(all.begin(), all.end(), "HardSigmoid"), 4);
  EXPECT_EQ(std::count(all.begin(), all.end(), "MatMul"), 3);
}

TEST(EmbedByProduct, LargeTablesAndNumbersThatAreComputedWithStay) {
  Tokens large({1, 64});
  expect_untouched(embed_by_product, large.n.finish({large.rows({2000, 4}, large.tokens)}));
  Tokens mask({1, 6});
  const ValueId rows = mask.rows({5, 8}, mask.tokens);
  const ValueId empty =
      mask.n.node("Equal", {mask.tokens, mask.n.constant(Tensor::scalar(std::int64_t{0}))});
  expect_untouched(embed_by_product, mask.n.finish({rows, empty}));
}

}  // namespace
}  // namespace espquant::passes
