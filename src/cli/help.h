#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace espquant::cli {

/// "  lead    text", the text wrapped in a column of its own, that begins one line below a long
/// lead.
std::string in_two_columns(const std::string& lead, std::string_view text);

/// Pages of --help: descriptions wrapped to the page, one style of placeholders, and the options of
/// every command at the end of each.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* command) const override;
  std::string make_footer(const CLI::App* app) const override;
};

}  // namespace espquant::cli
