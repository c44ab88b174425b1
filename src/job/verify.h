#pragma once

#include <filesystem>
#include <vector>

#include "sim/verify.h"

namespace espquant::job {

/// The program beside what an .npz says that its outputs are: arrays input:<tensor> and
/// output:<tensor>, as a chip or another tool recorded them. Throws Error(BadData), with the file.
std::vector<sim::OutputCheck> verify_against(const sim::Program& program,
                                             const std::filesystem::path& file,
                                             const sim::VerifyOptions& options);

}  // namespace espquant::job
