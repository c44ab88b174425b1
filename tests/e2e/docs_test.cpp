#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "data/preprocess.h"
#include "target/release.h"
#include "tests/e2e/program.h"
#include "tests/support/content_of.h"
#include "tests/support/source_dir.h"

/// What the documentation says of the tree and the program.
namespace espquant::test {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = source_dir();

std::vector<fs::path> pages() {
  std::vector<fs::path> all{kRoot / "README.md", kRoot / "README_cn.md"};
  for (const auto& entry : fs::directory_iterator(kRoot / "docs"))
    if (entry.path().extension() == ".md") all.push_back(entry.path());
  return all;
}

/// What the first group of `pattern` matches.
std::vector<std::string> matches(const std::string& text, const char* pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> all;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it)
    all.push_back((*it)[1]);
  return all;
}

TEST(Docs, NameFilesThatExist) {
  for (const auto& page : pages())
    for (const auto& path :
         matches(content_of(page),
                 "`((?:src|tests|docs|examples|scripts|cmake|bench|recipes)/[^`<*{ ]*)`"))
      EXPECT_TRUE(fs::exists(kRoot / path)) << page << " names " << path;
}

TEST(Docs, LinksLeadSomewhere) {
  for (const auto& page : pages())
    for (const auto& link : matches(content_of(page), "\\]\\(([^)#:]+)\\)"))
      EXPECT_TRUE(fs::exists(page.parent_path() / link)) << page << " links to " << link;
}

TEST(Docs, AnOperatorsPlacesAreThose) {
  // Each file that the walk names for Neg mentions it.
  const std::string page = content_of(kRoot / "docs/adding-an-operator.md");
  for (const char* file :
       {"src/ops/math.cpp", "src/ops/operators.h", "src/ops/registry.cpp", "src/sim/neg.cpp",
        "src/sim/operators.h", "src/sim/registry.cpp", "src/sim/check.cpp", "src/lower/rules.cpp",
        "src/cost/in_place.cpp", "src/quant/groups.cpp", "src/passes/merge_transposes.cpp"}) {
    EXPECT_NE(page.find(fmt::format("`{}`", file)), std::string::npos) << file;
    EXPECT_FALSE(matches(content_of(kRoot / file), "\\b((?:kNeg|Neg|prepare_neg))\\b").empty())
        << file;
  }
}

TEST(Docs, OperatorsAreThoseThatCanBeWritten) {
  const std::string page = content_of(kRoot / "docs/operators.md");
  const std::string table = page.substr(0, page.find("\n## Rewritten"));
  const auto named = matches(table, "`([A-Z][A-Za-z0-9]*)`");
  const auto rules = matches(content_of(kRoot / "src/lower/rules.cpp"), "RuleEntry\\{\"(\\w+)\"");
  EXPECT_EQ(std::set<std::string>(named.begin(), named.end()),
            std::set<std::string>(rules.begin(), rules.end()));
}

TEST(Docs, ReleasesHaveTheFeaturesOfTheTable) {
  std::string table;
  for (const FeatureFact& fact : all_features())
    table +=
        fmt::format("| {} | {} | {} |\n", fact.since.version, fact.name, to_string(fact.certainty));
  EXPECT_NE(content_of(kRoot / "docs/releases.md").find(table), std::string::npos) << table;
}

TEST(Docs, SettingsOfPicturesAreThoseOfTheTable) {
  std::string table;
  for (const data::SettingHelp& key : data::setting_help())
    table +=
        fmt::format("| `{}` | {} | {} | {} |\n", key.name, key.values, key.otherwise, key.meaning);
  EXPECT_NE(content_of(kRoot / "docs/data.md").find(table), std::string::npos) << table;
}

TEST(Docs, CommandsExist) {
  const std::string help = run_program({"--help"}).out;
  for (const auto& page : pages())
    for (const auto& command : matches(content_of(page), "\\n    (?:\\$ )?espquant ([a-z]+)"))
      EXPECT_NE(help.find(fmt::format("\n  {} ", command)), std::string::npos)
          << page << " uses '" << command << "'";
}

}  // namespace
}  // namespace espquant::test
