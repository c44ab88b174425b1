#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>

namespace espquant::deploy {

/// A serial port, raw: bytes go through as they are. Closed with the object.
class SerialLine {
 public:
  /// Throws Error(Io) where the port cannot be opened, Error(Usage) for a speed that no port has.
  SerialLine(const std::filesystem::path& port, int baud);
  ~SerialLine();
  SerialLine(const SerialLine&) = delete;
  SerialLine& operator=(const SerialLine&) = delete;

  /// Returns when all is handed over. Throws Error(Io).
  void write(std::span<const std::uint8_t> bytes);
  /// What has come, at least one byte unless `patience` ends first. Throws Error(Io) when the port
  /// is gone.
  std::size_t read(std::span<std::uint8_t> bytes, std::chrono::milliseconds patience);

 private:
  int descriptor_ = -1;
  std::filesystem::path port_;
};

}  // namespace espquant::deploy
