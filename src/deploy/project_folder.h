#pragma once

#include <filesystem>

#include "deploy/project.h"

namespace espquant::deploy {

/// Writes the files of a project, and `.espquant`, which holds their digests. Into a folder that is
/// new, empty, or holds a project made before: files of that which were changed since, and others
/// that are in the way, are an Error(Usage) that names them, unless `force` is given. Nothing but
/// the project's own files is touched; those of the project before that this one has not go, unless
/// they were changed. All of them appear, or none.
void write_project(const std::filesystem::path& folder, const Project& project, bool force);

}  // namespace espquant::deploy
