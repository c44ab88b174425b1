#include "search/work.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace espquant::search {
namespace {

Outcome full_outcome() {
  Outcome o;
  o.judged = 0.1;
  o.judged_mean = 1.0 / 3.0;
  o.milliseconds = 12.345678901234567;
  o.flash = 123456;
  o.ram = 7890;
  o.noise = 1e-300;
  o.part_noises = {0.1, 0.2};
  o.accuracy = 0.875;
  o.agreement = 0.5;
  o.accuracy_drop = 0;
  o.file = "ab";
  o.wide_layers = {"a \"b\"", "c"};
  o.narrow_weights = {"c"};
  return o;
}

TEST(Work, GoesThroughJsonUnchanged) {
  Work work{Work::Kind::Tensor, recipe::find_recipe("mixed"), "a/b\n"};
  const Work back = work_from_json(to_json(work));
  EXPECT_EQ(back.kind, work.kind);
  EXPECT_EQ(back.recipe, work.recipe);
  EXPECT_EQ(back.tensor, work.tensor);
  EXPECT_EQ(back.key(), work.key());
}

TEST(Work, TheKeyIsThatOfWhatIsMeasured) {
  const recipe::Recipe a = recipe::find_recipe("int8");
  recipe::Recipe b = a;
  b.name = "other";
  using Kind = Work::Kind;
  EXPECT_EQ((Work{Kind::Look, a, ""}.key()), (Work{Kind::Look, b, ""}.key()));
  // Its file says the name.
  EXPECT_NE((Work{Kind::Trial, a, ""}.key()), (Work{Kind::Trial, b, ""}.key()));
  EXPECT_NE((Work{Kind::Look, a, ""}.key()), (Work{Kind::Trial, a, ""}.key()));
  EXPECT_NE((Work{Kind::Tensor, a, "x"}.key()), (Work{Kind::Tensor, a, "y"}.key()));
}

TEST(Outcome, GoesThroughJsonUnchanged) {
  EXPECT_EQ(outcome_from_json(to_json(full_outcome())), full_outcome());
  Outcome refused;
  refused.refusal = "node 'x': too wide";
  EXPECT_EQ(outcome_from_json(to_json(refused)), refused);
  Outcome layers;
  layers.layers = {{"a", {"a", "b"}}, {"c", {}}};
  layers.tensors = {{"t", {0, 1}}};
  layers.has_caps = true;
  EXPECT_EQ(outcome_from_json(to_json(layers)), layers);
}

TEST(Outcome, WhatIsNoneIsRefused) {
  for (const char* text : {"", "[]", "{}", "{\"judged\": \"x\"}", "{\"refused\": 3}"})
    EXPECT_EQ(test::error_of([&] { outcome_from_json(text); }).code(), ErrorCode::Malformed)
        << text;
  EXPECT_EQ(
      test::error_of([] { work_from_json("{\"kind\": \"dance\", \"recipe\": \"\"}"); }).code(),
      ErrorCode::Malformed);
}

}  // namespace
}  // namespace espquant::search
