#pragma once

#include <optional>
#include <span>

#include "search/goal.h"

namespace espquant::search {

/// What a candidate with these merits is worth beside `known` ones: how much less noise it makes
/// than whatever costs no more, as a logarithm, and how much better it is than the one that is
/// recommended now.
double worth_of(const Merit& merit, std::span<const Merit> known, std::span<const Goal> goals,
                Metric minimized);

/// What is to be expected of the accuracy of a candidate that was not tried: that of the one whose
/// noise is nearest. Nothing where no accuracy is known.
std::optional<double> likely_drop(double noise, std::span<const Merit> known);

}  // namespace espquant::search
