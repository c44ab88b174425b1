#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "target/target.h"

namespace espquant::deploy {

/// What a project for a chip needs to know of it.
struct ChipFacts {
  std::string_view name;
  /// Of the usual board.
  int flash_megabytes = 0;
  /// Internal RAM that an application without radio finds free at its start, about, in KiB.
  std::size_t free_ram_kib = 0;
  /// Since when ESP-DL builds for it.
  std::string_view least_idf;
  /// The usual board of those that esp32-camera drives, as main/Kconfig.projbuild calls it; empty:
  /// the component does not drive the chip's camera interface.
  std::string_view camera;
  /// It has a host for SD cards; others reach them by SPI.
  bool sdmmc = false;
  /// Of a usual board's slot: clock, command, data 0 and, by SPI, chip select.
  std::array<int, 4> card_pins{};
  std::string_view usual_port;
};

/// Throws Error(Usage) for what is no chip but a family ("c").
const ChipFacts& chip_facts(const Target& target);

}  // namespace espquant::deploy
