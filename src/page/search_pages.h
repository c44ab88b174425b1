#pragma once

#include <nlohmann/json_fwd.hpp>

#include "job/shrink.h"
#include "job/tune.h"
#include "page/page.h"

namespace espquant::page {

/// A search: all that it tried, its front, what it found out of choices and layers (`search`), and
/// the models of the front as they were written, the recommended one first, which is run on the
/// test data once more where there are any. Throws as job::evaluate.
nlohmann::ordered_json page_of_tuned(const Origin& origin, const job::Tuned& tuned,
                                     const job::TuneJob& job);

/// What was taken away and what that gained (`shrink`), and the smaller network as a page shows
/// one that was quantized. `files`: that network, then what was written of it for the chip.
nlohmann::ordered_json page_of_shrunk(const Origin& origin, const job::ShrunkJob& shrunk,
                                      const std::vector<std::filesystem::path>& files);

}  // namespace espquant::page
