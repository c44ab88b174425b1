#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "data/dataset.h"

namespace espquant::data {

/// The shapes of inputs whose extents a network leaves open (-1), as data for it have them: arrays
/// as open_dataset reads them; of pictures the width and height in `settings`, else those of the
/// first. Nothing for an input of which the data say nothing, or contradict what is fixed. Throws
/// what the readers throw.
std::vector<std::optional<Shape>> extents_of_data(const std::filesystem::path& path,
                                                  std::span<const InputSpec> inputs,
                                                  const Settings& settings);

/// The same of arrays in memory.
std::vector<std::optional<Shape>> extents_of_data(const NamedArrays& arrays,
                                                  std::span<const InputSpec> inputs);

}  // namespace espquant::data
