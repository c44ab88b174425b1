#pragma once

#include <nlohmann/json_fwd.hpp>

#include "job/analyze.h"
#include "job/compare.h"
#include "job/quantize.h"
#include "page/page.h"

namespace espquant::page {

/// What became of a network that was quantized to `file`: the model, what each layer loses and why,
/// with its values' distribution, measured on as many calibration samples as the noise was. One
/// analysis and one pass more than quantizing.
nlohmann::ordered_json page_of_quantized(const Origin& origin, const job::Quantized& quantized,
                                         const std::filesystem::path& file);

/// The same of what was analyzed and not written.
nlohmann::ordered_json page_of_analyzed(const Origin& origin, const job::Analyzed& analyzed);

/// Recipes beside each other, without single layers' noise; `files` as of job::add_files.
nlohmann::ordered_json page_of_comparison(
    const Origin& origin, const job::Comparison& comparison,
    const std::vector<std::vector<std::filesystem::path>>& files);

}  // namespace espquant::page
