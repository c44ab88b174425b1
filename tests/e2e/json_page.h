#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

/// docs/json.md, held to what commands print.
namespace espquant::test {

using Fields = std::set<std::string>;

/// Sections of the page, each with the fields of its table.
std::map<std::string, Fields> documented_fields();

/// Fails for what `json` has and the section's table does not name.
void expect_documented(const nlohmann::json& json, const std::string& section);

}  // namespace espquant::test
