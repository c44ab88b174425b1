#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace espquant::report {

/// As a file or a terminal gets it: two spaces a level, a newline at the end. Names come from other
/// people's files: what is not UTF-8 becomes U+FFFD.
std::string json_text(const nlohmann::json& json);
std::string json_text(const nlohmann::ordered_json& json);

}  // namespace espquant::report
