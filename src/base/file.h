#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace espquant {

namespace detail {
class RunFolder;
}

/// The whole file. Throws Error(Io), or Error(BadData) when it is larger than `limit` bytes.
std::vector<std::byte> read_file(const std::filesystem::path& path,
                                 std::uint64_t limit = std::uint64_t{4} << 30);

/// Writes several files so that either all of them appear or none does: each is written and synced
/// in a hidden folder beside its target, and commit() renames them. A run that dies before leaves
/// the old files alone; one that dies while it renames is finished by the next that writes into the
/// folder, which also removes whatever a dead run has left (base/run_folder.h). Files that are
/// replaced keep their permissions, and a symbolic link its place. Throws Error(Io) with the
/// system's reason.
class OutputFiles {
 public:
  OutputFiles();
  OutputFiles(const OutputFiles&) = delete;
  OutputFiles& operator=(const OutputFiles&) = delete;
  /// Without commit(): removes what was staged, folders that it created included.
  ~OutputFiles();

  void add(const std::filesystem::path& path, std::span<const std::byte> content);
  void add(const std::filesystem::path& path, std::string_view content);
  /// For a file that is written piece by piece: the temporary name to create and write it under
  /// before commit().
  std::filesystem::path stage(const std::filesystem::path& path);
  /// Removes a staged file's temporary name: it will not appear.
  void unstage(const std::filesystem::path& temporary);
  /// Where a rename fails, those before it are taken back.
  void commit();

 private:
  friend void abandon_outputs() noexcept;

  void make_directories(const std::filesystem::path& dir);
  detail::RunFolder& folder_for(const std::filesystem::path& parent);
  void appear();
  void discard() noexcept;
  void remove_folders() noexcept;

  std::vector<std::unique_ptr<detail::RunFolder>> folders_;
  std::vector<std::filesystem::path> created_dirs_;
  bool committed_ = false;
};

/// Ends what a run that was killed has left in `folder`, as any run does that writes there: for who
/// looks at the folder before. Throws nothing.
void finish_interrupted_runs(const std::filesystem::path& folder) noexcept;

/// What this process has written so far.
std::vector<std::filesystem::path> written_outputs();

/// For a process that is about to end while other threads go on: waits for a commit that is under
/// way, removes everything that is staged, and lets no other commit begin.
void abandon_outputs() noexcept;

}  // namespace espquant
