#pragma once

#include <functional>
#include <optional>

#include "search/config.h"

namespace espquant::search {

/// Gives one after the other; nothing when there is none left.
using Configs = std::function<std::optional<Config>()>;

/// Drawn evenly: a value for each choice, and a share of wide layers, then which. Never ends.
/// `field` must outlive it.
Configs random_order(const Field& field, std::uint64_t seed);

/// Every combination, the last choice the fastest, behind that the number of wide layers from the
/// first one on.
Configs exhaustive_order(const Field& field);

}  // namespace espquant::search
