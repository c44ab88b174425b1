#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/support/shared.h"
#include "tests/support/source_dir.h"

namespace espquant::test {
namespace {

namespace fs = std::filesystem;

std::string faults_text_of(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Lower-case words joined by hyphens.
bool is_fault_name(std::string_view text) {
  return text.find('-') != std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return c == '-' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
         });
}

/// The string literals of every statement that begins with `call`.
void collect_literals(const std::string& code, std::string_view call,
                      std::set<std::string>& names) {
  for (std::size_t at = code.find(call); at != std::string::npos; at = code.find(call, at + 1)) {
    std::istringstream statement(code.substr(at, code.find(';', at) - at));
    std::string part;
    for (bool literal = false; std::getline(statement, part, '"'); literal = !literal)
      if (literal && is_fault_name(part)) names.insert(part);
  }
}

std::set<std::string> faults_in_the_code() {
  std::set<std::string> names;
  for (const auto& file : fs::directory_iterator(espquant::test::source_dir() / "src/sim"))
    for (const char* call : {"add_fault(", "faults.emplace_back("})
      collect_literals(faults_text_of(file.path()), call, names);
  return names;
}

std::set<std::string> documented_faults() {
  std::set<std::string> names;
  std::ifstream in(espquant::test::source_dir() / "docs/runtime-faults.md");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("## ") && is_fault_name(line.substr(3))) names.insert(line.substr(3));
  return names;
}

TEST(Faults, EachHasASectionInTheDocumentation) {
  const std::set<std::string> faults = faults_in_the_code();
  EXPECT_GT(faults.size(), 20U);
  EXPECT_EQ(documented_faults(), faults);
}

}  // namespace
}  // namespace espquant::test
