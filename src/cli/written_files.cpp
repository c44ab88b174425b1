#include "cli/written_files.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace espquant::cli {

void print_files_json(const std::vector<std::filesystem::path>& files) {
  nlohmann::ordered_json json{{"files", nlohmann::ordered_json::array()}};
  for (const std::filesystem::path& file : files) json["files"].push_back(file.string());
  using Handler = nlohmann::ordered_json::error_handler_t;
  fmt::print("{}\n", json.dump(2, ' ', false, Handler::replace));
}

}  // namespace espquant::cli
