#include "strategy/confirmation.h"

#include <gtest/gtest.h>

#include "tests/strategy/small_network.h"

namespace espquant::strategy {
namespace {

/// A network on so many samples, candidates of it at 8 and at 16 bits.
struct Pair {
  explicit Pair(std::int64_t samples)
      : network(passes::simplify(test::small_network())),
        bench(network, test::settings_for("esp32s3"), test::random_samples(network, samples)) {
    bench.hold_out();
    quant::Settings all_wide = bench.settings();
    all_wide.bits = 16;
    narrow = bench.judged(bench.settings(), Means::MatchOrUndo);
    wide = bench.judged(all_wide, Means::MatchOrUndo);
  }
  Graph network;
  Workbench bench;
  Candidate narrow, wide;
};

TEST(Confirmation, GoesBySamplesThatHadNoPartInChoosing) {
  Pair pair(200);
  // What was noted of other samples does not count.
  std::swap(pair.narrow.noise, pair.wide.noise);
  EXPECT_TRUE(is_confirmed(pair.bench, pair.wide, pair.narrow, 0.5));
  EXPECT_FALSE(is_confirmed(pair.bench, pair.narrow, pair.wide, 1));
  EXPECT_FALSE(is_confirmed(pair.bench, pair.narrow, pair.narrow, 1));
  EXPECT_TRUE(is_confirmed(pair.bench, pair.narrow, pair.narrow, 1.01));
}

TEST(Confirmation, WithFewSamplesGoesByThoseThatJudge) {
  for (std::int64_t samples : {40, 100}) {
    const Pair pair(samples);
    ASSERT_EQ(pair.bench.unseen().count, 0);
    EXPECT_TRUE(is_confirmed(pair.bench, pair.wide, pair.narrow, 0.5));
    EXPECT_FALSE(is_confirmed(pair.bench, pair.narrow, pair.wide, 1));
  }
}

}  // namespace
}  // namespace espquant::strategy
