#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "deploy/templates/main/protocol.hpp"

namespace espquant::deploy {

/// A whole frame of the serial protocol: header, payload and the payload's checksum.
std::vector<std::uint8_t> serial_frame(firmware::FrameType type, std::uint8_t model,
                                       std::uint16_t sequence,
                                       std::span<const std::uint8_t> payload);

}  // namespace espquant::deploy
