#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/page.h"
#include "report/wrap.h"

namespace espquant::cli {

std::string in_two_columns(const std::string& lead, std::string_view text) {
  constexpr std::size_t kLead = 30, kLeastText = 20;
  const std::size_t page = report::prose_width();
  std::string block = "  " + lead;
  if (text.empty()) return block + '\n';
  if (block.size() + 2 > kLead)
    block += '\n' + std::string(kLead, ' ');
  else
    block.resize(kLead, ' ');
  const auto lines = report::wrapped(text, page > kLead + kLeastText ? page - kLead : kLeastText);
  for (const std::string& line : lines) {
    if (&line != &lines.front()) block += std::string(kLead, ' ');
    block += line + '\n';
  }
  return block;
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string name,
                                     CLI::AppFormatMode mode) const {
  std::string text = CLI::Formatter::make_help(app, std::move(name), mode);
  for (auto at = text.find("\n\n\n"); at != std::string::npos; at = text.find("\n\n\n"))
    text.erase(at, 1);
  return text;
}

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  std::string usage = fmt::format("Usage: {} [OPTIONS]", name);
  for (const CLI::Option* option :
       app->get_options([](const CLI::Option* o) { return o->get_positional(); }))
    usage += fmt::format(fmt::runtime(option->get_required() ? " {}{}" : " [{}]{}"),
                         option->get_name(true), option->get_expected_max() > 1 ? " ..." : "");
  if (app->get_require_subcommand_min() > 0) usage += " COMMAND";
  return usage + '\n';
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  const std::string lead = option->get_name(is_positional, !is_positional);
  std::string text = option->get_description();
  if (!option->get_default_str().empty())
    text += fmt::format(" (default: {})", option->get_default_str());
  return in_two_columns(is_positional ? lead : lead + make_option_opts(option), text);
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  std::string text;
  if (option->get_type_size() != 0) text += ' ' + option->get_type_name();
  if (option->get_expected_max() > 1) text += " ...";
  if (option->get_required()) text += " (required)";
  return text;
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  return in_two_columns(command->get_name(), command->get_description());
}

std::string HelpFormatter::make_footer(const CLI::App* app) const {
  std::string text;
  const CLI::App* top = app;
  while (top->get_parent() != nullptr) top = top->get_parent();
  if (top != app) {
    text += "Options of every command:\n";
    for (const CLI::Option* option : top->get_options())
      if (option != top->get_help_ptr() && option != top->get_version_ptr())
        text += make_option(option, false);
    text += '\n';
  }
  const std::string footer = app->get_footer();
  return text + footer + (footer.empty() || footer.ends_with('\n') ? "" : "\n");
}

}  // namespace espquant::cli
