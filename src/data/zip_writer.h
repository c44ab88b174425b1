#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace espquant::data {

/// Where an archive goes.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void append(std::span<const std::byte> bytes) = 0;
  /// Replaces bytes that were appended.
  virtual void patch(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
};

/// Writes an archive from front to back, holding some kilobytes of it; without time stamps, so
/// equal content gives equal bytes. zip64 fields where 32 bits do not do
/// (APPNOTE 4.3.9, 4.3.14, 4.5.3).
class ZipWriter {
 public:
  ZipWriter(ByteSink& sink, bool compress);
  ~ZipWriter();
  ZipWriter(const ZipWriter&) = delete;
  ZipWriter& operator=(const ZipWriter&) = delete;

  /// A member of `size` bytes, which write() must then give in all.
  void begin(const std::string& name, std::uint64_t size);
  void write(std::span<const std::byte> bytes);
  void end();
  /// The directory: nothing comes behind it.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace espquant::data
