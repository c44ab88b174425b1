#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/validators.h"

namespace espquant::cli {
namespace {

/// What a shell completes of an option, or a command.
struct Word {
  std::string name, description;
  /// Placeholder of the option's value; empty for a flag.
  std::string value;
};

struct CommandWords {
  Word command;
  std::vector<Word> options;
};

std::string first_line_of(const std::string& text) { return text.substr(0, text.find('\n')); }

std::vector<Word> options_of_app(const CLI::App& app) {
  std::vector<Word> words;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty() || option->get_positional()) continue;
    const std::string value = option->get_items_expected_max() == 0 ? "" : option->get_type_name();
    for (const std::string& name : option->get_lnames())
      words.push_back({"--" + name, first_line_of(option->get_description()), value});
  }
  return words;
}

/// The commands of `app`, with its own options added to those of each.
std::vector<CommandWords> commands_of_app(const CLI::App& app) {
  const std::vector<Word> common = options_of_app(app);
  std::vector<CommandWords> commands;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_group().empty()) continue;
    CommandWords words{{sub->get_name(), first_line_of(sub->get_description()), ""},
                       options_of_app(*sub)};
    words.options.insert(words.options.end(), common.begin(), common.end());
    // Of a command that has commands: their options, whichever it is.
    for (const CommandWords& below : commands_of_app(*sub)) {
      words.options.push_back({below.command.name, below.command.description, ""});
      words.options.insert(words.options.end(), below.options.begin(), below.options.end());
    }
    std::ranges::sort(words.options, {}, &Word::name);
    const auto again = std::ranges::unique(words.options, {}, &Word::name);
    words.options.erase(again.begin(), again.end());
    commands.push_back(std::move(words));
  }
  return commands;
}

std::string names_of_words(const std::vector<Word>& words) {
  std::string names;
  for (const Word& word : words) names += (names.empty() ? "" : " ") + word.name;
  return names;
}

std::string bash_script(const std::vector<CommandWords>& commands) {
  std::string names, cases;
  for (const CommandWords& c : commands) {
    names += (names.empty() ? "" : " ") + c.command.name;
    cases += fmt::format("    {}) words='{}' ;;\n", c.command.name, names_of_words(c.options));
  }
  return fmt::format(R"(# bash completion of espquant
_espquant() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} commands='{}' command= words= i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    if [[ " $commands " == *" ${{COMP_WORDS[i]}} "* ]]; then command=${{COMP_WORDS[i]}}; break; fi
  done
  case $command in
{}    *) words="$commands --help --version" ;;
  esac
  if [[ $current == -* || -z $command ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    compopt -o filenames 2> /dev/null
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}}
complete -F _espquant espquant
)",
                     names, cases);
}

/// In single quotes of a shell.
std::string in_quotes(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string fish_script(const std::vector<CommandWords>& commands) {
  std::string script = "# fish completion of espquant\n";
  for (const CommandWords& c : commands) {
    script += fmt::format("complete -c espquant -n __fish_use_subcommand -f -a {} -d {}\n",
                          c.command.name, in_quotes(c.command.description));
    for (const Word& option : c.options) {
      const std::string what =
          option.name.starts_with("--") ? "-l " + option.name.substr(2) : "-f -a " + option.name;
      script += fmt::format("complete -c espquant -n '__fish_seen_subcommand_from {}' {}{} -d {}\n",
                            c.command.name, what, option.value.empty() ? "" : " -r",
                            in_quotes(option.description));
    }
  }
  return script;
}

/// What _arguments and _describe would read as their own is escaped.
std::string zsh_text(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string zsh_script(const std::vector<CommandWords>& commands) {
  std::string described, cases;
  for (const CommandWords& c : commands) {
    described +=
        fmt::format("    {}\n", in_quotes(c.command.name + ':' + zsh_text(c.command.description)));
    cases += fmt::format("        {})\n          _arguments", c.command.name);
    for (const Word& option : c.options) {
      if (!option.name.starts_with("--")) continue;
      const std::string value =
          option.value.empty() ? "" : fmt::format(":{}:_files", zsh_text(option.value));
      cases += " \\\n            " +
               in_quotes(fmt::format("{}[{}]{}", option.name, zsh_text(option.description), value));
    }
    cases += " \\\n            '*:file:_files' ;;\n";
  }
  return fmt::format(R"(#compdef espquant
# zsh completion of espquant
_espquant() {{
  local -a commands
  commands=(
{}  )
  local state
  _arguments -C '1:command:->command' '*::argument:->arguments'
  case $state in
    command) _describe command commands ;;
    arguments)
      case $words[1] in
{}      esac ;;
  esac
}}
_espquant "$@"
)",
                     described, cases);
}

/// Text as roff prints it.
std::string roff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '-') escaped += '\\';
    escaped += c == '\n' ? ' ' : c;
  }
  return text.starts_with('.') || text.starts_with('\'') ? "\\&" + escaped : escaped;
}

std::string roff_options(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    const bool flag = option->get_items_expected_max() == 0;
    const std::string name =
        option->get_positional() ? option->get_name(true) : option->get_name(false, true);
    const std::string value = flag || option->get_positional() ? "" : " " + option->get_type_name();
    text +=
        fmt::format(".TP\n.B {}{}\n{}\n", roff(name), roff(value), roff(option->get_description()));
  }
  return text;
}

std::string man_page(const CLI::App& app) {
  std::string text = fmt::format(
      ".TH ESPQUANT 1 \"\" \"espquant {}\" \"User Commands\"\n.SH NAME\nespquant \\- {}\n.SH "
      "SYNOPSIS\n.B espquant\n.I COMMAND\n[options]\n.SH OPTIONS OF EVERY COMMAND\n",
      version(),
      roff("quantizes ONNX networks for Espressif chips, and computes what the chip "
           "computes"));
  text += roff_options(app) + ".SH COMMANDS\n";
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_group().empty()) continue;
    text += fmt::format(".SS espquant {}\n{}\n", sub->get_name(), roff(sub->get_description()));
    text += roff_options(*sub);
    for (const CLI::App* below : sub->get_subcommands([](const CLI::App*) { return true; }))
      text += fmt::format(".SS espquant {} {}\n{}\n", sub->get_name(), below->get_name(),
                          roff(below->get_description())) +
              roff_options(*below);
  }
  return text +
         ".SH EXIT STATUS\n0: done. 1: the input is refused or differs. 2: wrong usage. 3: a fault "
         "of espquant.\n";
}

}  // namespace

void add_completions(CLI::App& app, Context&) {
  auto& sub = *app.add_subcommand("completions",
                                  "Print what a shell needs to complete commands and options, or "
                                  "the manual page");
  const auto kind = std::make_shared<std::string>();
  sub.add_option("SHELL", *kind, "bash, zsh, fish, or man for the manual page")
      ->required()
      ->check(one_of({"bash", "zsh", "fish", "man"}))
      ->type_name("bash|zsh|fish|man");
  sub.footer(
      "An installed espquant comes with all of them.\n\n"
      "Examples:\n"
      "  espquant completions bash > espquant.bash\n"
      "  espquant completions man > espquant.1\n");
  sub.callback([kind, &app] {
    const auto commands = commands_of_app(app);
    fmt::print("{}", *kind == "bash"   ? bash_script(commands)
                     : *kind == "zsh"  ? zsh_script(commands)
                     : *kind == "fish" ? fish_script(commands)
                                       : man_page(app));
  });
}

}  // namespace espquant::cli
