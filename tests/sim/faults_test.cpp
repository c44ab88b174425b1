#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tests/support/shared.h"

namespace espquant::test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::set<std::string> matches(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it)
    found.insert((*it)[1]);
  return found;
}

/// A fault's name is a string literal of lower-case words, in the statement that adds it.
std::set<std::string> faults_in_the_code() {
  std::set<std::string> names;
  for (const auto& file : fs::directory_iterator(fs::path(ESPQUANT_SOURCE_DIR) / "src/sim")) {
    const std::string text = text_of(file.path());
    for (const std::string& statement :
         matches(text, R"((?:add_fault|faults\.(?:emplace|push)_back)\(([^;]*);)"))
      names.merge(matches(statement, R"re("([a-z0-9]+(?:-[a-z0-9]+)+)")re"));
  }
  return names;
}

TEST(Faults, EachHasASectionInTheDocumentation) {
  const auto sections = matches(text_of(fs::path(ESPQUANT_SOURCE_DIR) / "docs/runtime-faults.md"),
                                R"(\n## ([a-z0-9-]+))");
  std::set<std::string> documented(sections.begin(), sections.end());
  for (const std::string& fault : faults_in_the_code())
    EXPECT_EQ(documented.erase(fault), 1U) << fault << " is not documented";
  EXPECT_TRUE(documented.empty()) << *documented.begin() << " is documented but never met";
}

}  // namespace
}  // namespace espquant::test
