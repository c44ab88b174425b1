#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "base/descriptor.h"

/// Where OutputFiles keeps what has not appeared yet: a hidden folder beside the results, so that a
/// rename moves them, with a lock by which others see whether its run lives.
///
///     lock       held by the run
///     new-0 ...  the results to be
///     journal    their names in the folder above, behind the path of the set's first run folder
///     old-0 ...  what stood under those names
///     committed  in the first run folder of a set: the whole set is on the disk, and every result
///                is to be renamed; the other run folders of the set by path. Called `undone` once
///                a rename has failed.
///
/// A journal names files of its own folder only: one that came with an archive moves nothing else.
namespace espquant::detail {

/// Ends what a dead run has left in `parent`: results of a set that was committed are renamed, all
/// others removed. Leaves alone what belongs to a living run or to another user; throws nothing.
void settle_dead_runs(const std::filesystem::path& parent) noexcept;

class RunFolder {
 public:
  /// Settles what dead runs left in `parent` and makes a folder there. Throws Error(Io).
  explicit RunFolder(std::filesystem::path parent);
  /// Removes it and what is in it, unless keep() was called.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& parent() const { return parent_; }

  /// The temporary name for `name` of the folder above.
  std::filesystem::path add(std::string name);
  /// Forgets and removes it; its number is not used again.
  void drop(const std::filesystem::path& temporary);

  /// The results that are still to appear.
  std::vector<std::string> names() const;

  /// All content on the disk.
  void sync() const;
  /// `first` leads the set.
  void write_journal(const RunFolder& first) const;
  /// From here on the set appears, by this run or by a later one.
  void commit(const std::vector<std::filesystem::path>& others) const;
  /// For a single result, which needs neither journal nor commit(). Throws Error(Io).
  void rename_only();
  /// Each result to its name, what stood there kept. Throws Error(Io).
  void rename_all();
  /// From here on the set goes back. False where the disk refuses even that.
  bool mark_undone() const noexcept;
  /// False where something could not be taken back.
  bool undo() noexcept;
  /// Leaves it to a later run.
  void keep() { kept_ = true; }
  void remove() noexcept;

 private:
  std::filesystem::path parent_, path_;
  Descriptor lock_;
  std::vector<std::string> names_;  ///< empty: dropped
  bool kept_ = false;
};

/// Holds two runs apart that rename in one folder at the same time. Where the file system knows no
/// locks, nothing is held.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);

 private:
  Descriptor folder_;
};

}  // namespace espquant::detail
