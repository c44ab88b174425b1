#include "strategy/workbench.h"

#include <gtest/gtest.h>

#include <set>

#include "strategy/trials.h"
#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

/// Samples whose first element is their index.
calib::SampleSource numbered_samples(const Graph& graph, std::int64_t count) {
  const calib::SampleSource random = test::random_samples(graph, count, -1, 2);
  return {count, [random](std::int64_t i) {
            std::vector<Tensor> inputs = random.sample(i);
            inputs[0].mutable_data<float>()[0] = static_cast<float>(i) / 1000;
            return inputs;
          }};
}

std::vector<int> numbers_of(std::span<const std::vector<Tensor>> samples) {
  std::vector<int> numbers;
  for (const auto& sample : samples)
    numbers.push_back(static_cast<int>(std::lround(1000 * sample[0].data<float>()[0])));
  return numbers;
}

Workbench bench_on(std::int64_t samples) {
  const Graph network = passes::simplify(test::small_network());
  return Workbench(network, test::settings_for("esp32s3"), numbered_samples(network, samples));
}

TEST(Workbench, JudgesOnSamplesThatItDoesNotFitTo) {
  Workbench bench = bench_on(200);
  const std::size_t fitted = bench.run().fitted;
  EXPECT_EQ(bench.run().inputs.size(), fitted) << "only where they are asked for";
  bench.hold_out();
  bench.hold_out();
  EXPECT_EQ(bench.run().inputs.size(), 2 * fitted);
  const std::vector<int> numbers = numbers_of(bench.run().inputs);
  EXPECT_EQ(std::set<int>(numbers.begin(), numbers.end()).size(), numbers.size());
  EXPECT_LT(numbers[0], 5);
  EXPECT_GT(numbers[fitted - 1], 190) << "from all of the data";
  EXPECT_GT(numbers.back(), 190);
  EXPECT_EQ(bench.run().outputs.size(), numbers.size());
}

TEST(Workbench, KnowsSamplesThatHaveNoPartInChoosing) {
  Workbench bench = bench_on(200);
  bench.hold_out();
  const calib::SampleSource unseen = bench.unseen();
  ASSERT_EQ(unseen.count, static_cast<std::int64_t>(bench.run().fitted));
  std::vector<int> numbers = numbers_of(bench.run().inputs);
  for (std::int64_t i = 0; i < unseen.count; ++i)
    numbers.push_back(static_cast<int>(std::lround(1000 * unseen.sample(i)[0].data<float>()[0])));
  EXPECT_EQ(std::set<int>(numbers.begin(), numbers.end()).size(), numbers.size());
  // Too few are left to tell anything.
  EXPECT_EQ(bench_on(150).unseen().count, 0);
}

TEST(Workbench, FewSamplesAreAllFittedTo) {
  Workbench bench = bench_on(40);
  bench.hold_out();
  EXPECT_EQ(bench.run().fitted, 40u);
  EXPECT_EQ(bench.run().inputs.size(), 40u);
}

TEST(Workbench, AnotherNetworkFitsAndJudgesOnTheSameSamples) {
  for (const std::int64_t count : {40, 100, 200}) {
    Workbench bench = bench_on(count);
    bench.hold_out();
    Workbench other(bench.network(), bench);
    other.hold_out();
    for (std::size_t s = 0; s < bench.run().outputs.size(); ++s)
      EXPECT_TRUE(other.run().outputs[s][0].equals(bench.run().outputs[s][0]));
    EXPECT_EQ(other.run().fitted, bench.run().fitted);
    EXPECT_EQ(numbers_of(other.run().inputs), numbers_of(bench.run().inputs)) << count;
  }
}

TEST(Workbench, APartOfTheRunKeepsFittedAndJudgedApart) {
  Workbench bench = bench_on(200);
  bench.hold_out();
  const FloatRun part = bench.part_of_run(16);
  EXPECT_EQ(part.fitted, 16u);
  ASSERT_EQ(part.inputs.size(), 32u);
  EXPECT_FALSE(part.fits_wide);
  const auto all = numbers_of(bench.run().inputs), mine = numbers_of(part.inputs);
  const std::set<int> fitted(all.begin(),
                             all.begin() + static_cast<std::ptrdiff_t>(bench.run().fitted));
  for (std::size_t i = 0; i < mine.size(); ++i) EXPECT_EQ(fitted.contains(mine[i]), i < 16) << i;
}

/// Noise with means matched, and as they are; and of what is made with a choice.
struct Choice {
  explicit Choice(Workbench& bench)
      : matched(bench.judged(bench.settings(), Means::MatchOrUndo).noise.ratio()),
        as_they_are(bench.judged(bench.settings(), Means::AsTheyAre).noise.ratio()),
        made(bench.make(bench.settings(), Means::MatchOrUndo).noise.ratio()) {}
  double matched, as_they_are, made;
};

TEST(Workbench, MeansAreMatchedUnlessThatIsNoisierOnOtherSamples) {
  const Graph network = passes::simplify(test::small_network());
  const quant::Settings settings = test::settings_for("esp32s3");
  const calib::SampleSource some = test::random_samples(network, 100, 1, 2);
  Workbench alike(network, settings, some);
  const Choice kept(alike);
  EXPECT_LT(kept.matched, kept.as_they_are);
  EXPECT_EQ(kept.made, kept.matched);

  // Fitted to samples of one kind, judged on those of another.
  Workbench numbered = bench_on(100);
  const std::vector<int> numbers = numbers_of(numbered.run().inputs);
  const std::set<int> fitted(numbers.begin(), numbers.end());
  const calib::SampleSource other = test::random_samples(network, 100, -2, -1);
  Workbench misled(network, settings, {100, [&](std::int64_t i) {
                                         return fitted.contains(static_cast<int>(i))
                                                    ? some.sample(i)
                                                    : other.sample(i);
                                       }});
  const Choice undone(misled);
  EXPECT_GT(undone.matched, undone.as_they_are);
  EXPECT_EQ(undone.made, undone.as_they_are);
}

TEST(Workbench, FittingIsUndoneWhereOtherSamplesGetNoisier) {
  const Means means = Means::MatchOrUndo;
  const Graph network = passes::simplify(test::small_network());
  const quant::Settings settings = test::settings_for("esp32s3");
  Workbench alike(network, settings, test::random_samples(network, 100, -1, 2));
  EXPECT_TRUE(alike.with_fitting_settled(settings, means).reconstruct);

  // Fitted to samples of one kind, judged on those of another.
  Workbench numbered = bench_on(100);
  const std::vector<int> numbers = numbers_of(numbered.run().inputs);
  const std::set<int> fitted(numbers.begin(), numbers.end());
  const calib::SampleSource some = test::random_samples(network, 100, 1, 2);
  const calib::SampleSource other = test::random_samples(network, 100, -2, -1);
  Workbench misled(network, settings, {100, [&](std::int64_t i) {
                                         return fitted.contains(static_cast<int>(i))
                                                    ? some.sample(i)
                                                    : other.sample(i);
                                       }});
  quant::Settings unfitted = settings;
  unfitted.reconstruct = false;
  const double with = misled.judged(settings, means).noise.ratio();
  const double without = misled.judged(unfitted, means).noise.ratio();
  EXPECT_NE(with, without);
  EXPECT_EQ(misled.with_fitting_settled(settings, means).reconstruct, with <= without);
}

TEST(Workbench, RemembersWhatItHasJudged) {
  Workbench bench = bench_on(100);
  const Candidate& first = bench.judged(bench.settings(), Means::MatchOrUndo);
  EXPECT_EQ(&bench.judged(bench.settings(), Means::MatchOrUndo), &first);
  quant::Settings wide = bench.settings();
  wide.layer_bits["Conv_1"] = 16;
  const Candidate& second = bench.judged(wide, Means::MatchOrUndo);
  EXPECT_EQ(second.noise.ratio(), Trials(bench, wide, Means::MatchOrUndo).make(wide).noise.ratio());

  const double noise = second.noise.ratio();
  for (int shift = 1; shift <= 9; ++shift) {
    quant::Settings other = bench.settings();
    other.exponent_shifts["Conv_1_out"] = shift;
    EXPECT_NE(bench.judged(other, Means::MatchOrUndo).noise.ratio(), noise);
  }
  EXPECT_EQ(bench.judged(wide, Means::MatchOrUndo).noise.ratio(), noise) << "forgotten, made again";
}

}  // namespace
}  // namespace espquant::strategy
