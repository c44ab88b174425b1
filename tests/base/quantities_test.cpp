#include "base/quantities.h"

#include <gtest/gtest.h>

namespace espquant {
namespace {

TEST(Quantities, BytesMayBeKilobytesAndMegabytes) {
  EXPECT_EQ(parse_bytes("4096"), 4096);
  EXPECT_EQ(parse_bytes("0"), 0);
  EXPECT_EQ(parse_bytes("300K"), 300 * 1024);
  EXPECT_EQ(parse_bytes("300k"), 300 * 1024);
  EXPECT_EQ(parse_bytes("1.5M"), 1.5 * 1024 * 1024);
  for (const char* text : {"", "K", "-1", "1KB", "1 K", "inf", "nan", "1e308M", "+3", "0x10"})
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
}

TEST(Quantities, TimeMayBeMinutesAndHours) {
  EXPECT_EQ(parse_seconds("90"), 90);
  EXPECT_EQ(parse_seconds("90s"), 90);
  EXPECT_EQ(parse_seconds("2m"), 120);
  EXPECT_EQ(parse_seconds("1.5h"), 5400);
  for (const char* text : {"", "m", "0", "-2m", "5min", "5 m", "inf", "nanm", "1e308h"})
    EXPECT_EQ(parse_seconds(text), std::nullopt) << text;
}

TEST(Quantities, PercentAreSharesOfOne) {
  EXPECT_EQ(parse_percent("60%"), 0.6);
  EXPECT_EQ(parse_percent("-40%"), -0.4);
  EXPECT_EQ(parse_percent("0.5%"), 0.005);
  for (const char* text : {"", "%", "60", "60 %", "x%", "inf%"})
    EXPECT_EQ(parse_percent(text), std::nullopt) << text;
}

}  // namespace
}  // namespace espquant
