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
  EXPECT_NO_THROW(check_toml_text("a.b.c = 1.5\nlist = [" + repeated("0.25, ", 500) + "]\n"));
  EXPECT_NO_THROW(check_toml_text("# " + repeated(".", 99) + "\na = 1\n# " + repeated(".", 200) +
                                  "\n  # " + repeated("-.", 200)));
}

TEST(TomlText, RefusesKeysOfManyParts) {
  for (const std::string before : {"", "x = 1\n", "x = {", "# y\n"}) {
    const Error error =
        error_of([&] { check_toml_text(before + "a" + repeated(".a", 33) + " = 1"); });
    EXPECT_EQ(error.code(), ErrorCode::Malformed);
    EXPECT_NE(error.message().find("a key of more than 32 parts"), std::string::npos);
  }
}

TEST(TomlText, RefusesTextsThatNobodyWrites) {
  EXPECT_EQ(error_of([] { check_toml_text(std::string((1 << 20) + 1, ' ')); }).code(),
            ErrorCode::Malformed);
}

}  // namespace
}  // namespace espquant
