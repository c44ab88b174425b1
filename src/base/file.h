#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace espquant {

/// The whole file. Throws Error(Io), or Error(BadData) when it is larger than `limit` bytes.
std::vector<std::byte> read_file(const std::filesystem::path& path,
                                 std::uint64_t limit = std::uint64_t{4} << 30);

/// Writes several files so that either all of them appear or none does: each goes to a temporary
/// name beside its target, and commit() renames them. Without commit() the destructor removes what
/// was staged, directories that it created included. Throws Error(Io) with the system's reason.
class OutputFiles {
 public:
  OutputFiles() = default;
  OutputFiles(const OutputFiles&) = delete;
  OutputFiles& operator=(const OutputFiles&) = delete;
  ~OutputFiles();

  void add(const std::filesystem::path& path, std::span<const std::byte> content);
  void add(const std::filesystem::path& path, std::string_view content);
  /// For a file that is written piece by piece: the temporary name to create and write it under
  /// before commit().
  std::filesystem::path stage(const std::filesystem::path& path);
  /// Removes a staged file's temporary name: it will not appear.
  void unstage(const std::filesystem::path& temporary);
  void commit();

 private:
  struct Staged {
    std::filesystem::path temporary, final;
  };
  void make_directories(const std::filesystem::path& dir);

  std::vector<Staged> staged_;
  std::vector<std::filesystem::path> created_dirs_;
  bool committed_ = false;
};

}  // namespace espquant
