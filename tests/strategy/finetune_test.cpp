#include "strategy/finetune.h"

#include <gtest/gtest.h>

#include "base/parallel.h"
#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

/// Weights rounded to nearest and nothing fitted: there is something to gain.
quant::Settings plain_settings() {
  quant::Settings settings = test::settings_for("esp32s3");
  settings.round_weights = settings.reconstruct = settings.bias_correction = false;
  return settings;
}

Workbench bench_on(std::int64_t samples) {
  const Graph network = passes::simplify(test::small_network());
  return Workbench(network, plain_settings(), test::random_samples(network, samples));
}

recipe::Recipe::Finetune few_steps() {
  recipe::Recipe::Finetune how;
  how.enabled = true;
  how.steps = 60;
  how.rate = 0.05;
  return how;
}

Finetuned finetuned(Workbench& bench, const recipe::Recipe::Finetune& how) {
  Candidate start = bench.make(bench.settings(), Means::AsTheyAre);
  return finetune(bench, bench.settings(), std::move(start), how);
}

TEST(Finetune, TakesNoiseAwayOnSamplesThatDidNotTrain) {
  Workbench bench = bench_on(160);
  const Finetuned result = finetuned(bench, few_steps());
  EXPECT_TRUE(result.kept) << result.reason;
  EXPECT_LT(result.after, 0.8 * result.before);
  EXPECT_DOUBLE_EQ(result.candidate.noise.ratio(), result.after);
}

TEST(Finetune, IsTheSameForAnyNumberOfThreads) {
  Workbench bench = bench_on(100);
  set_thread_count(1);
  const Finetuned alone = finetuned(bench, few_steps());
  set_thread_count(3);
  const Finetuned together = finetuned(bench, few_steps());
  set_thread_count(0);
  EXPECT_EQ(alone.after, together.after);
}

TEST(Finetune, IsUndoneWhereItDoesHarm) {
  Workbench bench = bench_on(160);
  recipe::Recipe::Finetune wild = few_steps();
  wild.rate = 10;
  wild.steps = 3;
  const Finetuned result = finetuned(bench, wild);
  EXPECT_FALSE(result.kept);
  EXPECT_EQ(result.candidate.noise.ratio(), result.before);
  EXPECT_NE(result.reason.find("undone"), std::string::npos);
}

TEST(Finetune, NeedsSamplesToJudgeBy) {
  Workbench bench = bench_on(40);
  const Finetuned result = finetuned(bench, few_steps());
  EXPECT_FALSE(result.kept);
  EXPECT_NE(result.reason.find("too few"), std::string::npos);
}

}  // namespace
}  // namespace espquant::strategy
