#include "cli/report_options.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "page/html.h"
#include "page/page.h"

namespace espquant::cli {

void add_report(CLI::App& command, ReportOptions& options) {
  const auto file = [&](const char* name, std::filesystem::path& path, const char* text,
                        const char* type) {
    command.add_option(name, path, text)->type_name(type)->group("Report");
  };
  file("--report", options.html, "Write a page to look at in a browser", "HTML");
  file("--report-json", options.json, "Write the data of that page (docs/report-data.md)", "FILE");
  file("--node-data", options.node_data, "Write a value per node for Model Explorer", "FILE");
}

void add_pages(OutputFiles& output, const ReportOptions& options,
               const nlohmann::ordered_json& page) {
  if (!options.html.empty()) output.add(options.html, page::html_of(page));
  if (!options.json.empty()) output.add(options.json, page::text_of(page) + '\n');
  if (!options.node_data.empty()) output.add(options.node_data, page::node_data_of(page));
}

void print_pages(const ReportOptions& options) {
  for (const auto* path : {&options.html, &options.json, &options.node_data})
    if (!path->empty()) fmt::print("Wrote {}\n", path->string());
}

}  // namespace espquant::cli
