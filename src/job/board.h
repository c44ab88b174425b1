#pragma once

#include <filesystem>
#include <optional>

#include "cost/board_file.h"
#include "cost/latency.h"
#include "job/tell.h"

namespace espquant::job {

/// --board: constants of a user's own board, and --cores.
struct BoardOptions {
  std::filesystem::path file;
  int cores = 1;

  /// Nothing without --board. Throws Error(Usage) where the file is for another chip than `target`,
  /// and tells where it is for a release with other kernels.
  std::optional<cost::Board> board_for(const Target& target, const Tell& tell) const;
  /// With that board and those cores.
  cost::LatencyOptions latency_for(const Target& target, const Tell& tell) const;
  /// What a file given as --board was made for.
  std::optional<cost::BoardFile> read() const;
};

}  // namespace espquant::job
