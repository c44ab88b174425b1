#include "cli/written_files.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "report/json_text.h"

namespace espquant::cli {

void print_files_json(const std::vector<std::filesystem::path>& files) {
  nlohmann::ordered_json json{{"files", nlohmann::ordered_json::array()}};
  for (const std::filesystem::path& file : files) json["files"].push_back(file.string());
  fmt::print("{}", report::json_text(json));
}

}  // namespace espquant::cli
