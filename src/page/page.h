#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace espquant::page {

/// What a page is about, and how it is made again.
struct Origin {
  /// Of the subcommand.
  std::string kind;
  /// The model's or network's name.
  std::string title;
  /// To be typed.
  std::string command;
};

/// The head of a page's data; parts are added under their names (docs/report-data.md).
nlohmann::ordered_json page_of(const Origin& origin);

/// What Model Explorer takes as custom node data for the first model: per node its noise at the
/// output where that was measured, else its milliseconds, else its bytes in the file.
std::string node_data_of(const nlohmann::ordered_json& page);

}  // namespace espquant::page
