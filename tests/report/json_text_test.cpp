#include "report/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace espquant::report {
namespace {

TEST(JsonText, OfNamesThatAreNotUtf8CanBeRead) {
  const std::string text = json_text(nlohmann::ordered_json{{"folder", "caf\xE9"}, {"files", {1}}});
  EXPECT_EQ(text.back(), '\n');
  EXPECT_EQ(nlohmann::json::parse(text)["folder"], "caf\xEF\xBF\xBD");
}

}  // namespace
}  // namespace espquant::report
