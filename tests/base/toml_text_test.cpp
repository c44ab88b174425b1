#include "base/toml_text.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/errors.h"

namespace espquant {
namespace {

using test::error_of;

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(TomlText, AcceptsWhatPeopleWrite) {
  EXPECT_NO_THROW(parse_toml("a.b.c = 1.5\nlist = [" + repeated("0.25, ", 500) + "]\n"));
  EXPECT_NO_THROW(parse_toml("# " + repeated(".", 99) + "\na = 1\n# " + repeated(".", 200) +
                             "\n  # " + repeated("-.", 200)));
}

TEST(TomlText, RefusesKeysOfManyParts) {
  for (const std::string before : {"", "x = 1\n", "x = {", "# y\n"}) {
    const Error error = error_of([&] { parse_toml(before + "a" + repeated(".a", 33) + " = 1"); });
    EXPECT_EQ(error.code(), ErrorCode::Malformed);
    EXPECT_NE(error.message().find("a key of more than 32 parts"), std::string::npos);
  }
}

TEST(TomlText, RefusesTextsThatNobodyWrites) {
  EXPECT_EQ(error_of([] { parse_toml(std::string((1 << 20) + 1, ' ')); }).code(),
            ErrorCode::Malformed);
}

TEST(TomlText, NamesTheLineOfWhatIsNoToml) {
  const Error error = error_of([] { parse_toml("a = 1\nb = [1,\n"); });
  EXPECT_EQ(error.code(), ErrorCode::Usage);
  EXPECT_NE(error.message().find("line "), std::string::npos) << error.message();
}

TEST(TomlText, SaysThatATextStandsInQuotes) {
  for (const std::string text :
       {"[c]\nmethod = kl # best\n", "[c]\nmethod=kl", "[c]\r\nmethod = kl\r\n"}) {
    const Error error = error_of([&] { parse_toml(text); });
    EXPECT_EQ(error.message(), "line 2: kl is no value");
    EXPECT_EQ(error.remedy(), "A text stands in quotes: \"kl\"");
  }
}

}  // namespace
}  // namespace espquant
