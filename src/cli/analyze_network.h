#pragma once

#include <filesystem>

#include "cli/calibration_data.h"
#include "cli/commands.h"
#include "cli/network_options.h"
#include "cli/recipe_options.h"
#include "job/analysis_report.h"

namespace espquant::cli {

/// What `analyze` is asked of an .onnx.
struct NetworkAnalysis {
  std::filesystem::path model;
  job::NetworkOptions network;
  job::DataOptions calib;
  /// What the noise is measured on; of the calibration data where the path is empty.
  std::filesystem::path data;
  std::int64_t count = 0;
  std::string target;
  job::RecipeOptions recipe;
  job::AnalysisView view;
  std::filesystem::path csv;
  bool json = false;
};

/// Quantizes the network by the recipe, writes no model, and shows what each layer loses, and why.
void analyze_network(const NetworkAnalysis& command, Context& context);

}  // namespace espquant::cli
