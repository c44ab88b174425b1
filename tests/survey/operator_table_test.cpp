#include "survey/operator_table.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "lower/lower.h"
#include "ops/op.h"
#include "tests/support/source_dir.h"

namespace espquant::survey {
namespace {

TEST(OperatorTable, HasEveryKnownOperatorOnce) {
  std::map<std::string, int> count;
  for (const OperatorGroup& group : operator_groups())
    for (const std::string_view op : group.operators) ++count[std::string(op)];
  for (const auto& [op, times] : count) EXPECT_EQ(times, 1) << op;
  for (const ops::OpDef& op : ops::all_ops()) EXPECT_EQ(count[std::string(op.type)], 1) << op.type;
}

TEST(OperatorTable, OnTheChipIsWhatCanBeLowered) {
  std::set<std::string> table, rules;
  for (const OperatorGroup& group : operator_groups())
    if (group.way == Way::Chip)
      for (const std::string_view op : group.operators) table.emplace(op);
  for (const std::string& op : lower::supported_operators()) rules.insert(op);
  EXPECT_EQ(table, rules);
}

TEST(OperatorTable, WhatCannotRunHasAWayOut) {
  for (const OperatorGroup& group : operator_groups())
    if (group.way == Way::None) {
      EXPECT_FALSE(group.note.empty()) << group.operators.front();
    }
  EXPECT_EQ(group_of("TopK")->way, Way::None);
  EXPECT_EQ(group_of("Mystery"), nullptr);
}

TEST(OperatorTable, ThePageShowsIt) {
  std::ostringstream page;
  page << std::ifstream(test::source_dir() / "docs/operators.md").rdbuf();
  EXPECT_NE(page.str().find(operators_markdown()), std::string::npos)
      << "docs/operators.md must hold what espquant check --list --markdown prints:\n"
      << operators_markdown();
}

}  // namespace
}  // namespace espquant::survey
