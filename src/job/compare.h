#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "job/board.h"
#include "job/network.h"
#include "job/recipe.h"
#include "strategy/compare.h"

namespace espquant::job {

struct CompareJob {
  std::filesystem::path model;
  NetworkOptions network;
  DataOptions calib;
  /// What is measured on in place of the calibration data.
  std::optional<DataOptions> test;
  /// Empty: what the recipes say, else esp32s3.
  std::string target;
  std::vector<RecipeOptions> recipes;
  BoardOptions board;
  /// What the files are rearranged for, the integers staying as they are.
  std::optional<schedule::Goal> fit;
  /// Sees each recipe's network, float and quantized, before it is gone; in the recipes' order,
  /// those that are refused left out.
  std::function<void(const strategy::QuantizedModel& made, const Target& target,
                     const calib::SampleSource& calibration)>
      visit;
  /// Of each recipe, see strategy::QuantizeOptions.
  double search_seconds = 0;
};

struct Comparison {
  const Target* target = nullptr;
  /// Of the first recipe.
  Data calibration;
  /// On which it was measured, where not on that.
  std::optional<Data> test;
  /// In the order of the recipes.
  std::vector<strategy::Compared> results;
};

/// Throws Error(Usage) for recipes of one name, or for different chips; Error(Unsupported) where
/// all are refused; and as strategy::compare_recipes.
Comparison compare(const CompareJob& job, const Tell& tell,
                   const strategy::StageProgress& progress = {});

/// Adds the files of each to `output`, see add_quantized. Returns their paths, none for a recipe
/// that is refused.
std::vector<std::vector<std::filesystem::path>> add_files(OutputFiles& output,
                                                          const Comparison& comparison,
                                                          const std::filesystem::path& folder,
                                                          const std::string& name,
                                                          bool compile_request);

/// As docs/json.md has it, without what differs from run to run; `files` lie in `folder`.
nlohmann::ordered_json json_of(const Comparison& comparison, const std::string& name,
                               const std::vector<std::vector<std::filesystem::path>>& files,
                               const std::filesystem::path& folder);

}  // namespace espquant::job
