#include "base/text.h"

#include <gtest/gtest.h>

namespace espquant {
namespace {

TEST(IsUtf8, TakesCharactersOfEveryLength) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("conv1/weight:0"));
  EXPECT_TRUE(is_utf8("caf\xC3\xA9 \xE6\x89\x8B\xE5\x8A\xBF \xF0\x9F\x91\x8B"));
  EXPECT_TRUE(is_utf8("\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF"));  // beside what is left out
}

TEST(IsUtf8, RefusesWhatRfc3629Forbids) {
  for (const char* text : {
           "\x80",              // goes on with nothing
           "\xC3",              // cut short
           "\xE6\x89",          //
           "\xC3(",             // does not go on
           "\xC0\xAF",          // longer than need be
           "\xE0\x80\xAF",      //
           "\xF0\x80\x80\xAF",  //
           "\xED\xA0\x80",      // half of a pair of UTF-16
           "\xF4\x90\x80\x80",  // beyond U+10FFFF
           "\xFF\xFE",          //
           "a\xE9t\xE9"         // Latin-1
       })
    EXPECT_FALSE(is_utf8(text)) << text;
}

}  // namespace
}  // namespace espquant
