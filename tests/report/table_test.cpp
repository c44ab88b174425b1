#include "report/table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace espquant::report {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(Table, ColumnsAreAsWideAsTheirContent) {
  Table table({{"name"}, {"ms", Table::Align::Right}});
  table.add_row({"a", "12.5"});
  table.add_row({"longer", "3"});
  table.add_rule();
  table.add_row({"total", "15.5"});
  EXPECT_EQ(table.to_string(),
            "name      ms\n"
            "------  ----\n"
            "a       12.5\n"
            "longer     3\n"
            "------  ----\n"
            "total   15.5\n");
}

TEST(Table, StaysWithinTheLimitAtTheCostOfTheWidestText) {
  Table table({{"node"}, {"type"}, {"bytes", Table::Align::Right}});
  table.add_row({std::string(300, 'n'), std::string(40, 't'), "1,234,567"});
  const auto lines = lines_of(table.to_string(100));
  for (const auto& line : lines) EXPECT_LE(line.size(), 100U);
  EXPECT_EQ(lines[2].size(), 100U) << "no narrower than needed";
  EXPECT_TRUE(lines[2].ends_with("1,234,567"));
  EXPECT_NE(lines[2].find("tttttt"), std::string::npos);
}

TEST(Table, NamesThatDifferStayDifferent) {
  Table table({{"node"}, {"type"}});
  table.add_row({"/blocks/blocks.0/layers/layers.0/Conv", "Conv"});
  table.add_row({"/blocks/blocks.1/layers/layers.0/Conv", "Conv"});
  const auto lines = lines_of(table.to_string(30));
  EXPECT_NE(lines[2], lines[3]);
  EXPECT_LT(lines[2].size(), lines_of(table.to_string(200))[2].size());
}

TEST(Table, NothingIsCutWithoutAPagesEdge) {
  Table table({{"node"}});
  table.add_row({std::string(300, 'n')});
  EXPECT_EQ(lines_of(table.to_string())[2], std::string(300, 'n'));
}

TEST(Table, NumbersAreNeverCut) {
  Table table({{"name"}, {"bytes", Table::Align::Right}});
  table.add_row({"x", std::string(120, '9')});
  EXPECT_NE(table.to_string().find(std::string(120, '9')), std::string::npos);
}

TEST(Table, RowsMayEndEarly) {
  Table table({{"a"}, {"b"}});
  table.add_row({"1"});
  EXPECT_EQ(lines_of(table.to_string())[2], "1") << "no trailing spaces";
}

TEST(Table, ControlCharactersOfAFileDoNotReachTheTerminal) {
  Table table({{"a"}});
  table.add_row({"x\x1b[31m\ny"});
  EXPECT_EQ(lines_of(table.to_string())[2], "x?[31m?y");
}

TEST(Table, CountsCharactersNotBytes) {
  Table table({{"a"}, {"b"}});
  table.add_row({"\u00e9\u00e9", "x"});
  table.add_row({"ee", "x"});
  const auto lines = lines_of(table.to_string());
  EXPECT_EQ(lines[2].find('x'), lines[3].find('x') + 2);
}

TEST(Shortened, KeepsBothEnds) {
  EXPECT_EQ(shortened("abcdef", 6), "abcdef");
  EXPECT_EQ(shortened("/model/stage1/conv", 10), "/mod..conv");
  EXPECT_EQ(shortened("abcdef", 2), "ab");
  EXPECT_EQ(shortened("\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9", 4), "\u00e9..\u00e9");
}

TEST(Numbers, AreEasyToRead) {
  EXPECT_EQ(with_separators(0), "0");
  EXPECT_EQ(with_separators(999), "999");
  EXPECT_EQ(with_separators(1234567), "1,234,567");
  EXPECT_EQ(with_separators(-1234), "-1,234");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.00 KiB");
  EXPECT_EQ(human_bytes(123456), "121 KiB");
  EXPECT_EQ(human_bytes(5 * 1024 * 1024), "5.00 MiB");
}

}  // namespace
}  // namespace espquant::report
