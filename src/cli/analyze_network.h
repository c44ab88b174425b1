#pragma once

#include <filesystem>

#include "cli/commands.h"
#include "cli/report_options.h"
#include "job/analysis_report.h"
#include "job/analyze.h"

namespace espquant::cli {

/// What `analyze` is asked of an .onnx.
struct NetworkAnalysis {
  job::AnalyzeJob job;
  job::AnalysisView view;
  std::filesystem::path csv;
  ReportOptions report;
  bool json = false;
};

/// Quantizes the network by the recipe, writes no model, and shows what each layer loses, and why.
void analyze_network(const NetworkAnalysis& command, Context& context);

}  // namespace espquant::cli
