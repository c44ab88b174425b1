#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "tests/support/content_of.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace espquant {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::TemporaryFolder;
using Names = std::vector<std::string>;

void put(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

/// A run folder as a process that died leaves it.
fs::path dead_run(const TemporaryFolder& folder, const std::string& journal, bool committed) {
  const fs::path run = folder.root() / ".espquant-dead";
  fs::create_directory(run);
  ::chmod(run.c_str(), 0700);
  put(run / "lock", "");
  put(run / "new-0", "new");
  put(run / "journal", journal);
  if (committed) put(run / "committed", "");
  return run;
}

void write_something(const TemporaryFolder& folder) {
  OutputFiles files;
  files.add(folder.path("other"), std::string_view("x"));
  files.commit();
}

const std::string kJournalOfA{"\0a\0", 3};

TEST(OutputFiles, AppearAtCommit) {
  const TemporaryFolder folder;
  put(folder.path("a"), "old");
  OutputFiles files;
  files.add(folder.path("a"), std::string_view("new"));
  files.add(folder.path("deep/er/b"), std::string_view("b"));
  EXPECT_EQ(test::content_of(folder.path("a")), "old");
  EXPECT_FALSE(fs::exists(folder.path("deep/er/b")));
  files.commit();
  EXPECT_EQ(test::content_of(folder.path("a")), "new");
  EXPECT_EQ(test::content_of(folder.path("deep/er/b")), "b");
  EXPECT_EQ(folder.entries(), (Names{"a", "deep"}));
}

TEST(OutputFiles, LeaveNothingWithoutCommit) {
  const TemporaryFolder folder;
  {
    OutputFiles files;
    files.add(folder.path("new/a"), std::string_view("a"));
    files.add(folder.path("b"), std::string_view("b"));
  }
  EXPECT_TRUE(folder.entries().empty());
}

TEST(OutputFiles, ReplacedFilesKeepTheirPermissions) {
  const TemporaryFolder folder;
  put(folder.path("secret"), "old");
  ::chmod(folder.path("secret").c_str(), 0600);
  OutputFiles files;
  files.add(folder.path("secret"), std::string_view("new"));
  files.commit();
  struct stat info {};
  ASSERT_EQ(::stat(folder.path("secret").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST(OutputFiles, ASymbolicLinkStaysOne) {
  const TemporaryFolder folder;
  put(folder.path("real"), "old");
  fs::create_symlink("real", folder.path("link"));
  OutputFiles files;
  files.add(folder.path("link"), std::string_view("new"));
  files.commit();
  EXPECT_TRUE(fs::is_symlink(folder.path("link")));
  EXPECT_EQ(test::content_of(folder.path("real")), "new");
}

TEST(OutputFiles, RefuseWhatIsNoFile) {
  const TemporaryFolder folder;
  OutputFiles files;
  EXPECT_EQ(error_of([&] { files.stage("/dev/null"); }).message(),
            "cannot write it: it is a device or a pipe, not a file");
  EXPECT_EQ(error_of([&] { files.stage(folder.root()); }).message(),
            "cannot write it: a folder has this name");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(OutputFiles, RefuseOneNameForTwoResults) {
  const TemporaryFolder folder;
  OutputFiles files;
  files.add(folder.path("a"), std::string_view("1"));
  EXPECT_EQ(error_of([&] { files.stage(folder.path("a")); }).code(), ErrorCode::Usage);
}

TEST(OutputFiles, TakeBackWhatARenameHasDoneBeforeOneFails) {
  const TemporaryFolder folder;
  put(folder.path("a"), "old");
  {
    OutputFiles files;
    files.add(folder.path("a"), std::string_view("new"));
    files.add(folder.path("c"), std::string_view("c"));
    files.add(folder.path("b"), std::string_view("b"));
    // Between staging and renaming, another has made a folder of that name.
    fs::create_directories(folder.path("b/full"));
    EXPECT_EQ(error_of([&] { files.commit(); }).code(), ErrorCode::Io);
  }
  EXPECT_EQ(test::content_of(folder.path("a")), "old");
  EXPECT_EQ(folder.entries(), (Names{"a", "b"}));
}

TEST(OutputFiles, FinishASetThatADeadRunHadCommitted) {
  const TemporaryFolder folder;
  put(folder.path("a"), "old");
  dead_run(folder, kJournalOfA, true);
  write_something(folder);
  EXPECT_EQ(test::content_of(folder.path("a")), "new");
  EXPECT_EQ(folder.entries(), (Names{"a", "other"}));
}

TEST(OutputFiles, RemoveWhatADeadRunHadNotCommitted) {
  const TemporaryFolder folder;
  put(folder.path("a"), "old");
  dead_run(folder, kJournalOfA, false);
  write_something(folder);
  EXPECT_EQ(test::content_of(folder.path("a")), "old");
  EXPECT_EQ(folder.entries(), (Names{"a", "other"}));
}

TEST(OutputFiles, LeaveALivingRunAlone) {
  const TemporaryFolder folder;
  const fs::path run = dead_run(folder, kJournalOfA, true);
  const int lock = ::open((run / "lock").c_str(), O_RDWR);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  write_something(folder);
  EXPECT_TRUE(fs::exists(run / "new-0"));
  EXPECT_FALSE(fs::exists(folder.path("a")));
  ::close(lock);
}

// Archives may hold hidden folders of any name.
TEST(OutputFiles, AJournalMovesNothingOutOfItsFolder) {
  const TemporaryFolder folder;
  fs::create_directory(folder.path("in"));
  put(folder.path("victim"), "old");
  const fs::path run = dead_run(folder, std::string("\0../victim\0", 11), true);
  fs::rename(run, folder.path("in/.espquant-dead"));
  OutputFiles files;
  files.add(folder.path("in/other"), std::string_view("x"));
  files.commit();
  EXPECT_EQ(test::content_of(folder.path("victim")), "old");
  EXPECT_FALSE(fs::exists(folder.path("in/.espquant-dead")));
}

TEST(OutputFiles, TheFollowersOfASetGoByTheFirst) {
  const TemporaryFolder folder;
  for (const bool committed : {false, true}) {
    fs::create_directory(folder.path("sub"));
    put(folder.path("sub/a"), "old");
    const fs::path follower = dead_run(folder, std::string("../.espquant-dead\0a\0", 20), false);
    fs::rename(follower, folder.path("sub/.espquant-two"));
    dead_run(folder, kJournalOfA, committed);
    if (committed)
      put(folder.path(".espquant-dead/committed"), std::string("sub/.espquant-two\0", 18));
    write_something(folder);
    EXPECT_EQ(fs::exists(folder.path("a")), committed);
    OutputFiles files;
    files.add(folder.path("sub/other"), std::string_view("x"));
    files.commit();
    EXPECT_EQ(test::content_of(folder.path("sub/a")), committed ? "new" : "old");
    EXPECT_FALSE(fs::exists(folder.path("sub/.espquant-two")));
    fs::remove_all(folder.path("sub"));
  }
}

}  // namespace
}  // namespace espquant
