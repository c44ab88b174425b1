#include "search/journal.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/random.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace espquant::search {
namespace {

namespace fs = std::filesystem;

const Identity kInputs{{"network", "abc"}, {"chip", "esp32s3"}};

Work work_of(int number) {
  Work work{Work::Kind::Look, recipe::find_recipe("int8"), ""};
  work.recipe.calibration.samples = number;
  return work;
}

Outcome outcome_of(int number) {
  Outcome outcome;
  outcome.judged = 0.1 + number / 3.0;
  outcome.flash = 1000 + number;
  return outcome;
}

/// How long it took is no part of it.
Outcome timeless(Outcome outcome) {
  outcome.seconds = 0;
  return outcome;
}

void measure(Journal& journal, int number) {
  ASSERT_EQ(journal.claim(work_of(number), number), Journal::Claim::Mine);
  journal.finish(work_of(number).key(), outcome_of(number));
}

class JournalTest : public ::testing::Test {
 protected:
  Journal go_on() {
    damage_.reset();
    return Journal::go_on(path_, kInputs, damage_);
  }
  void make(int count) {
    Journal journal = Journal::begin(path_, kInputs);
    for (int i = 0; i < count; ++i) measure(journal, i);
  }

  test::TemporaryFolder folder_;
  fs::path path_ = folder_.root() / "tune.journal";
  std::optional<std::string> damage_;
};

TEST_F(JournalTest, GivesBackWhatWasMeasured) {
  make(3);
  Journal journal = go_on();
  EXPECT_EQ(damage_, std::nullopt);
  EXPECT_EQ(journal.size(), 3u);
  EXPECT_EQ(journal.find(work_of(1).key()), outcome_of(1));
  EXPECT_EQ(journal.find(work_of(7).key()), std::nullopt);
  EXPECT_EQ(journal.claim(work_of(1), 1), Journal::Claim::Known);
  const std::vector<Entry> entries = Journal::read(path_);
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[2].work.recipe, work_of(2).recipe);
  EXPECT_EQ(entries[2].outcome, outcome_of(2));
}

TEST_F(JournalTest, IsNotBegunTwice) {
  make(0);
  const Error error = test::error_of([&] { Journal::begin(path_, kInputs); });
  EXPECT_EQ(error.code(), ErrorCode::Usage);
  EXPECT_NE(error.remedy().find("--resume"), std::string::npos);
}

TEST_F(JournalTest, OfOtherInputsIsRefusedWithWhatIsOther) {
  make(1);
  std::optional<std::string> damage;
  const Error error = test::error_of([&] {
    Journal::go_on(path_, {{"network", "abc"}, {"chip", "esp32p4"}}, damage);
  });
  EXPECT_EQ(error.code(), ErrorCode::Usage);
  EXPECT_NE(error.message().find("another chip: esp32s3, now esp32p4"), std::string::npos)
      << error.message();
  EXPECT_TRUE(fs::exists(path_));
}

TEST_F(JournalTest, AClaimHoldsAsLongAsItsProcessLives) {
  make(0);
  int to_child[2], to_parent[2];
  ASSERT_EQ(::pipe(to_child), 0);
  ASSERT_EQ(::pipe(to_parent), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    {
      std::optional<std::string> damage;
      Journal journal = Journal::go_on(path_, kInputs, damage);
      journal.claim(work_of(1), 1);
      if (::write(to_parent[1], "c", 1) != 1 || ::read(to_child[0], &byte, 1) < 0) ::_exit(1);
    }
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(to_parent[0], &byte, 1), 1);
  Journal journal = go_on();
  EXPECT_EQ(journal.claim(work_of(1), 1), Journal::Claim::Taken);
  EXPECT_EQ(journal.claim(work_of(2), 2), Journal::Claim::Mine);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(journal.claim(work_of(1), 1), Journal::Claim::Mine);
  for (const int fd : {to_child[0], to_child[1], to_parent[0], to_parent[1]}) ::close(fd);
}

TEST_F(JournalTest, AClaimThatIsGivenBackIsFree) {
  make(0);
  Journal journal = go_on();
  ASSERT_EQ(journal.claim(work_of(1), 1), Journal::Claim::Mine);
  journal.release(work_of(1).key());
  EXPECT_EQ(journal.claim(work_of(1), 1), Journal::Claim::Mine);
  EXPECT_EQ(journal.size(), 0u);
}

TEST_F(JournalTest, NotesAreKept) {
  make(0);
  go_on().set_note("options", "{}");
  EXPECT_EQ(go_on().note("options"), "{}");
  EXPECT_EQ(go_on().note("else"), "");
}

/// One byte of the file changed, at many places: what is read after that was written, and what is
/// lost can be measured again.
TEST_F(JournalTest, WhatIsDamagedIsLeftBehindAndTheRestIsRight) {
  make(40);
  std::ifstream file(path_, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), {});
  Random random(5);
  int damaged = 0;
  for (int round = 0; round < 60; ++round) {
    std::string broken = whole;
    const std::size_t at = random.below(broken.size());
    broken[at] = static_cast<char>(broken[at] ^ static_cast<char>(1 + random.below(255)));
    std::ofstream(path_, std::ios::binary) << broken;
    Journal journal = go_on();
    damaged += damage_ ? 1 : 0;
    for (int i = 0; i < 40; ++i)
      if (const auto found = journal.find(work_of(i).key()))
        EXPECT_EQ(timeless(*found), outcome_of(i)) << "byte " << at;
      else
        measure(journal, i);
    EXPECT_EQ(journal.size(), 40u) << "byte " << at;
  }
  EXPECT_GT(damaged, 10);
}

TEST_F(JournalTest, AFileThatIsNoJournalIsSetAside) {
  std::ofstream(path_) << std::string(8192, 'x');
  Journal journal = go_on();
  ASSERT_TRUE(damage_.has_value());
  EXPECT_EQ(journal.size(), 0u);
  EXPECT_TRUE(fs::exists(path_.string() + ".damaged"));
}

TEST_F(JournalTest, ATruncatedOneKeepsNothingWrong) {
  make(40);
  const auto size = fs::file_size(path_);
  for (const auto part : {1u, 2u, 5u, 9u}) {
    fs::resize_file(path_, size * part / 10);
    Journal journal = go_on();
    for (int i = 0; i < 40; ++i)
      if (const auto found = journal.find(work_of(i).key()))
        EXPECT_EQ(timeless(*found), outcome_of(i));
      else
        measure(journal, i);
    EXPECT_EQ(journal.size(), 40u);
  }
}

}  // namespace
}  // namespace espquant::search
