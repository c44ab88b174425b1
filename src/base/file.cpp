#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/pipe.h"

namespace espquant {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void io_error(const fs::path& path, std::string_view action, int reason) {
  throw Error(ErrorCode::Io, fmt::format("cannot {}: {}", action, std::strerror(reason)))
      .file(path.string());
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int close() {
    const int result = ::close(fd_);
    fd_ = -1;
    return result;
  }

 private:
  int fd_;
};

}  // namespace

void require_no_pipe(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (path != "-" && !fs::is_fifo(status) && !fs::is_character_file(status)) return;
  throw Error(ErrorCode::Io, "is a pipe, expected a file")
      .file(path.string())
      .remedy("Save what comes out of it to a file, and give that");
}

std::vector<std::byte> read_file(const fs::path& path, std::uint64_t limit) {
  require_no_pipe(path);
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) io_error(path, "read it", errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) io_error(path, "read it", errno);
  if (S_ISDIR(info.st_mode))
    throw Error(ErrorCode::Io, "is a folder, expected a file").file(path.string());
  if (static_cast<std::uint64_t>(info.st_size) > limit)
    throw Error(ErrorCode::BadData,
                fmt::format("{} bytes are more than the {} that are accepted", info.st_size, limit))
        .file(path.string());
  std::vector<std::byte> content(static_cast<std::size_t>(info.st_size));
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::read(fd.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) io_error(path, "read it", errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  content.resize(done);
  return content;
}

OutputFiles::~OutputFiles() {
  if (committed_) return;
  std::error_code ignored;
  for (const Staged& s : staged_) fs::remove(s.temporary, ignored);
  for (auto dir = created_dirs_.rbegin(); dir != created_dirs_.rend(); ++dir)
    fs::remove(*dir, ignored);
}

void OutputFiles::make_directories(const fs::path& dir) {
  if (dir.empty() || fs::is_directory(dir)) return;
  make_directories(dir.parent_path());
  std::error_code error;
  if (!fs::create_directory(dir, error) && error) io_error(dir, "create the folder", error.value());
  created_dirs_.push_back(dir);
}

fs::path OutputFiles::stage(const fs::path& path) {
  make_directories(path.parent_path());
  if (fs::is_directory(path))
    throw Error(ErrorCode::Io, "cannot write it: a folder has this name").file(path.string());
  fs::path temporary = path;
  temporary += fmt::format(".{}.tmp", ::getpid());
  staged_.push_back({temporary, path});
  return temporary;
}

void OutputFiles::unstage(const fs::path& temporary) {
  std::error_code ignored;
  fs::remove(temporary, ignored);
  std::erase_if(staged_, [&](const Staged& s) { return s.temporary == temporary; });
}

void OutputFiles::add(const fs::path& path, std::span<const std::byte> content) {
  const fs::path temporary = stage(path);
  Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (fd.get() < 0) io_error(path, "write it", errno);
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::write(fd.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) io_error(path, "write it", errno);
    done += static_cast<std::size_t>(n);
  }
  if (fd.close() != 0) io_error(path, "write it", errno);
}

void OutputFiles::add(const fs::path& path, std::string_view content) {
  add(path, std::as_bytes(std::span(content.data(), content.size())));
}

void OutputFiles::commit() {
  for (const Staged& s : staged_) {
    if (::rename(s.temporary.c_str(), s.final.c_str()) != 0) io_error(s.final, "write it", errno);
  }
  committed_ = true;
}

}  // namespace espquant
