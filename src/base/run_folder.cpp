#include "base/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <random>
#include <span>

#include "base/error.h"
#include "base/file.h"

namespace espquant::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = ".espquant-";
constexpr auto kLock = "lock", kJournal = "journal", kCommitted = "committed", kUndone = "undone";
constexpr std::uint64_t kLongestJournal = std::uint64_t{16} << 20;

fs::path new_name(const fs::path& run, std::size_t i) { return run / fmt::format("new-{}", i); }
fs::path old_name(const fs::path& run, std::size_t i) { return run / fmt::format("old-{}", i); }

/// No link of that name is followed.
bool is_there(const fs::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

fs::path folder_or_here(const fs::path& folder) { return folder.empty() ? fs::path(".") : folder; }

/// Names may hold anything but a zero.
std::vector<std::string> read_list(const fs::path& path) {
  const auto bytes = read_file(path, kLongestJournal);
  std::vector<std::string> list;
  std::string one;
  for (const std::byte b : bytes) {
    if (b != std::byte{0}) {
      one += static_cast<char>(b);
      continue;
    }
    list.push_back(std::move(one));
    one.clear();
  }
  return list;
}

void write_list(const fs::path& path, const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& one : list) (text += one) += '\0';
  write_whole_file(path, std::as_bytes(std::span(text.data(), text.size())), true, path);
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
}

/// Run folders are made for their user alone.
bool is_ours(const fs::path& run) {
  struct stat info {};
  return ::lstat(run.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() &&
         (info.st_mode & 022) == 0;
}

bool is_run_folder(const fs::path& path) {
  return path.filename().string().starts_with(kPrefix) && is_ours(path);
}

void remove_run(const fs::path& run) noexcept {
  // The lock goes last: without it, nobody could tell that the rest is dead.
  std::error_code ignored;
  std::vector<fs::path> content;
  for (fs::directory_iterator it(run, ignored), end; !ignored && it != end; it.increment(ignored))
    if (it->path().filename() != kLock) content.push_back(it->path());
  for (const fs::path& path : content) ::unlink(path.c_str());
  ::unlink((run / kLock).c_str());
  ::rmdir(run.c_str());
}

void rename_to(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) io_error(to, "write it", errno);
}

void undo_one(const fs::path& run, std::size_t i, const fs::path& final) {
  // Between two names of one file rename() does nothing, which is right: it was not replaced yet.
  if (is_there(old_name(run, i)))
    rename_to(old_name(run, i), final);
  else if (!is_there(new_name(run, i)) && is_there(final))
    rename_to(final, new_name(run, i));
}

enum class Fate { Appears, GoesBack, Unborn };

Fate fate_of(const fs::path& first) {
  if (is_there(first / kUndone)) return Fate::GoesBack;
  return is_there(first / kCommitted) ? Fate::Appears : Fate::Unborn;
}

void settle(const fs::path& run, int depth);

/// All other run folders of the set come first: theirs is the word of this one.
void settle_followers(const fs::path& run, int depth) {
  for (const auto* marker : {kCommitted, kUndone}) {
    if (!is_there(run / marker)) continue;
    for (const std::string& other : read_list(run / marker)) {
      const fs::path path = (run.parent_path() / other).lexically_normal();
      if (is_run_folder(path)) settle(path, depth + 1);
    }
  }
}

void settle(const fs::path& run, int depth) {
  if (depth > 1) return;  // a set has a first folder and others, no more
  const Descriptor lock(
      ::open((run / kLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock.get() < 0 || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return;
  const fs::path parent = folder_or_here(run.parent_path());
  if (is_there(run / kJournal)) {
    const std::vector<std::string> journal = read_list(run / kJournal);
    const bool leads = journal.empty() || journal.front().empty();
    if (leads) settle_followers(run, depth);
    const fs::path first = leads ? run : (run.parent_path() / journal.front()).lexically_normal();
    const Fate fate = leads || is_run_folder(first) ? fate_of(first) : Fate::Unborn;
    const FolderLock folder(parent);
    for (std::size_t i = 0; i + 1 < journal.size(); ++i) {
      const std::string& name = journal[i + 1];
      if (!is_plain_name(name)) continue;
      if (fate == Fate::Appears && is_there(new_name(run, i)))
        rename_to(new_name(run, i), parent / name);
      if (fate == Fate::GoesBack) undo_one(run, i, parent / name);
    }
    if (fate != Fate::Unborn) sync_to_disk(parent, parent);
  }
  remove_run(run);
}

std::string random_suffix() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

}  // namespace

void settle_dead_runs(const fs::path& parent) noexcept {
  try {
    std::error_code ignored;
    std::vector<fs::path> found;
    for (fs::directory_iterator it(folder_or_here(parent), ignored), end; !ignored && it != end;
         it.increment(ignored))
      if (is_run_folder(it->path())) found.push_back(it->path());
    for (const fs::path& run : found) try {
        settle(run, 0);
      } catch (const Error&) {
        // What cannot be settled now waits for a run that can.
      }
  } catch (const std::exception&) {
  }
}

FolderLock::FolderLock(const fs::path& folder)
    : folder_(::open(folder_or_here(folder).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (folder_.get() < 0) return;
  while (::flock(folder_.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
}

RunFolder::RunFolder(fs::path parent) : parent_(folder_or_here(parent)) {
  settle_dead_runs(parent_);
  constexpr int kMostTries = 100;
  for (int tries = 0; tries < kMostTries; ++tries) {
    path_ = parent_ / (std::string(kPrefix) + random_suffix());
    if (::mkdir(path_.c_str(), 0700) != 0) {
      if (errno == EEXIST) continue;
      io_error(parent_, "write into the folder", errno);
    }
    const fs::path name = path_ / kLock;
    lock_ = Descriptor(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (lock_.get() < 0 && errno != ENOENT) {
      const int reason = errno;
      ::rmdir(path_.c_str());
      io_error(parent_, "write into the folder", reason);
    }
    if (lock_.get() < 0) continue;
    ::flock(lock_.get(), LOCK_EX);
    // Between its making and its lock, a run of the same moment may have taken it for a dead one.
    struct stat held {
    }, named{};
    if (::fstat(lock_.get(), &held) == 0 && ::stat(name.c_str(), &named) == 0 &&
        held.st_ino == named.st_ino)
      return;
  }
  io_error(parent_, "write into the folder", EAGAIN);
}

RunFolder::~RunFolder() {
  if (!kept_) remove();
}

void RunFolder::remove() noexcept {
  if (!path_.empty()) remove_run(path_);
  path_.clear();
}

fs::path RunFolder::add(std::string name) {
  names_.push_back(std::move(name));
  return new_name(path_, names_.size() - 1);
}

void RunFolder::drop(const fs::path& temporary) {
  for (std::size_t i = 0; i < names_.size(); ++i)
    if (new_name(path_, i) == temporary) names_[i].clear();
  ::unlink(temporary.c_str());
}

std::vector<std::string> RunFolder::names() const {
  std::vector<std::string> names = names_;
  std::erase(names, "");
  return names;
}

void RunFolder::sync() const {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (names_[i].empty()) continue;
    const fs::path final = parent_ / names_[i];
    struct stat before {};
    // What is replaced keeps its permissions, a file that only its owner may read above all.
    if (::stat(final.c_str(), &before) == 0)
      ::chmod(new_name(path_, i).c_str(), before.st_mode & 07777);
    sync_to_disk(new_name(path_, i), final);
  }
  sync_to_disk(path_, parent_);
}

void RunFolder::write_journal(const RunFolder& first) const {
  std::vector<std::string> journal = names_;
  journal.insert(journal.begin(),
                 &first == this ? std::string()
                                : fs::absolute(first.path_)
                                      .lexically_normal()
                                      .lexically_relative(fs::absolute(parent_).lexically_normal())
                                      .string());
  write_list(path_ / kJournal, journal);
  sync_to_disk(path_, parent_);
}

void RunFolder::commit(const std::vector<fs::path>& others) const {
  std::vector<std::string> list;
  for (const fs::path& other : others)
    list.push_back(fs::absolute(other)
                       .lexically_normal()
                       .lexically_relative(fs::absolute(parent_).lexically_normal())
                       .string());
  const fs::path draft = path_ / "draft";
  write_list(draft, list);
  rename_to(draft, path_ / kCommitted);
  sync_to_disk(path_, parent_);
}

void RunFolder::rename_only() {
  for (std::size_t i = 0; i < names_.size(); ++i)
    if (!names_[i].empty()) rename_to(new_name(path_, i), parent_ / names_[i]);
  sync_to_disk(parent_, parent_);
}

void RunFolder::rename_all() {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (names_[i].empty()) continue;
    const fs::path final = parent_ / names_[i], old = old_name(path_, i);
    if (fs::is_directory(fs::symlink_status(final))) io_error(final, "write it", EISDIR);
    if (is_there(final) && ::link(final.c_str(), old.c_str()) != 0) {
      if (errno != EPERM && errno != ENOTSUP) io_error(final, "write it", errno);
      // The file system has no links: there, the name is free for a moment.
      rename_to(final, old);
    }
    rename_to(new_name(path_, i), final);
  }
  sync_to_disk(parent_, parent_);
}

bool RunFolder::mark_undone() const noexcept {
  return ::rename((path_ / kCommitted).c_str(), (path_ / kUndone).c_str()) == 0;
}

bool RunFolder::undo() noexcept {
  try {
    for (std::size_t i = 0; i < names_.size(); ++i)
      if (!names_[i].empty()) undo_one(path_, i, parent_ / names_[i]);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace espquant::detail
