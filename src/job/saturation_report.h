#pragma once

#include <string>

#include "measure/saturation.h"

/// `analyze` of an .espdl in words, as JSON and as CSV.
namespace espquant::job {

/// The worst layers first, at most `rows` of them (0: all); below it the totals, and a sentence for
/// each layer whose outputs saturation changes.
std::string saturation_text(const measure::SaturationReport& report, const Target& target,
                            std::size_t rows);

/// Layers in order of execution.
std::string saturation_json(const measure::SaturationReport& report, const Target& target,
                            const std::string& file);
std::string saturation_csv(const measure::SaturationReport& report);

}  // namespace espquant::job
