#pragma once

#include <filesystem>

namespace espquant {

/// Files are read more than once, and by their size: throws Error(Io) for "-" and for what the shell
/// passes through a pipe.
void require_no_pipe(const std::filesystem::path& path);

}  // namespace espquant
