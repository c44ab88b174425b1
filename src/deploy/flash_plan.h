#pragma once

#include <cstddef>

#include "deploy/project.h"

namespace espquant::deploy {

/// How the board's flash is divided, for partitions.csv. Sizes in bytes.
struct FlashPlan {
  int megabytes = 0;
  std::size_t app_size = 0;
  /// Of the model's own partition; 0 where it has none.
  std::size_t model_offset = 0, model_size = 0;
};

/// In the smallest flash that boards come with, from the usual one of the chip on. Throws
/// Error(Usage) where that is more than the request allows, or than there is.
FlashPlan plan_flash(const ProjectRequest& request, std::size_t samples_bytes);

}  // namespace espquant::deploy
