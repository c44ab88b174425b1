#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/run_folder.h"

namespace espquant {
namespace {

namespace fs = std::filesystem;
using detail::FolderLock;
using detail::io_error;
using detail::RunFolder;

/// Recursive: a commit that fails is discarded under it.
std::recursive_timed_mutex outputs_mutex;
std::set<OutputFiles*> unfinished;
std::vector<fs::path> written;

/// The file that a name stands for: what a symbolic link leads to is replaced, not the link.
fs::path target_of(const fs::path& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  const fs::path target = fs::canonical(path, error);
  return error ? path : target;
}

}  // namespace

OutputFiles::OutputFiles() {
  std::lock_guard lock(outputs_mutex);
  unfinished.insert(this);
}

OutputFiles::~OutputFiles() {
  std::lock_guard lock(outputs_mutex);
  unfinished.erase(this);
  if (!committed_) discard();
}

void OutputFiles::discard() noexcept {
  remove_folders();
  for (auto dir = created_dirs_.rbegin(); dir != created_dirs_.rend(); ++dir) {
    std::error_code ignored;
    fs::remove(*dir, ignored);
  }
  created_dirs_.clear();
}

void OutputFiles::make_directories(const fs::path& dir) {
  if (dir.empty() || fs::is_directory(dir)) return;
  make_directories(dir.parent_path());
  std::error_code error;
  if (!fs::create_directory(dir, error) && error) io_error(dir, "create the folder", error.value());
  created_dirs_.push_back(dir);
}

RunFolder& OutputFiles::folder_for(const fs::path& parent) {
  const fs::path wanted = parent.empty() ? fs::path(".") : parent;
  for (const auto& folder : folders_)
    if (folder->parent() == wanted) return *folder;
  return *folders_.emplace_back(std::make_unique<RunFolder>(wanted));
}

fs::path OutputFiles::stage(const fs::path& path) {
  std::lock_guard lock(outputs_mutex);
  const fs::path target = target_of(path);
  make_directories(target.parent_path());
  const fs::file_status status = fs::symlink_status(target);
  if (fs::is_directory(status))
    throw Error(ErrorCode::Io, "cannot write it: a folder has this name").file(path.string());
  if (fs::exists(status) && !fs::is_regular_file(status) && !fs::is_symlink(status))
    throw Error(ErrorCode::Io, "cannot write it: it is a device or a pipe, not a file")
        .file(path.string());
  const std::string name = target.filename().string();
  if (name.empty() || name == "." || name == "..")
    throw Error(ErrorCode::Io, "cannot write it: no name of a file").file(path.string());
  RunFolder* folder = nullptr;
  try {
    folder = &folder_for(target.parent_path());
  } catch (Error& error) {
    throw Error(error.code(), error.message()).file(path.string());
  }
  const auto names = folder->names();
  if (std::find(names.begin(), names.end(), name) != names.end())
    throw Error(ErrorCode::Usage, "two results would have this name")
        .file(path.string())
        .remedy("Give one of them another name");
  return folder->add(name);
}

void OutputFiles::unstage(const fs::path& temporary) {
  for (const auto& folder : folders_)
    if (folder->path() == temporary.parent_path()) folder->drop(temporary);
}

void OutputFiles::add(const fs::path& path, std::span<const std::byte> content) {
  detail::write_whole_file(stage(path), content, false, path);
}

void OutputFiles::add(const fs::path& path, std::string_view content) {
  add(path, std::as_bytes(std::span(content.data(), content.size())));
}

void OutputFiles::commit() {
  std::lock_guard lock(outputs_mutex);
  std::erase_if(folders_, [](const auto& folder) { return folder->names().empty(); });
  if (!folders_.empty()) appear();
  committed_ = true;
  for (const auto& folder : folders_)
    for (const std::string& name : folder->names()) written.push_back(folder->parent() / name);
  remove_folders();
}

void OutputFiles::appear() {
  RunFolder& first = *folders_.front();
  std::vector<fs::path> parents, others;
  for (const auto& folder : folders_) {
    folder->sync();
    parents.push_back(folder->parent());
    if (folder.get() != &first) others.push_back(folder->path());
  }
  // In one order for all runs: two that wait for each other would wait for ever.
  std::sort(parents.begin(), parents.end());
  std::vector<FolderLock> locks;
  locks.reserve(parents.size());
  for (const fs::path& parent : parents) locks.emplace_back(parent);

  // A rename is whole by itself: only sets need a journal.
  const bool is_set = folders_.size() > 1 || first.names().size() > 1;
  if (is_set) {
    for (const auto& folder : folders_) folder->write_journal(first);
    first.commit(others);
  }
  if (!is_set) {
    first.rename_only();
    return;
  }
  try {
    for (const auto& folder : folders_) folder->rename_all();
  } catch (const Error&) {
    bool undone = first.mark_undone();
    for (const auto& folder : folders_) undone = undone && folder->undo();
    if (!undone)
      for (const auto& folder : folders_) folder->keep();
    throw;
  }
}

void OutputFiles::remove_folders() noexcept {
  // The first goes last: it says what the others are.
  while (!folders_.empty()) folders_.pop_back();
}

std::vector<fs::path> written_outputs() {
  std::lock_guard lock(outputs_mutex);
  return written;
}

void abandon_outputs() noexcept {
  // Never unlocked. Where a commit waits for another process, what is staged is left to a later
  // run.
  constexpr auto kPatience = std::chrono::milliseconds(200);
  if (!outputs_mutex.try_lock_for(kPatience)) return;
  for (OutputFiles* files : unfinished) files->discard();
}

void finish_interrupted_runs(const fs::path& folder) noexcept { detail::settle_dead_runs(folder); }

}  // namespace espquant
