#include "tests/e2e/json_page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

/// "layers[].name" of every value.
void add_fields(const nlohmann::json& json, const std::string& path, Fields& fields) {
  if (json.is_object()) {
    for (const auto& [key, value] : json.items())
      add_fields(value, path.empty() ? key : path + '.' + key, fields);
  } else if (json.is_array()) {
    for (const auto& value : json) add_fields(value, path + "[]", fields);
  } else {
    fields.insert(path);
  }
}

/// A pattern "a.*" stands for all below a.
bool is_documented(const std::string& field, const Fields& known) {
  return std::any_of(known.begin(), known.end(), [&](const std::string& pattern) {
    return pattern == field ||
           (pattern.ends_with(".*") && field.starts_with(pattern.substr(0, pattern.size() - 1)));
  });
}

}  // namespace

std::map<std::string, Fields> documented_fields() {
  std::map<std::string, Fields> sections;
  std::ifstream page(source_dir() / "docs/json.md");
  Fields* section = nullptr;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) section = &sections[line.substr(3)];
    if (section == nullptr || !line.starts_with("| `")) continue;
    const std::string cell = line.substr(0, line.find(" | ", 2));
    static const std::regex kField("`([^`]+)`");
    for (std::sregex_iterator it(cell.begin(), cell.end(), kField), end; it != end; ++it)
      section->insert((*it)[1]);
  }
  return sections;
}

void expect_documented(const nlohmann::json& json, const std::string& section) {
  const auto documented = documented_fields();
  ASSERT_TRUE(documented.contains(section)) << section;
  Fields printed;
  add_fields(json, "", printed);
  EXPECT_GT(printed.size(), 4U);
  for (const std::string& field : printed)
    EXPECT_TRUE(is_documented(field, documented.at(section))) << field << " is not in the page";
}

}  // namespace espquant::test
