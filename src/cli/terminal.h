#pragma once

#include <cstddef>

namespace espquant::cli {

/// Of the standard output: the columns of its terminal, which COLUMNS overrides; report::kUnlimited
/// where it is none.
std::size_t columns_of_output();

/// Whether stderr is a terminal that understands how a line is erased.
bool shows_progress();

}  // namespace espquant::cli
