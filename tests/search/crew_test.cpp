#include "search/crew.h"

#include <gtest/gtest.h>

#include <deque>
#include <mutex>
#include <thread>

#include "search/desk.h"
#include "tests/strategy/small_network.h"
#include "tests/support/temporary_folder.h"

namespace espquant::search {
namespace {

/// Ranks that are threads of this process.
struct Mail {
  std::mutex mutex;
  std::vector<std::deque<Ranks::Message>> boxes;
};

class ThreadRanks : public Ranks {
 public:
  ThreadRanks(Mail& mail, int rank) : mail_(mail), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(mail_.boxes.size()); }
  void send(int to, std::string_view text) override {
    std::lock_guard lock(mail_.mutex);
    mail_.boxes[static_cast<std::size_t>(to)].push_back({rank_, std::string(text)});
  }
  std::optional<Message> receive() override {
    std::lock_guard lock(mail_.mutex);
    auto& box = mail_.boxes[static_cast<std::size_t>(rank_)];
    if (box.empty()) return std::nullopt;
    Message message = std::move(box.front());
    box.pop_front();
    return message;
  }
  void finish() override {}

 private:
  Mail& mail_;
  int rank_;
};

/// One rank's network, data and evaluator.
struct Bench {
  static calib::SampleSource images(std::uint64_t seed, std::int64_t count) {
    return {count, [seed](std::int64_t i) {
              return std::vector<Tensor>{
                  test::random_tensor({1, 3, 8, 8}, seed + static_cast<std::uint64_t>(i), -1, 2)};
            }};
  }
  static Ingredients ingredients(strategy::Preparation& shared) {
    Ingredients all;
    all.shared = &shared;
    all.target = &find_target("esp32s3");
    all.metadata = [](const recipe::Recipe&) {
      return std::vector<std::pair<std::string, std::string>>();
    };
    return all;
  }

  strategy::Preparation shared{test::small_network(), images(100, 16)};
  Jury jury{shared.simplified({}).network, images(900, 8), {}, {0, 1, 2, 3, 4, 5, 6, 7}};
  Evaluator evaluator{ingredients(shared), jury};
};

std::vector<Work> some_works() {
  std::vector<Work> works;
  for (const char* change : {"calibration.method=minmax", "calibration.method=mse",
                             "quantization.scale_layers=false", "quantization.reconstruct=false"}) {
    Work work{Work::Kind::Trial, recipe::find_recipe("int8"), ""};
    const std::vector<std::string> changes{change};
    recipe::apply_overrides(work.recipe, changes);
    works.push_back(work);
  }
  return works;
}

class CrewTest : public ::testing::Test {
 protected:
  /// The outcomes, without what they took.
  std::vector<std::optional<Outcome>> ask(Crew& crew, const std::string& journal) {
    Journal made = Journal::begin(folder_.path(journal), {});
    const Budget budget;
    JournalDesk desk(made, crew, budget, [](const Event&) {});
    auto outcomes = desk.ask(some_works());
    for (auto& outcome : outcomes)
      if (outcome) outcome->seconds = 0;
    return outcomes;
  }

  test::TemporaryFolder folder_;
  Bench own_;
};

TEST_F(CrewTest, OtherRanksMeasureTheSame) {
  Mail mail{{}, std::vector<std::deque<Ranks::Message>>(3)};
  ThreadRanks lead(mail, 0);
  std::vector<std::thread> ranks;
  for (int r = 1; r < 3; ++r)
    ranks.emplace_back([&mail, r] {
      Bench bench;
      ThreadRanks mine(mail, r);
      serve(mine, bench.evaluator);
    });
  std::vector<std::optional<Outcome>> alone, together;
  {
    Crew crew(own_.evaluator);
    alone = ask(crew, "alone");
  }
  {
    Crew crew(own_.evaluator, &lead);
    together = ask(crew, "together");
  }
  for (std::thread& rank : ranks) rank.join();
  ASSERT_TRUE(alone.front().has_value());
  EXPECT_EQ(alone, together);
}

TEST_F(CrewTest, ARankThatIsNotHeardOfCostsItsTrialNotTheSearch) {
  Mail mail{{}, std::vector<std::deque<Ranks::Message>>(2)};
  ThreadRanks lead(mail, 0);
  Crew crew(own_.evaluator, &lead, std::chrono::milliseconds(20));
  for (const auto& outcome : ask(crew, "journal")) EXPECT_TRUE(outcome.has_value());
  EXPECT_EQ(mail.boxes[1].size(), 1u) << "it gets no second trial";
}

TEST_F(CrewTest, AFaultOfAnotherRankEndsTheSearch) {
  Mail mail{{}, std::vector<std::deque<Ranks::Message>>(2)};
  ThreadRanks lead(mail, 0), other(mail, 1);
  other.send(0, "Fno memory");
  Crew crew(own_.evaluator, &lead);
  EXPECT_THROW(ask(crew, "journal"), Error);
}

TEST_F(CrewTest, ABudgetOfTrialsCountsThoseOfEarlierRuns) {
  Crew crew(own_.evaluator);
  Journal journal = Journal::begin(folder_.path("journal"), {});
  Budget budget;
  budget.trials = 2;
  const auto answered = [&](std::int64_t trials) {
    budget.trials = trials;
    JournalDesk desk(journal, crew, budget, [](const Event&) {});
    const auto outcomes = desk.ask(some_works());
    EXPECT_EQ(desk.over(), trials < 4);
    return std::pair(std::count_if(outcomes.begin(), outcomes.end(),
                                   [](const auto& o) { return o.has_value(); }),
                     desk.measured());
  };
  EXPECT_EQ(answered(2), std::pair(2L, std::size_t{2}));
  EXPECT_EQ(answered(3), std::pair(3L, std::size_t{1}));
  EXPECT_EQ(answered(9), std::pair(4L, std::size_t{1}));
}

TEST_F(CrewTest, ADeadlineThatHasPassedLetsOnlyKnownThingsThrough) {
  Crew crew(own_.evaluator);
  Journal journal = Journal::begin(folder_.path("journal"), {});
  Budget budget;
  const std::vector<Work> works = some_works();
  {
    JournalDesk desk(journal, crew, budget, [](const Event&) {});
    desk.ask(std::span(works).first(2));
  }
  budget.deadline = std::chrono::steady_clock::now();
  int heard = 0;
  JournalDesk desk(journal, crew, budget, [&](const Event& event) {
    EXPECT_TRUE(event.known);
    ++heard;
  });
  const auto outcomes = desk.ask(works);
  EXPECT_TRUE(outcomes[0] && outcomes[1]);
  EXPECT_FALSE(outcomes[2] || outcomes[3]);
  EXPECT_TRUE(desk.over());
  EXPECT_EQ(heard, 2);
}

}  // namespace
}  // namespace espquant::search
