#include "deploy/project_folder.h"

#include <gtest/gtest.h>

#include <fstream>
#include <span>

#include "base/digest.h"
#include "tests/support/content_of.h"
#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace espquant::deploy {
namespace {

Project project_of(std::string content) {
  Project project;
  project.files = {{"main/a.cpp", std::move(content)}, {"README.md", "read me"}};
  return project;
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

class ProjectFolder : public testing::Test {
 protected:
  std::string refusal(const std::string& content) {
    const Error error = test::error_of([&] { write_project(out, project_of(content), false); });
    EXPECT_EQ(error.code(), ErrorCode::Usage);
    return error.message();
  }

  test::TemporaryFolder folder;
  std::filesystem::path out = folder.path("firmware");
};

TEST_F(ProjectFolder, IsWrittenAgainWhereNothingWasChanged) {
  write_project(out, project_of("one"), false);
  write_project(out, project_of("two"), false);
  EXPECT_EQ(test::content_of(out / "main/a.cpp"), "two");
}

TEST_F(ProjectFolder, WhatTheUserChangedStays) {
  write_project(out, project_of("one"), false);
  write(out / "main/a.cpp", "mine");
  EXPECT_EQ(refusal("two"), "you changed main/a.cpp");
  EXPECT_EQ(test::content_of(out / "main/a.cpp"), "mine");
  write_project(out, project_of("two"), true);
  EXPECT_EQ(test::content_of(out / "main/a.cpp"), "two");
}

TEST_F(ProjectFolder, FilesBesideTheProjectAreLeftAlone) {
  write_project(out, project_of("one"), false);
  write(out / "sdkconfig", "mine");
  write_project(out, project_of("two"), false);
  EXPECT_EQ(test::content_of(out / "sdkconfig"), "mine");
}

Project with_more(std::string content) {
  Project project = project_of("one");
  project.files.push_back({"main/b.cpp", std::move(content)});
  return project;
}

TEST_F(ProjectFolder, WhatTheNextProjectHasNotGoesUnlessItWasChanged) {
  write_project(out, with_more("more"), false);
  write_project(out, project_of("one"), false);
  EXPECT_FALSE(std::filesystem::exists(out / "main/b.cpp"));
  write_project(out, with_more("more"), false);
  write(out / "main/b.cpp", "mine");
  write_project(out, project_of("one"), false);
  EXPECT_EQ(test::content_of(out / "main/b.cpp"), "mine");
  // It is the user's now.
  const Error error = test::error_of([&] { write_project(out, with_more("more"), false); });
  EXPECT_EQ(error.message(), "there are files of yours called main/b.cpp");
  EXPECT_EQ(test::content_of(out / "main/b.cpp"), "mine");
}

TEST_F(ProjectFolder, APathThatLeadsOutOfTheFolderIsNotFollowed) {
  write_project(out, project_of("one"), false);
  write(folder.path("mine.txt"), "mine");
  const std::string mine = "mine";
  std::ofstream(out / ".espquant", std::ios::app)
      << sha256_of(std::as_bytes(std::span(mine))) << " ../mine.txt\n";
  write_project(out, project_of("one"), false);
  EXPECT_EQ(test::content_of(folder.path("mine.txt")), "mine");
}

TEST_F(ProjectFolder, AFolderOfOtherFilesIsRefused) {
  std::filesystem::create_directories(out);
  write(out / "README.md", "read me");
  EXPECT_EQ(refusal("one"), "the folder holds files that no espquant project is made of");
  EXPECT_FALSE(std::filesystem::exists(out / "main"));
  write_project(out, project_of("one"), true);
  EXPECT_EQ(test::content_of(out / "main/a.cpp"), "one");
}

TEST_F(ProjectFolder, AFileOfThatNameIsRefused) {
  write(out, "a file");
  EXPECT_EQ(refusal("one"), "there is a file of that name");
}

}  // namespace
}  // namespace espquant::deploy
