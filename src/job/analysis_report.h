#pragma once

#include <string>

#include "analysis/analysis.h"

/// `analyze` of an .onnx in words, as JSON and as CSV.
namespace espquant::job {

enum class AnalysisOrder {
  Output,
  Accumulated,
  Alone,
  Clipped,
  Spread,
  Network,  ///< order of execution
};

/// Rows of a table at most, and layers that are explained; 0 rows: all.
struct AnalysisView {
  AnalysisOrder order = AnalysisOrder::Output;
  std::size_t rows = 20, explained = 3;
};

/// The worst layers first, then what is wrong with them and what helps. At most 100 columns wide.
std::string analysis_text(const analysis::Analysis& analysis, const AnalysisView& view);

/// All layers and all that is known of them, in the view's order.
std::string analysis_json(const analysis::Analysis& analysis, const recipe::Recipe& recipe,
                          const Target& target, const AnalysisView& view);
std::string analysis_csv(const analysis::Analysis& analysis, const AnalysisView& view);

}  // namespace espquant::job
