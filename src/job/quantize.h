#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "base/file.h"
#include "espdl/statistics.h"
#include "job/board.h"
#include "job/network.h"
#include "job/recipe.h"
#include "measure/evaluate.h"
#include "report/cost_table.h"
#include "schedule/optimize.h"
#include "strategy/find_banks.h"
#include "strategy/last_gate.h"
#include "strategy/quantize_model.h"

namespace espquant::job {

/// What is quantized, by what, and how it is measured.
struct QuantizeJob {
  std::filesystem::path model;
  NetworkOptions network;
  DataOptions calib;
  /// What the result is measured on beside the calibration data.
  std::optional<DataOptions> test;
  /// Empty: what the recipe says, else esp32s3.
  std::string target;
  RecipeOptions recipe;
  BoardOptions board;
  bool test_values = true;
  /// What the file is rearranged for, the integers staying as they are.
  std::optional<schedule::Goal> fit;
  /// See strategy::QuantizeOptions.
  std::int64_t report_samples = 32;
  double search_seconds = 0;
  /// Written into the model beside its own.
  std::vector<std::pair<std::string, std::string>> metadata;
};

/// A network opened with its calibration data, and the recipe to follow.
struct Prepared {
  const Target* target = nullptr;
  /// With target and release filled in.
  recipe::Recipe recipe;
  Graph imported;
  Data calibration;
  double import_seconds = 0;
};

/// Opens both, and tells what is doubtful about them. `calib` without count and seed, which are the
/// recipe's. Throws as import_network and open_data_for do.
Prepared prepare(const std::filesystem::path& model, const NetworkOptions& network,
                 const DataOptions& calib, const std::string& target, const RecipeOptions& recipe,
                 const Tell& tell);

/// Quantizes what was prepared, and uses up its recipe and network: sets the target, the recipe and
/// the labels that it needs in `options`. Errors carry the files of `model` and `recipe`.
strategy::QuantizedModel follow_recipe(Prepared& prepared, strategy::QuantizeOptions& options,
                                       const std::filesystem::path& model,
                                       const RecipeOptions& recipe,
                                       const strategy::StageProgress& progress);

struct Quantized {
  const Target* target = nullptr;
  Data calibration;
  strategy::QuantizedModel made;
  /// On QuantizeJob::test, and these data.
  std::optional<measure::Evaluation> test;
  std::optional<Data> test_data;
  strategy::SoundFile file;
  espdl::SizeByKind size;
  report::Cost cost;
  /// Where the recipe asks for them.
  std::optional<strategy::FoundBanks> banks;

  /// Of the test data where there are any, else of the calibration data.
  const measure::OutputNoise& noise() const;
};

/// The whole way to a file that has passed the last gate; nothing is written. Throws as
/// strategy::quantize_model and pass_last_gate do, errors with the file that they are about.
Quantized quantize(const QuantizeJob& job, const Tell& tell, strategy::StageProgress progress = {});

/// The same of what was prepared by `job`, whose network may have been changed since.
Quantized quantize(const QuantizeJob& job, Prepared prepared, const Tell& tell,
                   strategy::StageProgress progress = {});

/// Adds its files to `output`: see add_quantized.
std::vector<std::filesystem::path> add_files(OutputFiles& output, const Quantized& quantized,
                                             const std::filesystem::path& stem,
                                             bool compile_request);

/// As docs/json.md has it; `files` were written.
nlohmann::ordered_json json_of(const Quantized& quantized,
                               const std::vector<std::filesystem::path>& files);

}  // namespace espquant::job
