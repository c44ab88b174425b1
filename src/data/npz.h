#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "data/npy.h"
#include "data/zip.h"

namespace espquant::data {

/// A NumPy .npz archive: named arrays, each read when it is asked for. One that is a file is not
/// held in memory.
class Npz {
 public:
  /// Throws Error(Malformed) when the archive's directory is broken, Error(BadData) when its
  /// content exceeds `limit` bytes.
  explicit Npz(std::vector<std::byte> archive, std::uint64_t limit = kMaxZipContent);
  explicit Npz(std::shared_ptr<const ByteSource> archive, std::uint64_t limit = kMaxZipContent);
  static Npz open(const std::filesystem::path& path);

  /// In the archive's order, without ".npy".
  const std::vector<std::string>& names() const { return names_; }
  bool has(std::string_view name) const;

  /// Type and shape, without reading the elements. Errors as for read().
  NpyHeader header(std::string_view name) const;
  /// Throws Error(Malformed) (damage, checksum), Error(Unsupported) (element type), both naming the
  /// array, or Error(BadData) when there is no such array.
  Tensor read(std::string_view name, Wide wide = Wide::Kept) const;

 private:
  const ZipMember& member(std::string_view name) const;

  std::shared_ptr<const ByteSource> archive_;
  std::vector<ZipMember> members_;
  std::vector<std::string> names_;
};

/// Every array of the archive. Memory is taken array by array, after the array's header has been
/// checked against the archive's own sizes.
std::map<std::string, Tensor> read_npz(const std::filesystem::path& path);
std::map<std::string, Tensor> read_npz(std::span<const std::byte> archive);

/// As numpy.savez_compressed (numpy.savez with compress = false), without time stamps: equal bytes
/// for equal content.
std::vector<std::byte> write_npz(const std::map<std::string, Tensor>& arrays, bool compress = true);

}  // namespace espquant::data
