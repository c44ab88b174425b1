#pragma once

#include <filesystem>
#include <string>

namespace espquant::job {

/// SHA-256 of a file, or of all names and contents in a folder and those below it. The same
/// wherever it lies. Throws Error(Io).
std::string fingerprint(const std::filesystem::path& path);

}  // namespace espquant::job
