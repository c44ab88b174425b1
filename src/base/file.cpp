#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/pipe.h"

namespace espquant {
namespace {

namespace fs = std::filesystem;

/// Some file systems, and devices, have nothing to wait for.
bool knows_no_sync(int reason) { return reason == EINVAL || reason == ENOTSUP; }

}  // namespace

namespace detail {

void io_error(const fs::path& path, std::string_view action, int reason) {
  throw Error(ErrorCode::Io, fmt::format("cannot {}: {}", action, std::strerror(reason)))
      .file(path.string());
}

void write_whole_file(const fs::path& path, std::span<const std::byte> content, bool sync,
                      const fs::path& shown) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (fd.get() < 0) io_error(shown, "write it", errno);
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::write(fd.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) io_error(shown, "write it", errno);
    done += static_cast<std::size_t>(n);
  }
  if (sync && ::fsync(fd.get()) != 0 && !knows_no_sync(errno)) io_error(shown, "write it", errno);
  if (fd.close() != 0) io_error(shown, "write it", errno);
}

void sync_to_disk(const fs::path& path, const fs::path& shown) {
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) io_error(shown, "write it", errno);
  if (::fsync(fd.get()) != 0 && !knows_no_sync(errno)) io_error(shown, "write it", errno);
}

}  // namespace detail

using detail::io_error;

void require_no_pipe(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (path != "-" && !fs::is_fifo(status) && !fs::is_character_file(status)) return;
  throw Error(ErrorCode::Io, "is a pipe, expected a file")
      .file(path.string())
      .remedy("Save what comes out of it to a file, and give that");
}

detail::OpenFile detail::open_to_read(const fs::path& path) {
  require_no_pipe(path);
  OpenFile file{Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC))};
  if (file.descriptor.get() < 0) io_error(path, "read it", errno);
  struct stat info {};
  if (::fstat(file.descriptor.get(), &info) != 0) io_error(path, "read it", errno);
  if (S_ISDIR(info.st_mode))
    throw Error(ErrorCode::Io, "is a folder, expected a file").file(path.string());
  file.size = static_cast<std::uint64_t>(info.st_size);
  return file;
}

std::vector<std::byte> read_file(const fs::path& path, std::uint64_t limit) {
  const detail::OpenFile file = detail::open_to_read(path);
  if (file.size > limit)
    throw Error(ErrorCode::BadData,
                fmt::format("{} bytes are more than the {} that are accepted", file.size, limit))
        .file(path.string());
  std::vector<std::byte> content(static_cast<std::size_t>(file.size));
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::read(file.descriptor.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) io_error(path, "read it", errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  content.resize(done);
  return content;
}

}  // namespace espquant
