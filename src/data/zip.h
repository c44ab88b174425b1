#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_source.h"

/// The part of the ZIP format (PKWARE APPNOTE 6.3) that .npz archives use: stored and deflated
/// members on one volume, zip64 fields included.
namespace espquant::data {

struct ZipMember {
  std::string name;
  std::uint32_t crc = 0;
  bool deflated = false;
  /// Where the (compressed) bytes stand in the archive.
  std::uint64_t offset = 0;
  std::uint64_t compressed_size = 0;
  std::size_t size = 0;
};

/// What the members of one archive may expand to, together.
inline constexpr std::uint64_t kMaxZipContent = std::uint64_t{4} << 30;

/// The members in the order of the central directory. Every range lies inside the archive, no two
/// overlap, names differ, and no size exceeds what deflate can expand the bytes to (1032 times).
/// Throws Error(Malformed), Error(Unsupported) (encryption, other methods), or Error(BadData) when
/// the sizes add up to more than `limit`.
std::vector<ZipMember> list_zip(const ByteSource& archive, std::uint64_t limit = kMaxZipContent);

/// Reads a member from front to back; `archive` must outlive it.
class ZipReader {
 public:
  ZipReader(const ByteSource& archive, const ZipMember& member);
  ~ZipReader();
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  /// Fills `out`. Throws Error(Malformed) when the member ends before.
  void read(std::span<std::byte> out);
  /// Checks that nothing is left, and the checksum. Throws Error(Malformed).
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// An archive of the given (name, content) pairs in their order, as ZipWriter writes it.
std::vector<std::byte> write_zip(
    std::span<const std::pair<std::string, std::vector<std::byte>>> members, bool compress);

}  // namespace espquant::data
