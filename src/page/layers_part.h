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

/// What each layer of a network loses and why, with its values' distribution, on as many of
/// `samples` as are measured without being asked for more: models[].layers of a page.
nlohmann::ordered_json layers_of(const strategy::QuantizedModel& made, const Target& target,
                                 const calib::SampleSource& samples);

/// Recipes beside each other; `files` as of job::add_files, `layers` of those that are not refused,
/// as of layers_of().
nlohmann::ordered_json page_of_comparison(
    const Origin& origin, const job::Comparison& comparison,
    const std::vector<std::vector<std::filesystem::path>>& files,
    std::span<const nlohmann::ordered_json> layers);

}  // namespace espquant::page
