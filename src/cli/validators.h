#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

/// What options accept, each with a message of its own.
namespace espquant::cli {

inline constexpr std::int64_t kNoLimit = INT64_MAX;

/// A whole number within the limits.
CLI::Validator whole_number(std::int64_t least, std::int64_t most = kNoLimit);

/// A finite number that is not less.
CLI::Validator number_from(double least);

/// As parse_bytes reads it, a multiple of 16 for the planner.
CLI::Validator internal_ram_size();

/// As parse_seconds reads it.
CLI::Validator span_of_time();

/// One of these words.
CLI::Validator one_of(std::vector<std::string> words);

}  // namespace espquant::cli
