#include "job/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"

namespace espquant::job {

namespace fs = std::filesystem;

std::string fingerprint(const fs::path& path) try {
  if (!fs::is_directory(path)) return sha256_of(read_file(path));
  std::vector<fs::path> files;
  for (const auto& entry :
       fs::recursive_directory_iterator(path, fs::directory_options::follow_directory_symlink))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::string all;
  for (const fs::path& file : files)
    all += fmt::format("{} {}\n", sha256_of(read_file(file)),
                       file.lexically_relative(path).generic_string());
  return sha256_of(std::as_bytes(std::span(all)));
} catch (const fs::filesystem_error& error) {
  throw Error(ErrorCode::Io, error.code().message()).file(error.path1().string());
}

}  // namespace espquant::job
