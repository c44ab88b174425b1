#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace espquant::onnx {

/// Where a tensor's bytes lie outside the model file.
struct ExternalLocation {
  std::string file;  ///< relative to the model's folder
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
};

/// The file of an external tensor, opened. It must lie inside `folder` after every symbolic link is
/// resolved; an absolute path and ".." are refused before the file system is asked. Throws
/// Error(BadData), or Error(Io).
class ExternalFile {
 public:
  ExternalFile(const std::filesystem::path& folder, const ExternalLocation& location);
  ExternalFile(const ExternalFile&) = delete;
  ExternalFile& operator=(const ExternalFile&) = delete;
  ~ExternalFile();

  /// Throws unless `size` bytes can be read and a stated length equals it. To be asked before
  /// memory is taken.
  void check_holds(std::uint64_t size) const;
  /// Fills `out`.
  void read(std::span<std::byte> out) const;

 private:
  ExternalLocation location_;
  int descriptor_ = -1;
  std::uint64_t file_size_ = 0;
};

}  // namespace espquant::onnx
