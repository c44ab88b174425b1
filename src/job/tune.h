#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "job/board.h"
#include "job/data.h"
#include "job/network.h"
#include "job/tell.h"
#include "search/desk.h"
#include "search/searcher.h"

namespace espquant::job {

/// A search for the recipe of one network.
struct TuneJob {
  std::filesystem::path model;
  NetworkOptions network;
  /// Without count and seed.
  DataOptions calib;
  /// Calibrate on at most this many samples, evenly spread; 0: all.
  std::int64_t calib_count = 0;
  /// What decides and confirms; without it, calibration samples that fitted nothing.
  std::optional<DataOptions> test;
  /// Empty: esp32s3, and the newest release.
  std::string target, espdl;
  BoardOptions board;
  search::Plan plan;
  search::Space space = search::whole_space();
  std::optional<double> seconds;
  std::optional<std::int64_t> trials;
  /// Where results lie, and the journal, which is TuneJob::journal_of().
  std::filesystem::path out;
  /// Of files.
  std::string name;
  bool compile_request = true;
  /// Go on with the journal in `out`.
  bool resume = false;
  /// Points of the front that are written at most.
  std::size_t points = 12;
  /// Help with the search in `out` that another process leads: measure, write nothing else.
  bool join = false;
  /// Of a job under mpirun: rank 0 leads, the others measure.
  search::Ranks* ranks = nullptr;
  /// Kept in the journal for those who join.
  std::string command;

  static std::filesystem::path journal_of(const std::filesystem::path& out);
};

/// How a search stands.
struct TuneState {
  std::size_t trials = 0, looks = 0;
  /// Empty before the first trial.
  std::string best;
  search::Merit merit;
};
using TuneProgress = std::function<void(const TuneState&)>;

/// A point of the front, as it was written.
struct TunedPoint {
  std::size_t tried = 0;
  /// On the samples that confirm, where there are any.
  std::optional<search::Outcome> confirmed;
  std::vector<std::filesystem::path> files;
};

struct Tuned {
  const Target* target = nullptr;
  search::Findings findings;
  /// Measurements on few samples, of earlier runs too.
  std::size_t looks = 0;
  /// Quietest last: ordered by milliseconds, then by noise.
  std::vector<TunedPoint> points;
  /// Into `points`: the one that meets the goals at least cost.
  std::size_t recommended = 0;
  /// Whether it does, on the samples that decide, and on those that confirm.
  bool goals_met = false;
  std::optional<bool> goals_confirmed;
  std::int64_t calibration_samples = 0, deciding_samples = 0, confirming_samples = 0;
  bool on_test_data = false;
  /// Works measured in this run.
  std::size_t measured = 0;
  double seconds = 0;
  std::vector<std::filesystem::path> files;
};

/// Searches, keeping the best so far in OUT/best, and writes the points of the front, a folder
/// each, and OUT/tune.json. Throws Error as the rooms below do; what was measured before stays in
/// the journal.
Tuned tune(const TuneJob& job, const Tell& tell, const TuneProgress& progress = {});

/// Measures for a search that another process leads, until that ends: rank 0 under mpirun, else
/// whoever leads the journal. Returns how much was measured. Throws as tune().
std::size_t help_tune(const TuneJob& job, const Tell& tell);

/// TuneJob::command of the search in `out`; waits a while for it to begin. Throws Error(Usage).
std::string command_of_search(const std::filesystem::path& out);

/// What is in tune.json: nothing that differs from run to run.
nlohmann::ordered_json json_of(const Tuned& tuned, const TuneJob& job);

/// The outcomes of a journal as a table of values, or as JSON.
std::string csv_of(const std::vector<search::Entry>& entries);
nlohmann::ordered_json json_of(const std::vector<search::Entry>& entries);

}  // namespace espquant::job
