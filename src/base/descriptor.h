#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

namespace espquant {

/// Owns an open file.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  /// What ::close() returns; disks report late failures there.
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

namespace detail {

/// Throws Error(Io): "cannot ACTION: the system's reason".
[[noreturn]] void io_error(const std::filesystem::path& path, std::string_view action, int reason);

struct OpenFile {
  Descriptor descriptor;
  std::uint64_t size = 0;
};
/// A file that is there, and neither a folder nor a pipe. Throws Error(Io).
OpenFile open_to_read(const std::filesystem::path& path);

/// Creates or empties the file and writes it; on the disk when this returns, if asked for. Errors
/// name `shown`.
void write_whole_file(const std::filesystem::path& path, std::span<const std::byte> content,
                      bool sync, const std::filesystem::path& shown);

/// Waits until a file, or the names in a folder, are on the disk. Throws Error(Io).
void sync_to_disk(const std::filesystem::path& path, const std::filesystem::path& shown);

}  // namespace detail
}  // namespace espquant
