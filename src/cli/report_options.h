#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "base/file.h"

namespace espquant::cli {

/// Where a command writes what it found for people to look at.
struct ReportOptions {
  std::filesystem::path html, json, node_data;

  bool wanted() const { return !html.empty() || !json.empty() || !node_data.empty(); }
};

/// --report, --report-json and --node-data.
void add_report(CLI::App& command, ReportOptions& options);

/// Adds what is wanted of `page` (page::page_of) to `output`.
void add_pages(OutputFiles& output, const ReportOptions& options,
               const nlohmann::ordered_json& page);

/// One line for each file, as commands say what they wrote.
void print_pages(const ReportOptions& options);

}  // namespace espquant::cli
