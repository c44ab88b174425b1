#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "data/preprocess.h"
#include "espdl/banks.h"
#include "recipe/recipe.h"
#include "strategy/last_gate.h"

/// The files of a quantized model.
namespace espquant::job {

/// What is written into a model that `recipe` makes, for whoever feeds it; `classes` may be empty.
std::vector<std::pair<std::string, std::string>> metadata_of(const data::Preprocess& preprocess,
                                                             const recipe::Recipe& recipe,
                                                             std::span<const std::string> classes);

/// FOLDER/NAME_RECIPE/NAME_RECIPE, to which extensions are added.
std::filesystem::path stem_of(const std::filesystem::path& folder, const std::string& name,
                              const std::string& recipe);

/// Adds STEM.espdl, .info, .json, for a network that takes pictures .preprocess.toml and, unless
/// told otherwise, .compile_req.yml to `output`. `file` is what pass_last_gate() makes of `model`.
/// Returns the paths.
std::vector<std::filesystem::path> add_quantized(OutputFiles& output,
                                                 const std::filesystem::path& stem,
                                                 const espdl::Model& model, const Target& target,
                                                 const strategy::SoundFile& file,
                                                 const data::Preprocess& preprocess,
                                                 bool compile_request);

/// Adds the .banks beside the .espdl, which is files.front() and has these bytes, to both; nothing
/// where there is nothing in them.
void add_banks(OutputFiles& output, const espdl::Banks& banks, const espdl::Model& model,
               const Target& target, std::span<const std::byte> espdl,
               std::vector<std::filesystem::path>& files);

}  // namespace espquant::job
