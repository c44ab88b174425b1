#include "report/json_text.h"

#include <nlohmann/json.hpp>

namespace espquant::report {
namespace {

template <typename Json>
std::string indented(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace

std::string json_text(const nlohmann::json& json) { return indented(json); }

std::string json_text(const nlohmann::ordered_json& json) { return indented(json); }

}  // namespace espquant::report
