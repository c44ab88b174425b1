#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>

#include "job/evaluate.h"
#include "measure/saturation.h"
#include "page/model_part.h"
#include "page/page.h"

namespace espquant::page {

/// An .espdl as it stands. `cost` may be null.
struct FileFacts {
  const espdl::Model& model;
  const report::FileFacts& facts;
  const Target& target;
  const report::Cost* cost = nullptr;
};

nlohmann::ordered_json page_of_file(const Origin& origin, const FileFacts& file);

/// That, and how it does on data.
nlohmann::ordered_json page_of_evaluated(const Origin& origin, const FileFacts& file,
                                         const job::Evaluated& evaluated);

/// That, and how often the chip's narrow registers change what a node puts out: of one report, or
/// of one for each bank of exponents, together.
nlohmann::ordered_json page_of_saturation(const Origin& origin, const FileFacts& file,
                                          const job::Evaluated& evaluated,
                                          std::span<const measure::SaturationReport> reports);

}  // namespace espquant::page
