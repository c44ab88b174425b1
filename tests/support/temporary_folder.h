#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace espquant::test {

/// A folder of its own for each object, which goes with it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& root() const { return folder_; }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// Names of what lies in it.
  std::vector<std::string> entries() const;

 private:
  std::filesystem::path folder_;
};

}  // namespace espquant::test
