#include "cli/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace espquant::cli {
namespace {

/// A spelling of an earlier version.
struct OldSpelling {
  std::string_view command, old, today;
};

constexpr std::array kOldSpellings = {
    OldSpelling{"quantize", "--test", "--data"},     OldSpelling{"compare", "--test", "--data"},
    OldSpelling{"tune", "--test", "--data"},
    OldSpelling{"compare", "--recipes", "--recipe"}, OldSpelling{"run", "--output", "--out"},
    OldSpelling{"latency", "--save", "--out"},
};

constexpr std::array<std::string_view, 2> kAssigning = {"--preprocess", "--set"};

bool is_option(std::string_view word) { return word.size() > 1 && word.starts_with('-'); }

std::string_view name_of(std::string_view option) { return option.substr(0, option.find('=')); }

const CLI::App* command_of(const CLI::App& app, std::string_view name) {
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    if (command->get_name() == name) return command;
  return nullptr;
}

std::vector<std::string> names_of_commands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

/// "espquant package pack --help"
std::string help_of(const CLI::App& command) {
  std::string path;
  for (const CLI::App* at = &command; at != nullptr; at = at->get_parent())
    path = at->get_name() + ' ' + path;
  return path + "--help";
}

/// "Did you mean 'x'? See espquant --help", the first only where something is near.
std::string way_out(std::string_view word, std::span<const std::string> known,
                    const CLI::App& command) {
  const std::string near = nearest_name(word, known);
  return fmt::format("{}See {}", near.empty() ? "" : fmt::format("Did you mean '{}'? ", near),
                     help_of(command));
}

const CLI::Option* find_option(const CLI::App& command, std::string_view name) {
  for (const CLI::App* at = &command; at != nullptr; at = at->get_parent())
    if (const auto* option = at->get_option_no_throw(std::string(name))) return option;
  return nullptr;
}

/// Walks over the words that are commands: where they stand, and the last one.
struct Path {
  const CLI::App* command;
  std::vector<std::size_t> words;
};

Path path_of(const CLI::App& app, const Words& words) {
  Path path{&app, {}};
  bool value = false;  // of the option before
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool is_value = std::exchange(value, false);
    if (is_value) continue;
    if (is_option(words[i])) {
      const auto* option = find_option(*path.command, name_of(words[i]));
      value = option != nullptr && option->get_items_expected_max() > 0 &&
              words[i].find('=') == std::string::npos;
      continue;
    }
    const CLI::App* below = command_of(*path.command, words[i]);
    if (below == nullptr) break;
    path.command = below;
    path.words.push_back(i);
  }
  return path;
}

/// The first word that is neither an option of `app` nor an option's value.
std::optional<std::size_t> first_plain_word(const CLI::App& app, const Words& words) {
  bool value = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (std::exchange(value, false)) continue;
    if (!is_option(words[i])) return i;
    const auto* option = find_option(app, name_of(words[i]));
    if (option == nullptr) return std::nullopt;
    value = option->get_items_expected_max() > 0 && words[i].find('=') == std::string::npos;
  }
  return std::nullopt;
}

Words with_help_behind(const CLI::App& app, Words words) {
  const auto first = first_plain_word(app, words);
  if (!first || words[*first] != "help") return words;
  words.erase(words.begin() + static_cast<std::ptrdiff_t>(*first));
  words.emplace_back("--help");
  return words;
}

void check_command(const CLI::App& app, const Words& words) {
  const auto first = first_plain_word(app, words);
  if (!first || command_of(app, words[*first]) != nullptr) return;
  throw Error(ErrorCode::Usage, fmt::format("there is no command '{}'", words[*first]))
      .remedy(way_out(words[*first], names_of_commands(app), app));
}

Words with_todays_names(const CLI::App& command, Words words) {
  for (std::string& word : words) {
    if (word == "--") break;
    for (const OldSpelling& spelling : kOldSpellings)
      if (command.get_name() == spelling.command && name_of(word) == spelling.old)
        word = std::string(spelling.today) + word.substr(spelling.old.size());
  }
  return words;
}

Words with_single_assignments(const Words& words) {
  Words single;
  const std::string* option = nullptr;
  for (const std::string& word : words) {
    const bool assigns = !is_option(word) && word.find('=') != std::string::npos;
    if (std::find(kAssigning.begin(), kAssigning.end(), word) != kAssigning.end()) {
      option = &word;
      single.push_back(word);
      continue;
    }
    if (option != nullptr && assigns && single.back() != *option) single.push_back(*option);
    if (!assigns) option = nullptr;
    single.push_back(word);
  }
  return single;
}

/// Those that help shows.
std::vector<std::string> names_of_options(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* at = &command; at != nullptr; at = at->get_parent())
    for (const CLI::Option* option : at->get_options())
      if (!option->get_group().empty())
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

bool is_unknown_option(const CLI::App& command, std::string_view word) {
  if (!is_option(word) || std::isdigit(static_cast<unsigned char>(word[1])) || word[1] == '.')
    return false;
  const std::string_view name = word[1] == '-' ? name_of(word) : word.substr(0, 2);
  return find_option(command, name) == nullptr;
}

}  // namespace

Words as_spelled_today(const CLI::App& app, Words words) {
  words = with_help_behind(app, std::move(words));
  check_command(app, words);
  const Path path = path_of(app, words);
  return with_single_assignments(with_todays_names(*path.command, std::move(words)));
}

Error explained(const CLI::App& app, const Words& words, const CLI::ParseError& error) {
  const CLI::App& command = *path_of(app, words).command;
  for (const std::string& word : words) {
    if (word == "--") break;
    if (is_unknown_option(command, word))
      return Error(ErrorCode::Usage, fmt::format("there is no option '{}'", name_of(word)))
          .remedy(way_out(name_of(word), names_of_options(command), command));
  }
  std::string message = error.what();
  if (command.get_require_subcommand_min() > 0)
    message = "a command is required";
  else if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr)
    message = "there is no use for" + message.substr(message.find(':') + 1);
  message.resize(message.find_last_not_of(". \n") + 1);
  return Error(ErrorCode::Usage, std::move(message))
      .remedy(fmt::format("See {}", help_of(command)));
}

}  // namespace espquant::cli
