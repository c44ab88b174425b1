#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace espquant::page {

/// The data as they are written beside a page: one line, strings that are not UTF-8 repaired.
std::string text_of(const nlohmann::ordered_json& data);

/// A page that shows `data` (docs/report-data.md) in any browser and loads nothing. No string of
/// the data can become markup or code: "<" does not occur in what is put in.
std::string html_of(const nlohmann::ordered_json& data);

}  // namespace espquant::page
