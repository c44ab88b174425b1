#pragma once

#include <nlohmann/json_fwd.hpp>

#include "report/model_file.h"
#include "target/target.h"

namespace espquant::page {

/// An .espdl as a page shows it: what `inspect --json` says, and per node its bytes in the file,
/// its RAM and its weights by channel, and where each tensor lies when (docs/report-data.md).
/// `cost` may be null. Strings are as the file has them: not necessarily UTF-8.
nlohmann::ordered_json model_part(const espdl::Model& model, const report::FileFacts& facts,
                                  const Target& target, const report::Cost* cost);

/// Four significant digits: what a picture shows.
double rounded(double value);

}  // namespace espquant::page
