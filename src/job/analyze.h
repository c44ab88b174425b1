#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "analysis/analysis.h"
#include "job/network.h"
#include "job/recipe.h"
#include "strategy/find_banks.h"

namespace espquant::job {

struct AnalyzeJob {
  std::filesystem::path model;
  NetworkOptions network;
  DataOptions calib;
  /// What the noise is measured on in place of the calibration data.
  std::optional<DataOptions> test;
  /// Samples to measure on.
  std::int64_t samples = 32;
  /// Empty: what the recipe says, else esp32s3.
  std::string target;
  RecipeOptions recipe;
};

struct Analyzed {
  const Target* target = nullptr;
  Data calibration;
  /// What was measured on in its place, and which samples of either.
  std::optional<Data> test;
  std::vector<std::int64_t> samples;
  strategy::QuantizedModel made;
  analysis::Analysis analysis;
  /// Where the recipe asks for them.
  std::optional<strategy::FoundBanks> banks{};

  /// Refers to this object.
  calib::SampleSource source() const { return test ? test->source() : calibration.source(); }
};

/// Quantizes the network by the recipe, writes no model, and says what each layer loses, and why.
Analyzed analyze(const AnalyzeJob& job, const Tell& tell, strategy::StageProgress progress = {});

}  // namespace espquant::job
