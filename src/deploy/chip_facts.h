#pragma once

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
  /// The esp32-camera component drives its camera interface.
  bool camera = false;
  /// It has a host for SD cards; others reach them by SPI.
  bool sdmmc = false;
  std::string_view usual_port;
};

/// Throws Error(Usage) for what is no chip but a family ("c").
const ChipFacts& chip_facts(const Target& target);

}  // namespace espquant::deploy
