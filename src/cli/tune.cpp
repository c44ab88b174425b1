#include "job/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/parallel.h"
#include "base/quantities.h"
#include "base/seconds.h"
#include "cli/board_options.h"
#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/network_options.h"
#include "cli/notes.h"
#include "cli/progress.h"
#include "cli/quantized_files.h"
#include "cli/report_options.h"
#include "cli/validators.h"
#include "page/search_pages.h"
#include "report/json_text.h"
#include "report/table.h"

namespace espquant::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct TuneCommand {
  job::TuneJob job;
  std::vector<std::string> models;
  fs::path test, space, join;
  std::int64_t count = 0;
  std::vector<std::string> goals;
  std::string minimize, order = "best", time, show;
  ReportOptions report;
  bool list = false, print_space = false, json = false;
};

/// "{name}" in the path of data stands for the name of the network.
fs::path named_path(const fs::path& path, const std::string& name) {
  std::string text = path.string();
  constexpr std::string_view kName = "{name}";
  for (std::size_t at = 0; (at = text.find(kName, at)) != std::string::npos; at += name.size())
    text.replace(at, kName.size(), name);
  return text;
}

/// The options that stand for several members, for one of the networks.
job::TuneJob job_of(const TuneCommand& command, const fs::path& model) {
  job::TuneJob job = command.job;
  job.model = model;
  if (job.calib.path.empty())
    throw Error(ErrorCode::Usage, "--calib is required").remedy("See espquant tune --help");
  const std::string stem = model.stem().string();
  job.calib.path = named_path(job.calib.path, stem);
  const bool zoo = command.models.size() > 1;
  if (zoo && !job.name.empty()) throw Error(ErrorCode::Usage, "--name is for one network");
  if (zoo) job.out /= stem;
  if (!command.test.empty()) {
    job.test = job.calib;
    job.test->path = named_path(command.test, stem);
    job.test->count = command.count;
  }
  if (job.name.empty()) job.name = stem;
  for (const std::string& goal : command.goals) job.plan.goals.push_back(search::parse_goal(goal));
  const bool goals = !job.plan.goals.empty();
  job.plan.minimized = !command.minimize.empty() ? search::parse_metric(command.minimize)
                       : goals                   ? search::Metric::Milliseconds
                                                 : search::Metric::Noise;
  job.plan.order = command.order == "random"       ? search::Order::Random
                   : command.order == "exhaustive" ? search::Order::Exhaustive
                                                   : search::Order::Best;
  if (!command.time.empty()) job.seconds = *parse_seconds(command.time);
  if (!job.seconds && !job.trials) {
    constexpr double kUsualSeconds = 300;
    job.seconds = kUsualSeconds;
  }
  if (!command.space.empty()) {
    const std::vector<std::byte> text = read_file(command.space);
    job.space = search::narrowed_space({reinterpret_cast<const char*>(text.data()), text.size()},
                                       command.space.string());
  }
  return job;
}

std::string tune_percent(double fraction) {
  return fraction >= 1e-4 || fraction == 0 ? fmt::format("{:.3f} %", 100 * fraction)
                                           : fmt::format("{:.1e} %", 100 * fraction);
}

std::string tune_percent(const std::optional<double>& fraction) {
  return fraction ? fmt::format("{:.2f} %", 100 * *fraction) : "";
}

std::string tune_ms(double milliseconds) {
  return fmt::format("{:.{}f}", milliseconds, milliseconds < 10 ? 2 : 1);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::max(seconds, 0.0));
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

/// "tuning: best 12.3 ms, noise 0.210 %; 34 trials, 1:20 left".
job::TuneProgress show_progress(const job::TuneJob& job, bool quiet) {
  const auto begin = std::chrono::steady_clock::now();
  return [=, seconds = job.seconds, trials = job.trials,
          bar = std::shared_ptr<Progress>()](const job::TuneState& state) mutable {
    const double passed = seconds_since(begin);
    std::string text = "tuning: ";
    if (!state.best.empty())
      text += fmt::format("best {} ms, noise {}; ", tune_ms(state.merit.milliseconds),
                          tune_percent(state.merit.noise));
    text += fmt::format("{} trials", state.trials);
    if (trials) text += fmt::format(" of {}", *trials);
    if (seconds) text += fmt::format(", {} left", duration_text(*seconds - passed));
    bar.reset();
    bar = std::make_shared<Progress>(text, 0, quiet);
    bar->update(static_cast<std::int64_t>(state.looks + state.trials));
  };
}

std::string tune_widths(const search::Tried& tried) {
  if (!tried.config) return "";
  std::size_t wide = 0, narrow = 0;
  for (const auto width : tried.config->widths) {
    wide += width != strategy::LayerWidth::Narrow ? 1 : 0;
    narrow += width == strategy::LayerWidth::NarrowWeights ? 1 : 0;
  }
  const std::string text = fmt::format("{} of {}", wide, tried.config->widths.size());
  return narrow == 0 ? text : fmt::format("{}, {} w8", text, narrow);
}

std::string front_table(const job::Tuned& tuned) {
  using Align = report::Table::Align;
  report::Table table({{"", Align::Left},
                       {"recipe", Align::Left},
                       {"est. ms", Align::Right},
                       {"flash", Align::Right},
                       {"RAM", Align::Right},
                       {"noise", Align::Right},
                       {"confirmed", Align::Right},
                       {"accuracy", Align::Right},
                       {"confirmed", Align::Right},
                       {"16-bit", Align::Right}});
  for (std::size_t p = 0; p < tuned.points.size(); ++p) {
    const job::TunedPoint& point = tuned.points[p];
    const search::Tried& tried = tuned.findings.tried[point.tried];
    const search::Outcome& o = tried.outcome;
    const auto accuracy = [](const search::Outcome& outcome) {
      return tune_percent(outcome.accuracy ? outcome.accuracy : outcome.agreement);
    };
    table.add_row({p == tuned.recommended ? "*" : "", tried.work.recipe.name,
                   tune_ms(o.milliseconds), report::human_bytes(static_cast<std::size_t>(o.flash)),
                   report::human_bytes(static_cast<std::size_t>(o.ram)), tune_percent(o.noise),
                   point.confirmed ? tune_percent(point.confirmed->noise) : "", accuracy(o),
                   point.confirmed ? accuracy(*point.confirmed) : "", tune_widths(tried)});
  }
  return table.to_string();
}

std::string goals_text(const job::Tuned& tuned, const job::TuneJob& job) {
  std::string text;
  for (const search::Goal& goal : job.plan.goals)
    text += (text.empty() ? "" : ", ") + search::text_of(goal);
  if (text.empty()) return fmt::format("least {}", search::name_of(job.plan.minimized));
  const char* met = !tuned.goals_met         ? "not met"
                    : !tuned.goals_confirmed ? "met"
                    : *tuned.goals_confirmed ? "met, and confirmed"
                                             : "met, but not confirmed";
  return fmt::format("{} ({}), least {}", text, met, search::name_of(job.plan.minimized));
}

void print_tuned(const job::Tuned& tuned, const job::TuneJob& job) {
  const search::Findings& found = tuned.findings;
  fmt::print("{} for {}: {} trials and {} looks in {}; it ended because {}\n\n", job.name,
             tuned.target->name, found.tried.size(), tuned.looks, duration_text(tuned.seconds),
             found.end == "budget" ? "the budget did" : found.end);
  fmt::print("{}\n", front_table(tuned));
  fmt::print("* recommended: {}\n", goals_text(tuned, job));
  fmt::print("Measured on {} {} samples", tuned.deciding_samples,
             tuned.on_test_data ? "test" : "calibration");
  if (tuned.confirming_samples > 0)
    fmt::print(", confirmed on {} others that decided nothing", tuned.confirming_samples);
  fmt::print("\n");
}

void list_journal(const TuneCommand& command) {
  const auto entries = search::Journal::read(job::TuneJob::journal_of(command.job.out));
  if (command.show == "csv") {
    fmt::print("{}", job::csv_of(entries));
    return;
  }
  if (command.show == "json" || command.json) {
    fmt::print("{}", report::json_text(job::json_of(entries)));
    return;
  }
  using Align = report::Table::Align;
  report::Table table({{"", Align::Right},
                       {"recipe", Align::Left},
                       {"est. ms", Align::Right},
                       {"flash", Align::Right},
                       {"RAM", Align::Right},
                       {"noise", Align::Right},
                       {"accuracy", Align::Right},
                       {"seconds", Align::Right}});
  std::size_t looks = 0;
  for (const search::Entry& entry : entries) {
    if (entry.work.kind != search::Work::Kind::Trial) {
      ++looks;
      continue;
    }
    const search::Outcome& o = entry.outcome;
    if (!o.refusal.empty()) {
      table.add_row({fmt::to_string(entry.number), entry.work.recipe.name, "refused"});
      continue;
    }
    table.add_row({fmt::to_string(entry.number), entry.work.recipe.name, tune_ms(o.milliseconds),
                   report::human_bytes(static_cast<std::size_t>(o.flash)),
                   report::human_bytes(static_cast<std::size_t>(o.ram)), tune_percent(o.noise),
                   tune_percent(o.accuracy ? o.accuracy : o.agreement),
                   fmt::format("{:.2f}", o.seconds)});
  }
  fmt::print("{}\nand {} looks at few samples\n", table.to_string(), looks);
}

void write_tuned(const job::Tuned& tuned, const job::TuneJob& job) {
  print_tuned(tuned, job);
  fmt::print("Wrote {}\n", (job.out / "best" / (job.name + ".espdl")).string());
  for (const job::TunedPoint& point : tuned.points)
    fmt::print("Wrote {}\n", point.files.front().parent_path().string());
  fmt::print("Wrote {}\n", (job.out / "tune.json").string());
}

/// Of a zoo, {name} in their paths tells them apart.
ReportOptions report_of(const TuneCommand& command, const job::TuneJob& job) {
  ReportOptions report = command.report;
  const std::string stem = job.model.stem().string();
  for (fs::path* path : {&report.html, &report.json, &report.node_data}) {
    const fs::path named = named_path(*path, stem);
    if (!path->empty() && command.models.size() > 1 && named == *path)
      throw Error(ErrorCode::Usage, "the pages of several networks would be one file")
          .file(path->string())
          .remedy("Write {name} in the path: it stands for the name of the network");
    *path = named;
  }
  return report;
}

/// Words of a command line, and the folder where it was typed, as one text.
std::string command_text(const std::vector<std::string>& words) {
  return ordered_json{{"words", words}, {"folder", fs::current_path().string()}}.dump();
}

/// Helps with the search in a folder: what is searched there stands in its journal.
void join_search(const fs::path& out, bool quiet);

/// One network after the other, each with its share of the time that is left.
void tune_all(const TuneCommand& command, Context& context, search::Ranks* ranks) {
  using Clock = std::chrono::steady_clock;
  std::vector<job::TuneJob> jobs;
  for (const std::string& model : command.models) jobs.push_back(job_of(command, model));
  const std::optional<double> seconds = jobs.front().seconds;
  const Clock::time_point begin = Clock::now();
  const bool leads = ranks == nullptr || ranks->rank() == 0;
  if (leads)
    for (const job::TuneJob& job : jobs) report_of(command, job);
  ordered_json all = ordered_json::array();
  std::size_t refused = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    job::TuneJob& job = jobs[i];
    job.ranks = ranks;
    job.command = command_text(context.words);
    if (seconds) {
      const std::chrono::duration<double> passed = Clock::now() - begin;
      job.seconds = std::max(*seconds - passed.count(), 1.0) / static_cast<double>(jobs.size() - i);
    }
    if (!leads) {
      job::help_tune(job, job::ignored);
      continue;
    }
    try {
      const job::Tuned tuned =
          job::tune(job, print_note, show_progress(job, context.quiet || command.json));
      const ReportOptions report = report_of(command, job);
      if (report.wanted()) {
        OutputFiles output;
        add_pages(output, report,
                  page::page_of_tuned({"tune", job.model.filename().string(), context.command_line},
                                      tuned, job));
        output.commit();
      }
      if (command.json) {
        ordered_json json = job::json_of(tuned, job);
        json["seconds"] = tuned.seconds;
        json["measured"] = tuned.measured;
        all.push_back(std::move(json));
      } else if (!context.quiet) {
        if (i > 0) fmt::print("\n");
        write_tuned(tuned, job);
        print_pages(report);
      }
    } catch (const Error& error) {
      // Of a zoo, the others may be searched; under mpirun, the other ranks wait for this one.
      if (jobs.size() == 1 || ranks != nullptr || error.code() == ErrorCode::Cancelled ||
          error.code() == ErrorCode::Internal || error.code() == ErrorCode::Usage)
        throw;
      print_warning(fmt::format("{} is left out: {}", job.name, error.what()));
      ++refused;
    }
  }
  if (command.json && leads)
    fmt::print("{}", report::json_text(jobs.size() == 1 ? all.front() : all));
  if (refused > 0) context.exit_code = 1;
}

void run_tune(const TuneCommand& command, Context& context) {
  if (command.print_space) {
    fmt::print("{}", search::space_text());
    return;
  }
  if (command.list || !command.show.empty()) return list_journal(command);
  if (!command.join.empty()) return join_search(command.join, context.quiet);
  if (command.models.empty())
    throw Error(ErrorCode::Usage, "ONNX is required").remedy("See espquant tune --help");
  const std::unique_ptr<search::Ranks> ranks = search::launched_ranks();
  if (ranks != nullptr) {
    // Ranks of one machine share its cores.
    set_thread_count(std::max(1, thread_count() / search::local_ranks()));
    if (ranks->rank() > 0) silence_notes();
  }
  tune_all(command, context, ranks.get());
  if (ranks != nullptr) ranks->finish();
}

std::shared_ptr<TuneCommand> add_tune_command(CLI::App& app, Context& context) {
  auto command = std::make_shared<TuneCommand>();
  job::TuneJob& job = command->job;
  job.out = ".";
  CLI::App* sub = app.add_subcommand(
      "tune", "Search for the recipe that meets a goal at least cost, as long as you like");
  sub->add_option("ONNX", command->models,
                  "The network, .onnx; of several each gets a folder in --out, and {name} in the "
                  "paths of data stands for its name")
      ->type_name("ONNX...");
  add_calib(*sub, job.calib.path);
  add_data(*sub, command->test,
           "Data that decide and confirm, with labels or without (default: calibration samples "
           "that nothing was fitted to)");
  add_count(*sub, command->count, "all");
  sub->add_option("--calib-count", job.calib_count,
                  "Calibrate on at most this many samples, evenly spread (default: all)")
      ->check(whole_number(1))
      ->type_name("N");
  constexpr const char* kSearch = "Search";
  sub->add_option("--goal", command->goals,
                  "What must hold, as accuracy-drop<=0.5 (points), noise<=1 (%), ms<=20, "
                  "flash<=300K, ram<=200K; may be repeated")
      ->allow_extra_args(false)
      ->type_name("GOAL")
      ->group(kSearch);
  sub->add_option("--minimize", command->minimize,
                  "What is to be least beside that: noise, accuracy-drop, ms, flash, ram (default: "
                  "ms, without a goal noise)")
      ->type_name("WHAT")
      ->group(kSearch);
  sub->add_option("--time", command->time, "How long to search, as 90s, 5m or 2h (default: 5m)")
      ->check(span_of_time())
      ->type_name("TIME")
      ->group(kSearch);
  sub->add_option("--trials", job.trials,
                  "How many candidates to try; the result is the same on every machine")
      ->check(whole_number(1))
      ->type_name("N")
      ->group(kSearch);
  sub->add_option("--space", command->space,
                  "A TOML file that narrows what is chosen among (--print-space shows all)")
      ->type_name("FILE")
      ->group(kSearch);
  sub->add_flag("--print-space", command->print_space, "Print what is chosen among")
      ->group(kSearch);
  sub->add_option("--order", command->order,
                  "best: what promises most first; random or exhaustive: to compare with")
      ->check(one_of({"best", "random", "exhaustive"}))
      ->type_name("ORDER")
      ->group(kSearch);
  sub->add_option("--seed", job.plan.seed, "Of --order random (default: 1)")
      ->type_name("N")
      ->group(kSearch);
  sub->add_option("--generation", job.plan.generation,
                  "Trials that do not wait for each other: more for many machines (default: 8)")
      ->check(whole_number(1, 4096))
      ->type_name("N")
      ->group(kSearch);
  sub->add_flag("--resume", job.resume, "Go on with the search in --out")->group(kSearch);
  sub->add_option("--worker", command->join,
                  "Help with the search whose --out this is, from this machine or another that "
                  "sees the folder; takes no other options")
      ->type_name("FOLDER")
      ->group(kSearch);
  sub->add_flag("--list", command->list, "Show what the search in --out has tried")->group(kSearch);
  sub->add_option("--export", command->show, "Print all that it has measured")
      ->check(one_of({"csv", "json"}))
      ->type_name("csv|json")
      ->group(kSearch);
  sub->add_option("--points", job.points, "Write so many points of the front at most (default: 12)")
      ->check(whole_number(1, 1000))
      ->type_name("N");
  add_new_target(*sub, job.target, "nothing else");
  add_release(*sub, job.espdl, "the newest");
  add_out_folder(*sub, job.out);
  add_name(*sub, job.name);
  add_preprocess(*sub, job.calib, "scaled to 0..1, stretched to the input's size");
  add_network_options(*sub, job.network);
  add_cut_tail(*sub, job.network);
  add_classes(*sub, job.calib);
  add_board(*sub, job.board);
  add_compile_request_flag(*sub, job.compile_request);
  add_report(*sub, command->report);
  sub->add_flag("--json", command->json, "Print the result as JSON");
  sub->footer(
      preprocess_help() +
      "Examples:\n"
      "  espquant tune model.onnx --calib calib.npz --data test.npz --goal "
      "'accuracy-drop<=0.5' --minimize ms --trials 3 --out out/\n"
      "  espquant tune model.onnx --calib calib.npz --data test.npz --trials 4 --resume --out "
      "out/\n"
      "  espquant tune --list --out out/\n"
      "  mpirun -n 16 espquant tune model.onnx --calib calib.npz --trials 400 "
      "--generation 32 --out out/\n");
  sub->callback([command, &context] { run_tune(*command, context); });
  return command;
}

}  // namespace

void add_tune(CLI::App& app, Context& context) { add_tune_command(app, context); }

namespace {

void join_search(const fs::path& out, bool quiet) {
  const fs::path folder = fs::absolute(out);
  const ordered_json json = ordered_json::parse(job::command_of_search(folder));
  auto words = json.at("words").get<std::vector<std::string>>();
  // As it was typed there: paths are relative to that folder.
  const auto typed_in = json.at("folder").get<std::string>();
  std::error_code error;
  fs::current_path(typed_in, error);
  if (error)
    throw Error(ErrorCode::Io,
                fmt::format("the folder in which the search was begun: {}", error.message()))
        .file(typed_in);
  Context context;
  CLI::App app;
  app.fallthrough();
  app.add_option_function<int>("--threads", [](int) {});
  app.add_option_function<std::string>("--max-memory", [](const std::string&) {});
  app.add_flag("--quiet");
  const std::shared_ptr<TuneCommand> command = add_tune_command(app, context);
  app.get_subcommand("tune")->callback([] {});
  app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  std::size_t measured = 0;
  for (const std::string& model : command->models) {
    job::TuneJob job = job_of(*command, model);
    // A zoo has a journal for each.
    std::error_code ignored;
    if (!fs::equivalent(job.out, folder, ignored)) continue;
    job.join = true;
    measured += job::help_tune(job, job::ignored);
  }
  if (!quiet) fmt::print("Measured {} of what the search asked for\n", measured);
}

}  // namespace
}  // namespace espquant::cli
