#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/preprocess.h"
#include "espdl/model.h"

/// What an .espdl says, in its metadata, about the outside of its inputs and outputs.
namespace espquant::job {

/// How pictures become the input: the metadata that data::to_settings() names. Empty when the file
/// says nothing.
data::Settings preprocess_settings(const espdl::Model& model);

/// The names of the classes that --classes gave; none where the file says nothing.
std::vector<std::string> stored_classes(const espdl::Model& model);
inline constexpr std::string_view kClassesKey = "espquant.classes";

/// How the axes of an input or output are stored: stored axis i is axis perm[i] of the network.
/// Nothing when the file does not say. Throws Error(Malformed) unless it is a permutation of `rank`
/// axes.
std::optional<std::vector<std::int64_t>> layout_of(const espdl::Model& model,
                                                   std::string_view tensor, std::size_t rank);

/// True for an input of whole numbers, which arrays hold as they are.
bool takes_integers(const espdl::Model& model, std::string_view input);

/// The network's shape of a tensor that is stored as `stored`.
Shape network_shape(const Shape& stored, std::span<const std::int64_t> perm);

}  // namespace espquant::job
