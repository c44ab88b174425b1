#include "recipe/name_pattern.h"

#include <gtest/gtest.h>

#include <string>

namespace espquant::recipe {
namespace {

TEST(NamePattern, PlainNamesMatchThemselves) {
  EXPECT_TRUE(matches("/stem/stem.0/Conv", "/stem/stem.0/Conv"));
  EXPECT_FALSE(matches("/stem/stem.0/Conv", "/stem/stem.0/Conv_1"));
  EXPECT_FALSE(matches("/stem/stem.0/Conv_1", "/stem/stem.0/Conv"));
  EXPECT_FALSE(matches("a.c", "abc"));
  EXPECT_TRUE(matches("a[0]", "a[0]"));
  EXPECT_TRUE(matches("", ""));
  EXPECT_FALSE(matches("", "a"));
}

TEST(NamePattern, StarTakesAnyRun) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("/blocks/*", "/blocks/0/Conv"));
  EXPECT_TRUE(matches("*/Conv", "/blocks/0/Conv"));
  EXPECT_TRUE(matches("/b*0*nv", "/blocks/0/Conv"));
  EXPECT_TRUE(matches("a*", "a"));
  EXPECT_TRUE(matches("*ab*ab", "aabab_ab"));
  EXPECT_FALSE(matches("*ab*ab", "xab"));
  EXPECT_FALSE(matches("/blocks/*", "/block/0"));
}

TEST(NamePattern, QuestionMarkTakesOne) {
  EXPECT_TRUE(matches("block?", "block1"));
  EXPECT_FALSE(matches("block?", "block"));
  EXPECT_FALSE(matches("block?", "block10"));
  EXPECT_TRUE(matches("?*", "a"));
  EXPECT_FALSE(matches("?*", ""));
}

// A matcher that tries every split of the name would not end.
TEST(NamePattern, ManyStarsAreQuick) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "*a";
  EXPECT_FALSE(matches(pattern + "b", std::string(2000, 'a')));
}

TEST(NamePattern, ABackslashTakesTheMeaningFromWhatFollows) {
  EXPECT_TRUE(matches("a\\*b", "a*b"));
  EXPECT_FALSE(matches("a\\*b", "axb"));
  EXPECT_FALSE(matches("a\\?", "ab"));
  EXPECT_TRUE(matches("a\\b", "a\\b"));
  EXPECT_TRUE(matches("*\\**", "x*y"));
  EXPECT_TRUE(matches("a\\", "a\\"));
}

TEST(NamePattern, OfANameFitsThatNameOnly) {
  for (const char* name : {"plain", "a*b", "what?", "back\\slash", "\\*", "**", ""}) {
    EXPECT_TRUE(matches(pattern_of(name), name)) << name;
    for (const char* other : {"axxb", "whats", "backslash", "x*", "anything"})
      EXPECT_FALSE(matches(pattern_of(name), other)) << name << ' ' << other;
  }
}

}  // namespace
}  // namespace espquant::recipe
