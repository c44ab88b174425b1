#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/preprocess.h"
#include "espdl/model.h"

/// What an .espdl says, in its metadata, about the outside of its inputs and outputs.
namespace espquant::cli {

/// Key under which preprocessing_text() of an input is kept.
std::string preprocess_key(std::string_view input);
/// "width=96 height=96 ...": every setting of to_settings().
std::string preprocess_text(const data::Preprocess& preprocess);
/// Empty when the file says nothing. Throws Error(Malformed) for text of another form.
data::Settings preprocess_settings(const espdl::Model& model, std::string_view input);

/// How the axes of an input or output are stored: stored axis i is axis perm[i] of the network.
/// Nothing when the file does not say. Throws Error(Malformed) unless it is a permutation of `rank`
/// axes.
std::optional<std::vector<std::int64_t>> layout_of(const espdl::Model& model,
                                                   std::string_view tensor, std::size_t rank);

/// The network's shape of a tensor that is stored as `stored`.
Shape network_shape(const Shape& stored, std::span<const std::int64_t> perm);

}  // namespace espquant::cli
