#include "job/shrink.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/quantities.h"
#include "cli/board_options.h"
#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/network_options.h"
#include "cli/notes.h"
#include "cli/quantized_files.h"
#include "cli/recipe_options.h"
#include "cli/report_options.h"
#include "cli/validators.h"
#include "job/noise_report.h"
#include "job/quantized_files.h"
#include "page/search_pages.h"
#include "report/json_text.h"
#include "report/table.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;

struct ShrinkCommand {
  job::ShrinkJob job;
  fs::path data, out = ".", resume;
  std::string name;
  bool compile_request = true, by_magnitude = false, json = false;
  ReportOptions report;

  std::string files_name() const {
    return (name.empty() ? job.quantize.model.stem().string() : name) + "_small";
  }
};

std::string bytes_text(double bytes) {
  return report::human_bytes(static_cast<std::size_t>(bytes));
}

void print_removed(const compress::Compressed& compressed) {
  using enum report::Table::Align;
  report::Table table({{"left out", Left},
                       {"before", Right},
                       {"after", Right},
                       {"ms", Right},
                       {"file", Right},
                       {"RAM", Right},
                       {"noise", Right}});
  const auto add = [&](const std::string& what, const std::string& before, const std::string& after,
                       const compress::Price& saved, double loss) {
    table.add_row({what, before, after, fmt::format("{:+.2f}", -saved.milliseconds),
                   fmt::format("{:+.1f} KiB", -saved.file_bytes / 1024),
                   fmt::format("{:+.1f} KiB", -saved.ram_bytes / 1024),
                   fmt::format("{:.3f} %", 100 * loss)});
  };
  const auto named = [](const std::vector<std::string>& layers) {
    return layers.size() > 1 ? fmt::format("{} and {} more", layers.front(), layers.size() - 1)
                             : layers.front();
  };
  for (const auto& b : compressed.blocks) add(named(b.layers), "all", "none", b.saved, b.loss);
  for (const auto& r : compressed.removed)
    add(named(r.layers), fmt::format("{}", r.before), fmt::format("{}", r.after), r.saved, r.loss);
  fmt::print("{}\n", table.to_string());
}

void print_trials(const std::vector<strategy::ShrinkTrial>& trials) {
  if (trials.size() < 2) return;
  using enum report::Table::Align;
  report::Table table({{"blocks left out", Right},
                       {"channels", Right},
                       {"noise, refitted", Right},
                       {"after a short training", Right},
                       {"", Left}});
  for (const auto& t : trials)
    table.add_row({fmt::format("{}", t.blocks), fmt::format("{}", t.channels),
                   fmt::format("{:.2f} %", 100 * t.refitted),
                   t.trained ? fmt::format("{:.2f} %", 100 * *t.trained) : "-",
                   t.chosen ? "chosen" : ""});
  fmt::print("{}\n", table.to_string());
}

void print_pruned(const job::ShrunkJob& made) {
  if (!made.shrunk.sparse) return;
  const compress::Sparsified& sparse = *made.shrunk.sparse;
  using enum report::Table::Align;
  report::Table table({{"zeros in", Left}, {"weights", Right}, {"zeros", Right}, {"", Right}});
  const auto share = [](std::int64_t zeros, std::int64_t all) {
    return fmt::format("{:.1f} %", 100 * static_cast<double>(zeros) /
                                       static_cast<double>(std::max<std::int64_t>(all, 1)));
  };
  for (const auto& l : sparse.layers)
    table.add_row({l.layer, report::with_separators(l.weights), report::with_separators(l.zeros),
                   share(l.zeros, l.weights)});
  fmt::print("{}\n", table.to_string());
  fmt::print("{} of {} weights are zero ({}); compressed, the file {} became {}\n",
             report::with_separators(sparse.zeros), report::with_separators(sparse.weights),
             share(sparse.zeros, sparse.weights), report::human_bytes(*made.compressed_before),
             report::human_bytes(*made.compressed_after));
}

void print_result(const job::ShrunkJob& made) {
  const compress::Compressed& c = made.shrunk.compressed;
  fmt::print("{:.2f} ms became {:.2f} ({:+.1f} %), the file {} became {}, RAM {} became {}\n",
             c.before.milliseconds, c.after.milliseconds,
             100 * (c.after.milliseconds / c.before.milliseconds - 1),
             bytes_text(c.before.file_bytes), bytes_text(c.after.file_bytes),
             bytes_text(c.before.ram_bytes), bytes_text(c.after.ram_bytes));
  fmt::print("Noise to signal in float, on {} samples that neither fit nor train: {} refitted",
             made.shrunk.judged, job::noise_text(made.shrunk.refitted));
  if (made.shrunk.training_kept)
    fmt::print(", {} after {} steps of training", job::noise_text(made.shrunk.trained),
               made.shrunk.steps);
  fmt::print("\n");
  const job::ShrinkAccuracy& a = made.accuracy;
  fmt::print("On {} samples: ", a.samples);
  if (a.noise) fmt::print("noise to signal on the chip {}", job::noise_text(*a.noise));
  if (a.network)
    fmt::print(", accuracy {:.2f} % (smaller network {:.2f} %, network {:.2f} %)", 100 * *a.chip,
               100 * *a.smaller, 100 * *a.network);
  if (a.agreement) fmt::print(", {:.1f} % of answers as before", 100 * *a.agreement);
  fmt::print("\n");
}

void run_shrink(const ShrinkCommand& command, const Context& context) {
  job::ShrinkJob job = command.job;
  if (command.by_magnitude) job.importance = compress::Importance::Magnitude;
  if (!command.data.empty()) {
    job.quantize.test = job.quantize.calib;
    job.quantize.test->path = command.data;
  }
  const std::string name = command.files_name();
  if (!command.resume.empty()) job.resumed = job::read_checkpoint(command.resume, name);
  job.keep = [&](const job::ShrinkCheckpoint& checkpoint) {
    job::write_checkpoint(checkpoint, command.out, name);
  };
  const bool quiet = context.quiet || command.json;
  const job::ShrunkJob made = job::shrink(job, print_note, show_stages(quiet));
  OutputFiles output;
  std::vector<fs::path> files{job::checkpoint_network(command.out, name)};
  output.add(files.front(), made.onnx);
  for (const fs::path& file : job::add_files(
           output, made.quantized, job::stem_of(command.out, name, made.quantized.made.recipe.name),
           command.compile_request))
    files.push_back(file);
  if (command.report.wanted())
    add_pages(output, command.report,
              page::page_of_shrunk(
                  {"shrink", command.job.quantize.model.filename().string(), context.command_line},
                  made, files));
  output.commit();
  std::error_code none_left;
  fs::remove(job::checkpoint_state(command.out, name), none_left);
  if (!command.resume.empty()) fs::remove(job::checkpoint_state(command.resume, name), none_left);
  print_warnings(made.quantized.made.warnings);
  print_notes(job::notes_of(made.quantized.made));
  if (!made.shrunk.reason.empty()) print_note(made.shrunk.reason);
  if (!made.shrunk.compressed.met)
    print_warning("the budget cannot be met: this is the nearest that was found");
  if (command.json) {
    fmt::print("{}", report::json_text(job::json_of(made, files)));
    return;
  }
  if (context.quiet) return;
  print_trials(made.shrunk.trials);
  if (!made.shrunk.compressed.is_as_it_was()) print_removed(made.shrunk.compressed);
  print_pruned(made);
  print_result(made);
  fmt::print("Time: {:.1f} s\n", made.seconds);
  for (const fs::path& file : files) fmt::print("Wrote {}\n", file.string());
  print_pages(command.report);
}

}  // namespace

void add_shrink(CLI::App& app, Context& context) {
  const auto command = std::make_shared<ShrinkCommand>();
  CLI::App& sub = *app.add_subcommand(
      "shrink",
      "Take channels away from a network until it is fast or small enough, and quantize it");
  job::QuantizeJob& how = command->job.quantize;
  job::ShrinkBudget& budget = command->job.budget;
  add_network(sub, how.model);
  add_calib(sub, how.calib.path)->required();
  add_data(sub, command->data,
           "Data on which the result is measured, with labels or without (default: the "
           "calibration data)");
  sub.add_option_function<std::string>(
         "--latency",
         [&budget](const std::string& text) {
           budget.latency_share = job::ShrinkBudget::share_of(text);
         },
         "Time of a run, as in -40%: by that much less than now, by the latency model")
      ->type_name("-PERCENT%");
  sub.add_option("--budget-ms", budget.milliseconds, "Time of a run at most, in ms")
      ->check(number_from(0))
      ->type_name("MS");
  sub.add_option("--budget-kb", budget.file_kb, "Size of the file at most, in KiB")
      ->check(number_from(0))
      ->type_name("KIB");
  sub.add_option("--ram-kb", budget.ram_kb, "RAM at most, in KiB: activations and parameters")
      ->check(number_from(0))
      ->type_name("KIB");
  sub.add_option_function<std::string>(
         "--prune",
         [command](const std::string& text) {
           const auto [share, loss] = job::prune_goal(text);
           command->job.prune_share = share;
           command->job.prune_loss = loss;
         },
         "Weights that become zero, for a file that compresses better (the chip gains no time): "
         "60%, or noise=1%, as many as make that much")
      ->type_name("PERCENT%");
  sub.add_option("--prune-block", command->job.prune_block,
                 "Output channels that lose a weight together (default: each for itself)")
      ->check(whole_number(1, 64))
      ->type_name("N");
  sub.add_option("--steps", command->job.steps,
                 "Batches to train on afterwards; 0: none (default: as many as take a few minutes)")
      ->check(whole_number(0))
      ->type_name("N");
  add_time(
      sub, [command](double seconds) { command->job.seconds = seconds; },
      "Time for choosing and training");
  sub.add_option(
         "--resume", command->resume,
         "Go on from what a run that was stopped has left in this folder; the other options "
         "as they were")
      ->type_name("FOLDER");
  sub.add_flag_callback(
      "--no-blocks", [command] { command->job.blocks = false; },
      "Take away channels only, never whole blocks");
  sub.add_flag("--by-magnitude", command->by_magnitude,
               "For comparison: choose channels by the size of their weights");
  add_new_target(sub, how.target, "a recipe");
  add_release(sub, how.recipe.espdl, "what the recipe says, else the newest");
  add_out_folder(sub, command->out);
  add_name(sub, command->name);
  add_preprocess(sub, how.calib, "scaled to 0..1, stretched to the input's size");
  add_network_options(sub, how.network);
  add_classes(sub, how.calib);
  sub.add_option("--recipe", how.recipe.recipe,
                 "By which the smaller network is quantized: a name (espquant recipes shows them) "
                 "or a TOML file")
      ->capture_default_str()
      ->type_name("NAME|FILE")
      ->group("Recipe");
  add_recipe_changes(sub, how.recipe);
  add_board(sub, how.board);
  add_compile_request_flag(sub, command->compile_request);
  add_report(sub, command->report);
  sub.add_flag("--json", command->json, "Print the result as JSON");
  sub.footer(preprocess_help() +
             "Examples:\n"
             "  espquant shrink model.onnx --calib images/ --latency -40% --out out/\n"
             "  espquant shrink model.onnx --calib calib.npz --data test.npz --budget-ms 20 "
             "--steps 50 --out out/\n"
             "  espquant shrink model.onnx --calib images/ --prune 60% --steps 50 --out out/\n"
             "  espquant shrink model.onnx --calib images/ --budget-kb 50 --ram-kb 256 --steps 0 "
             "--out out/\n");
  sub.callback([command, &context] { run_shrink(*command, context); });
}

}  // namespace espquant::cli
