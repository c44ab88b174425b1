#pragma once

#include <CLI/CLI.hpp>
#include <string>

/// The subcommands of `espquant`, one file each.
namespace espquant::cli {

/// What every command shares.
struct Context {
  /// --quiet: no progress, no tables; errors, warnings and asked-for files remain.
  bool quiet = false;
  /// What was typed, to be typed again.
  std::string command_line;
  /// The same, word by word, and unabridged.
  std::vector<std::string> words;
  /// Set by a command that ran to its end but found something wrong (a difference in `verify`).
  int exit_code = 0;
};

/// Each adds one subcommand with its options to `app` and, as its callback, the code that runs it.
/// `context` must outlive `app`. A callback throws espquant::Error; main() prints it.
///
/// Options live in a struct of the command, kept alive by a std::shared_ptr in the callback.
void add_inspect(CLI::App& app, Context& context);
void add_latency(CLI::App& app, Context& context);
void add_optimize(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_check(CLI::App& app, Context& context);
void add_project(CLI::App& app, Context& context);
void add_device(CLI::App& app, Context& context);
void add_package(CLI::App& app, Context& context);
/// `encrypt` and `decrypt`.
void add_encryption(CLI::App& app, Context& context);
void add_run(CLI::App& app, Context& context);
void add_quantize(CLI::App& app, Context& context);
void add_shrink(CLI::App& app, Context& context);
void add_compare(CLI::App& app, Context& context);
void add_tune(CLI::App& app, Context& context);
void add_evaluate(CLI::App& app, Context& context);
void add_analyze(CLI::App& app, Context& context);
void add_recipes(CLI::App& app, Context& context);
/// Needs all others to be there.
void add_completions(CLI::App& app, Context& context);

}  // namespace espquant::cli
