#include "deploy/serial_frame.h"

namespace espquant::deploy {

std::vector<std::uint8_t> serial_frame(firmware::FrameType type, std::uint8_t model,
                                       std::uint16_t sequence,
                                       std::span<const std::uint8_t> payload) {
  std::vector<std::uint8_t> frame(firmware::kHeaderBytes);
  firmware::put_header(frame.data(), type, model, sequence,
                       static_cast<std::uint32_t>(payload.size()));
  frame.insert(frame.end(), payload.begin(), payload.end());
  frame.resize(frame.size() + firmware::kChecksumBytes);
  firmware::put_number(frame.data() + frame.size() - firmware::kChecksumBytes,
                       firmware::checksum(payload.data(), payload.size()),
                       firmware::kChecksumBytes);
  return frame;
}

}  // namespace espquant::deploy
