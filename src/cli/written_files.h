#pragma once

#include <filesystem>
#include <vector>

namespace espquant::cli {

/// {"files": [...]} on stdout: what --json says of commands that only write files.
void print_files_json(const std::vector<std::filesystem::path>& files);

}  // namespace espquant::cli
