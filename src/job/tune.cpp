#include "job/tune.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/seconds.h"
#include "base/version.h"
#include "job/data_doubts.h"
#include "job/fingerprint.h"
#include "job/quantized_files.h"
#include "job/recipe.h"
#include "report/json_text.h"

namespace espquant::job {
namespace {

namespace fs = std::filesystem;
using search::Outcome;

/// Samples that a candidate is measured on before the confirmation, at most.
constexpr std::int64_t kMostDeciding = 512;
/// Fewer on either side decide, or confirm, nothing.
constexpr std::int64_t kLeastInPanel = 32;

/// What a search works on.
struct Opened {
  const Target* target = nullptr;
  Graph imported;
  Data calibration, test;
  std::vector<std::string> classes;
  cost::LatencyOptions latency;
  recipe::Recipe plain;
};

Opened open(const TuneJob& job, const Tell& tell) {
  Opened opened;
  opened.plain = recipe::find_recipe("int8");
  if (!job.espdl.empty()) opened.plain.espdl = job.espdl;
  opened.target = &target_for(job.target, opened.plain, tell);
  opened.plain.target = std::string(opened.target->name);
  opened.plain.espdl = std::string(opened.target->release.version);
  opened.imported = import_network(job.model, job.network, job.calib, *opened.target, tell);
  opened.plain.calibration.samples = job.calib_count;
  DataOptions calib = job.calib;
  calib.count = job.calib_count;
  opened.calibration = open_data_for(calib, opened.imported, tell);
  question_calibration(opened.calibration, calib, opened.imported);
  if (job.test) {
    opened.test = open_data(*job.test, opened.imported, tell);
    question_data(opened.test, *job.test, opened.imported);
  }
  opened.classes = class_names(job.calib);
  opened.latency = job.board.latency_for(*opened.target, tell);
  return opened;
}

std::string settings_text(const data::Preprocess& preprocess) {
  std::string text;
  for (const auto& [key, value] : data::to_settings(preprocess))
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value);
  return text;
}

std::string cut_text(const NetworkOptions& network) {
  return fmt::format("shapes {} inputs {} outputs {}{}", fmt::join(network.input_shapes, " "),
                     fmt::join(network.inputs, " "), fmt::join(network.outputs, " "),
                     network.cut_tail ? " cut" : "");
}

/// All that outcomes depend on.
search::Identity identity_of(const TuneJob& job, const Opened& opened) {
  search::Identity identity{
      {"version of espquant", std::string(version())},
      {"network", fingerprint(job.model)},
      {"part of the network", cut_text(job.network)},
      {"set of calibration data", fingerprint(job.calib.path)},
      {"number of calibration samples", fmt::to_string(opened.calibration.chosen.size())},
      {"preprocessing", settings_text(opened.calibration.preprocess)},
      {"list of classes", fmt::format("{}", fmt::join(opened.classes, " "))},
      {"chip", std::string(opened.target->name)},
      {"release of ESP-DL", std::string(opened.target->release.version)},
      {"board", (job.board.file.empty() ? std::string("usual") : fingerprint(job.board.file)) +
                    fmt::format(", {} cores", job.board.cores)},
  };
  identity.emplace_back("set of test data", job.test ? fingerprint(job.test->path) : "none");
  identity.emplace_back("number of test samples",
                        fmt::to_string(job.test ? opened.test.chosen.size() : 0));
  return identity;
}

/// Recipes to begin with, for this chip; those that the space does not allow are left out.
std::vector<recipe::Recipe> starts_of(const TuneJob& job, const Opened& opened) {
  std::vector<recipe::Recipe> starts;
  for (const std::string& name : job.space.start) {
    recipe::Recipe recipe = recipe::find_recipe(name);
    const bool wide = recipe.quantization.bits == 16 || recipe.mixed.enabled;
    const bool narrow_weights = recipe.quantization.weight_bits == 8;
    if (narrow_weights ? !job.space.w8a16 : wide && !job.space.wide) continue;
    // Of some layers only, these recipes know nothing.
    if (wide && job.space.layers != std::vector<std::string>{"*"}) continue;
    if (narrow_weights && !opened.target->release.has(Feature::W8A16)) continue;
    recipe.target = opened.plain.target;
    recipe.espdl = opened.plain.espdl;
    recipe.calibration.samples = opened.plain.calibration.samples;
    starts.push_back(std::move(recipe));
  }
  return starts;
}

class TuneRun {
 public:
  TuneRun(const TuneJob& job, const Tell& tell, const TuneProgress& progress)
      : job_(job), progress_(progress), begin_(Clock::now()), opened_(open(job, tell)) {
    if (job.ranks == nullptr || job.ranks->rank() == 0) open_journal(tell);
    shared_.emplace(opened_.imported, opened_.calibration.source());
    settle_panel();
    search::Ingredients ingredients;
    ingredients.shared = &*shared_;
    ingredients.target = opened_.target;
    ingredients.latency = opened_.latency;
    ingredients.layers = job.space.layers;
    ingredients.metadata = [this](const recipe::Recipe& recipe) {
      return metadata_of(opened_.calibration.preprocess, recipe, opened_.classes);
    };
    evaluator_.emplace(std::move(ingredients), *deciding_);
  }

  /// See help_tune().
  std::size_t help() {
    if (job_.ranks != nullptr) {
      search::serve(*job_.ranks, *evaluator_);
      return 0;
    }
    const search::Heartbeat heartbeat(TuneJob::journal_of(job_.out));
    search::Budget budget;
    budget.trials = job_.trials;
    budget.ended = [&] { return !journal_->is_led(); };
    search::Crew crew(*evaluator_);
    search::JournalDesk desk(*journal_, crew, budget, [](const search::Event&) {});
    search::run_search(job_.space, job_.plan, opened_.plain, starts_of(job_, opened_), desk);
    return desk.measured();
  }

  Tuned run() {
    search::Budget budget;
    budget.trials = job_.trials;
    if (job_.seconds)
      budget.deadline = begin_ + std::chrono::duration_cast<Clock::duration>(
                                     std::chrono::duration<double>(*job_.seconds));
    budget.reserve = [&] { return seconds_to_finish(); };
    if (!lead())
      throw Error(ErrorCode::Usage, "another process leads this search")
          .file(TuneJob::journal_of(job_.out).string())
          .remedy("Join it by tune --worker, or wait");
    if (!job_.command.empty()) journal_->set_note("command", job_.command);
    Tuned tuned;
    tuned.target = opened_.target;
    {
      const search::Heartbeat heartbeat(TuneJob::journal_of(job_.out));
      search::Crew crew(*evaluator_, job_.ranks);
      search::JournalDesk desk(
          *journal_, crew, budget, [&](const search::Event& event) { hear(event); },
          [&] { keep_best(nullptr); });
      tuned.findings =
          search::run_search(job_.space, job_.plan, opened_.plain, starts_of(job_, opened_), desk);
      tuned.measured = desk.measured();
      journal_->end();
    }
    tuned.looks = state_.looks;
    finish(tuned);
    tuned.seconds = seconds_since(begin_);
    return tuned;
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// One that is about to end, as Ctrl-C lets it, is waited for.
  bool lead() {
    constexpr int kTimes = 50;
    constexpr auto kPause = std::chrono::milliseconds(100);
    for (int i = 0; i < kTimes; ++i) {
      if (journal_->lead()) return true;
      throw_if_cancelled();
      std::this_thread::sleep_for(kPause);
    }
    return false;
  }

  void open_journal(const Tell& tell) {
    const search::Identity identity = identity_of(job_, opened_);
    const fs::path journal = TuneJob::journal_of(job_.out);
    if (job_.join) {
      journal_.emplace(search::Journal::join(journal, identity));
      return;
    }
    if (job_.resume && fs::exists(journal)) {
      std::optional<std::string> damage;
      journal_.emplace(search::Journal::go_on(journal, identity, damage));
      if (damage) tell(fmt::format("the journal is damaged: {}", *damage));
      return;
    }
    fs::create_directories(job_.out);
    journal_.emplace(search::Journal::begin(journal, identity));
  }

  void settle_panel() {
    const Graph& network = shared_->simplified({}).network;
    const Data& data = job_.test ? opened_.test : opened_.calibration;
    std::vector<std::int64_t> samples;
    for (std::int64_t i = 0; i < data.source().count; ++i) samples.push_back(i);
    if (!job_.test) samples = unfitted(samples);
    panel_ = search::panel_of(samples, kMostDeciding, kLeastInPanel);
    labels_ = data.labels();
    source_ = data.source();
    deciding_.emplace(network, source_, labels_, panel_.deciding);
  }

  /// Of the calibration samples, those that nothing is fitted to or judged on; those that are
  /// judged on where there are too few others.
  std::vector<std::int64_t> unfitted(std::vector<std::int64_t> samples) {
    std::vector<strategy::Stage> stages;
    const strategy::StageProgress quiet;
    strategy::Stopwatch watch(stages, quiet);
    const auto bench =
        strategy::bench_for(*shared_, opened_.plain, *opened_.target, opened_.latency, watch);
    const auto fitted = bench.bench->fitted_samples(), judged = bench.bench->judged_samples();
    std::set<std::int64_t> used(fitted.begin(), fitted.end());
    used.insert(judged.begin(), judged.end());
    const std::vector<std::int64_t> all = samples;
    std::erase_if(samples, [&](std::int64_t i) { return used.contains(i); });
    if (static_cast<std::int64_t>(samples.size()) >= kLeastInPanel) return samples;
    return judged.empty() ? all : judged;
  }

  /// Tells how things stand, and keeps the best so far on the disk.
  void hear(const search::Event& event) {
    if (event.work.kind != search::Work::Kind::Trial) {
      ++state_.looks;
    } else {
      ++state_.trials;
      if (event.outcome.refusal.empty()) {
        recipes_.push_back(event.work.recipe);
        outcomes_.push_back(event.outcome);
        merits_.push_back(event.outcome.merit());
        const auto best = search::recommended_of(merits_, job_.plan.goals, job_.plan.minimized);
        state_.best = recipes_[*best].name;
        state_.merit = merits_[*best];
        // What another process has made is made again when this one rests.
        if (*best + 1 == merits_.size() && event.made != nullptr) keep_best(event.made);
      }
    }
    if (progress_) progress_(state_);
  }

  /// Every point is made once more, and confirmed.
  double seconds_to_finish() const {
    if (outcomes_.empty()) return 0;
    double sum = 0;
    for (const Outcome& outcome : outcomes_) sum += outcome.seconds;
    const double each = sum / static_cast<double>(outcomes_.size());
    const std::size_t front = search::front_of(merits_).size();
    return each * static_cast<double>(std::min(front, job_.points));
  }

  fs::path best_stem() const { return job_.out / "best" / job_.name; }

  /// Writes the best so far, unless it is there already. `made`: that, where it is at hand.
  void keep_best(search::Made* made) {
    const auto best = search::recommended_of(merits_, job_.plan.goals, job_.plan.minimized);
    if (!best || outcomes_[*best].file == best_written_) return;
    const fs::path file(best_stem().string() + ".espdl");
    if (fs::exists(file) && fingerprint(file) == outcomes_[*best].file) {
      best_written_ = outcomes_[*best].file;
      return;
    }
    std::optional<search::Made> again;
    if (made == nullptr) made = &again.emplace(evaluator_->make(recipes_[*best]));
    OutputFiles output;
    add_files_of(output, best_stem(), *made, recipes_[*best]);
    output.commit();
    best_written_ = outcomes_[*best].file;
  }

  std::vector<fs::path> add_files_of(OutputFiles& output, const fs::path& stem,
                                     const search::Made& made, const recipe::Recipe& recipe) {
    std::vector<fs::path> files =
        add_quantized(output, stem, made.model.model, *opened_.target, made.file,
                      opened_.calibration.preprocess, job_.compile_request);
    files.push_back(stem.parent_path() / "recipe.toml");
    output.add(files.back(), recipe::to_toml(recipe));
    return files;
  }

  void finish(Tuned& tuned) {
    const auto& tried = tuned.findings.tried;
    const std::vector<std::size_t> measured = tuned.findings.measured();
    if (measured.empty()) refuse(tuned);
    tuned.calibration_samples = static_cast<std::int64_t>(opened_.calibration.chosen.size());
    tuned.deciding_samples = deciding_->size();
    tuned.confirming_samples = static_cast<std::int64_t>(panel_.confirming.size());
    tuned.on_test_data = job_.test.has_value();
    std::optional<search::Jury> confirming;
    if (!panel_.confirming.empty())
      confirming.emplace(shared_->simplified({}).network, source_, labels_, panel_.confirming);

    std::vector<search::Merit> merits;
    for (const std::size_t i : measured) merits.push_back(tried[i].outcome.merit());
    OutputFiles output;
    for (const std::size_t i : points_of(merits)) {
      const search::Tried& t = tried[measured[i]];
      const search::Made made = evaluator_->make(t.work.recipe);
      if (sha256_of(made.file.bytes()) != t.outcome.file)
        throw Error(
            ErrorCode::Internal,
            fmt::format("the recipe '{}' gives another file than before", t.work.recipe.name));
      TunedPoint& point = tuned.points.emplace_back();
      point.tried = measured[i];
      if (confirming) point.confirmed = evaluator_->measured(made, *confirming);
      point.files = add_files_of(output, stem_of(job_.out, job_.name, t.work.recipe.name), made,
                                 t.work.recipe);
    }
    recommend(tuned);
    const search::Tried& best = tried[tuned.points[tuned.recommended].tried];
    add_files_of(output, best_stem(), evaluator_->make(best.work.recipe), best.work.recipe);
    add_summary(output, tuned);
    output.commit();
    for (const TunedPoint& point : tuned.points)
      tuned.files.insert(tuned.files.end(), point.files.begin(), point.files.end());
  }

  [[noreturn]] void refuse(const Tuned& tuned) const {
    if (tuned.findings.tried.empty())
      throw Error(ErrorCode::Usage, "the search ended before its first trial")
          .remedy("Give it more --time");
    throw Error(ErrorCode::Unsupported,
                "all recipes are refused: " + tuned.findings.tried.front().outcome.refusal)
        .file(job_.model.string());
  }

  /// Of the front, the one to recommend and those at the ends, then whatever is farthest in noise
  /// from all that were taken; ordered by time and noise.
  std::vector<std::size_t> points_of(const std::vector<search::Merit>& merits) const {
    const std::vector<std::size_t> front = search::front_of(merits);
    std::vector<std::size_t> taken;
    const auto take = [&](std::size_t i) {
      if (std::find(taken.begin(), taken.end(), i) == taken.end() && taken.size() < job_.points)
        taken.push_back(i);
    };
    take(*search::recommended_of(merits, job_.plan.goals, job_.plan.minimized));
    for (const auto metric : {search::Metric::Noise, search::Metric::Milliseconds,
                              search::Metric::Flash, search::Metric::Ram})
      take(*std::min_element(front.begin(), front.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(search::value_of(merits[a], metric), merits[a].noise) <
               std::pair(search::value_of(merits[b], metric), merits[b].noise);
      }));
    const auto place = [&](std::size_t i) { return std::log(std::max(merits[i].noise, 1e-12)); };
    while (taken.size() < std::min(job_.points, front.size())) {
      std::size_t farthest = front.front();
      double most = -1;
      for (const std::size_t i : front) {
        double nearest = std::numeric_limits<double>::infinity();
        for (const std::size_t k : taken)
          nearest = std::min(nearest, std::abs(place(i) - place(k)));
        const bool used = std::find(taken.begin(), taken.end(), i) != taken.end();
        if (used || nearest <= most) continue;
        most = nearest;
        farthest = i;
      }
      if (most < 0) break;
      take(farthest);
    }
    std::stable_sort(taken.begin(), taken.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(merits[a].milliseconds, merits[a].noise) <
             std::pair(merits[b].milliseconds, merits[b].noise);
    });
    return taken;
  }

  /// What meets the goals on the samples that decide, and, where there are any, on those that
  /// confirm; else on the former alone.
  void recommend(Tuned& tuned) const {
    std::vector<search::Merit> merits, both;
    for (const TunedPoint& point : tuned.points) {
      const search::Merit merit = tuned.findings.tried[point.tried].outcome.merit();
      merits.push_back(merit);
      search::Merit worse = merit;
      if (point.confirmed) {
        worse.noise = std::max(worse.noise, point.confirmed->noise);
        if (point.confirmed->accuracy_drop)
          worse.accuracy_drop =
              std::max(worse.accuracy_drop.value_or(0), *point.confirmed->accuracy_drop);
      }
      both.push_back(worse);
    }
    tuned.recommended = *search::recommended_of(both, job_.plan.goals, job_.plan.minimized);
    tuned.goals_met = search::violation_of(merits[tuned.recommended], job_.plan.goals) == 0;
    if (tuned.points[tuned.recommended].confirmed)
      tuned.goals_confirmed = search::violation_of(both[tuned.recommended], job_.plan.goals) == 0;
  }

  void add_summary(OutputFiles& output, const Tuned& tuned) const;

  const TuneJob& job_;
  const TuneProgress& progress_;
  Clock::time_point begin_;
  Opened opened_;
  std::optional<search::Journal> journal_;
  std::optional<strategy::Preparation> shared_;
  search::Panel panel_;
  calib::SampleSource source_;
  std::vector<std::int64_t> labels_;
  std::optional<search::Jury> deciding_;
  std::optional<search::Evaluator> evaluator_;
  TuneState state_;
  std::vector<recipe::Recipe> recipes_;
  std::vector<Outcome> outcomes_;
  std::vector<search::Merit> merits_;
  /// Hash of the file in OUT/best.
  std::string best_written_;
};

}  // namespace

fs::path TuneJob::journal_of(const fs::path& out) { return out / "tune.journal"; }

void TuneRun::add_summary(OutputFiles& output, const Tuned& tuned) const {
  output.add(job_.out / "tune.json", report::json_text(json_of(tuned, job_)));
}

Tuned tune(const TuneJob& job, const Tell& tell, const TuneProgress& progress) try {
  return TuneRun(job, tell, progress).run();
} catch (Error& error) {
  if (error.file().empty() && error.code() != ErrorCode::Usage) error.file(job.model.string());
  throw;
}

std::size_t help_tune(const TuneJob& job, const Tell& tell) {
  return TuneRun(job, tell, {}).help();
}

std::string command_of_search(const fs::path& out) {
  constexpr int kTimes = 300;
  constexpr auto kPause = std::chrono::milliseconds(200);
  for (int i = 0; i < kTimes; ++i) {
    throw_if_cancelled();
    if (const auto command = search::Journal::command_in(TuneJob::journal_of(out))) return *command;
    std::this_thread::sleep_for(kPause);
  }
  throw Error(ErrorCode::Usage, "no search has begun here for a minute")
      .file(out.string())
      .remedy("Begin one by tune --out, then join it");
}

}  // namespace espquant::job
