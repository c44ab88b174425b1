#pragma once

#include <cstddef>
#include <span>

#include "job/model_file.h"
#include "report/model_file.h"

namespace espquant::job {

/// Container and size of the chosen model of a file, which is known to be sound.
report::FileFacts facts_of(std::span<const std::byte> bytes, const ModelFile& file);

}  // namespace espquant::job
