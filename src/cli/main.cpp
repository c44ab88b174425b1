#include <fmt/core.h>
#include <malloc.h>

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/parallel.h"
#include "cli/commands.h"

namespace espquant::cli {
namespace {

constexpr auto kExamples = R"(Examples:
  espquant quantize model.onnx --calib images/ --target esp32s3 --out out/
  espquant inspect model.onnx
  espquant inspect model.espdl
  espquant verify model.espdl
  espquant run model.espdl --input photo.jpg --output result.npz

Exit codes: 0 success, 1 the input is refused or differs, 2 wrong usage, 3 a fault of espquant.
)";

void add_commands(CLI::App& app, Context& context) {
  add_inspect(app, context);
  add_latency(app, context);
  add_verify(app, context);
  add_check(app, context);
  add_package(app, context);
  add_encryption(app, context);
  add_run(app, context);
  add_quantize(app, context);
  add_compare(app, context);
  add_evaluate(app, context);
  add_analyze(app, context);
  add_recipes(app, context);
}

int fail(int code, std::string_view message) {
  fmt::print(stderr, "espquant: error: {}\n", message);
  return code;
}

int parse_and_run(int argc, char** argv) {
  Context context;
  CLI::App app("Quantizes ONNX networks to ESP-DL's .espdl and computes what the chip computes.",
               "espquant");
  app.set_version_flag("--version", "espquant " ESPQUANT_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kExamples);
  app.add_option_function<int>("--threads", set_thread_count,
                               "Threads to use (default: all cores); results never depend on it")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  app.add_flag("--quiet", context.quiet, "No progress, tables or notes");
  add_commands(app, context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_text) {  // --help, --version
    app.exit(asked_for_text);
  } catch (const CLI::ParseError& error) {
    return fail(exit_code(ErrorCode::Usage), std::string(error.what()) + ". See espquant --help");
  }
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
  try {
    return espquant::cli::parse_and_run(argc, argv);
  } catch (const espquant::Error& error) {
    return fail(espquant::exit_code(error.code()), error.what());
  } catch (const std::system_error& error) {  // fmt::print, on a full disk or a closed pipe
    return fail(1, fmt::format("cannot write to the standard output: {}", error.code().message()));
  } catch (const std::bad_alloc&) {
    return fail(kOwnFault,
                "out of memory. Use fewer threads or a smaller input, or a machine with more");
  } catch (const std::exception& error) {
    return fail(kOwnFault, fmt::format("unexpected: {}. This is a fault of espquant: please report "
                                       "it with the command and the model",
                                       error.what()));
  }
}
