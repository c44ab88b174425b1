#include <fmt/core.h>
#include <malloc.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <system_error>

#include "base/cancel.h"
#include "base/error.h"
#include "base/parallel.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/interruption.h"
#include "cli/memory_limit.h"
#include "cli/notes.h"
#include "cli/terminal.h"
#include "cli/validators.h"
#include "report/page.h"
#include "target/release.h"

namespace espquant::cli {
namespace {

constexpr int kMostThreads = 256;

constexpr auto kExamples = R"(Examples:
  espquant quantize model.onnx --calib images/ --target esp32s3 --out out/
  espquant inspect model.onnx
  espquant inspect model.espdl
  espquant verify model.espdl
  espquant run model.espdl --input photo.jpg --out result.npz

Exit codes: 0 success, 1 the input is refused or differs, 2 wrong usage, 3 a fault of espquant,
130 stopped by Ctrl-C.
)";

void add_commands(CLI::App& app, Context& context) {
  // In the order in which one needs them.
  add_check(app, context);
  add_quantize(app, context);
  add_shrink(app, context);
  add_compare(app, context);
  add_tune(app, context);
  add_analyze(app, context);
  add_recipes(app, context);
  add_inspect(app, context);
  add_verify(app, context);
  add_evaluate(app, context);
  add_run(app, context);
  add_latency(app, context);
  add_optimize(app, context);
  add_project(app, context);
  add_device(app, context);
  add_package(app, context);
  add_encryption(app, context);
  add_completions(app, context);
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    command->group("Commands");
}

int fail(int code, std::string_view message) {
  fmt::print(stderr, "espquant: error: {}\n", message);
  return code;
}

/// What can be shown of a command line: a key stays secret.
std::string printable(const Words& words) {
  std::string line = "espquant";
  bool secret = false;
  for (const std::string& word : words) {
    line += ' ' + (secret ? "KEY" : word.starts_with("--key=") ? "--key=KEY" : shell_word(word));
    secret = word == "--key";
  }
  return line;
}

int parse_and_run(int argc, char** argv) {
  report::set_page_width(columns_of_output());
  Context context;
  CLI::App app("Quantizes ONNX networks to ESP-DL's .espdl and computes what the chip computes.",
               "espquant");
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_help_flag("-h,--help", "This text");
  app.set_version_flag("-V,--version",
                       fmt::format("espquant {} (ESP-DL {})", version(), newest_release().version));
  app.get_version_ptr()->description("The version, and the newest release of ESP-DL that it knows");
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kExamples);
  app.add_option_function<int>("--threads", set_thread_count,
                               "Threads to use (default: all cores); results never depend on it")
      ->check(whole_number(1, kMostThreads))
      ->type_name("N");
  app.add_option_function<std::uint64_t>("--max-memory", limit_memory,
                                         "Memory to use at most, as in 2GB (default: no limit)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE");
  app.add_flag_callback(
      "--quiet",
      [&context] {
        context.quiet = true;
        silence_notes();
      },
      "No progress, tables or notes, unless they are all that a command is for");
  add_commands(app, context);
  Words words = as_spelled_today(app, Words(argv + 1, argv + argc));
  context.command_line = printable(words);
  context.words = words;
  try {
    app.parse(Words(words.rbegin(), words.rend()));
  } catch (const CLI::Success& asked_for_text) {  // --help, --version
    app.exit(asked_for_text);
  } catch (const CLI::ParseError& error) {
    throw explained(app, words, error);
  }
  print_waiting_notes();
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    throw Error(ErrorCode::Io, "cannot write to the standard output");
  return context.exit_code;
}

}  // namespace
}  // namespace espquant::cli

int main(int argc, char** argv) {
  // Candidates of a search come and go by the hundred, with megabytes each: what is freed is kept,
  // instead of being given back to the system and faulted in again.
  mallopt(M_MMAP_THRESHOLD, 256 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  using espquant::cli::fail;
  constexpr int kOwnFault = 3;
  espquant::cli::Interruption interruption;
  const espquant::CancelScope scope(interruption.flag());
  try {
    return espquant::cli::parse_and_run(argc, argv);
  } catch (const espquant::Error& error) {
    if (error.code() == espquant::ErrorCode::Cancelled)
      return fail(interruption.exit_code(), interruption.message());
    return fail(espquant::exit_code(error.code()), error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(1, fmt::format("{}: {}", error.path1().string(), error.code().message()));
  } catch (const std::system_error& error) {  // fmt::print, on a full disk or a closed pipe
    return fail(1, fmt::format("cannot write to the standard output: {}", error.code().message()));
  } catch (const std::bad_alloc&) {
    return fail(espquant::cli::out_of_memory_exit_code(), espquant::cli::out_of_memory_message());
  } catch (const std::exception& error) {
    return fail(kOwnFault, fmt::format("unexpected: {}. This is a fault of espquant: please report "
                                       "it with the command and the model",
                                       error.what()));
  }
}
