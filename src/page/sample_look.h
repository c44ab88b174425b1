#pragma once

#include <nlohmann/json_fwd.hpp>

#include "data/dataset.h"

namespace espquant::page {

/// What a person sees of one sample, small: `picture`, a PNG as a data URL, of pictures and of
/// inputs that are planes of numbers, dark the least; or `curves` over the longest axis of other
/// inputs, one for each of the first channels, with `length` and `channels` as they were. Of a
/// network of several inputs, the first. Empty where the sample cannot be read again.
nlohmann::ordered_json look_of(const data::Dataset& dataset, std::size_t index);

/// The same of an input as the network takes it.
nlohmann::ordered_json look_of(const Tensor& input);

}  // namespace espquant::page
