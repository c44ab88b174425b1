#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

namespace espquant {

/// Bytes that are read by their place, so that a large file need not be held. Threads may read at a
/// time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  virtual std::uint64_t size() const = 0;
  /// Fills `out` from `offset` on; all of it lies within size(). Throws Error(Io), or
  /// Error(Malformed) where a file has become shorter since it was opened.
  virtual void read(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

/// Throws Error(Io) as read_file() does.
std::shared_ptr<const ByteSource> bytes_of_file(const std::filesystem::path& path);

std::shared_ptr<const ByteSource> bytes_in_memory(std::vector<std::byte> bytes);

}  // namespace espquant
