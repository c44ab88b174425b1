#pragma once

#include <string>

#include "deploy/project.h"

namespace espquant::deploy {

/// main/model_facts.cpp: what the application knows of its models, as constants.
std::string model_facts_source(const ProjectRequest& request);

/// The integers of an input for each pixel value: [channels][256], rounded as the chip does.
std::vector<std::int16_t> pixel_integers(const data::Preprocess& preprocess,
                                         const espdl::ValueInfo& input, const Target& target);

/// main/samples.bin: the tensors of all samples, in the order and blocks that model_facts.hpp
/// describes.
std::string samples_file(const ProjectRequest& request);

/// One axis that counts, long enough to rank.
bool holds_scores(const espdl::ValueInfo& output);

}  // namespace espquant::deploy
