#include <algorithm>
#include <vector>

#include "deploy/serial_frame.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {
namespace {

/// The last frame of a stream, as the board's reader finds it.
struct Seen {
  std::size_t frames = 0;
  std::vector<std::uint8_t> payload;
};

constexpr std::size_t kRoom = 64;

void feed(firmware::FrameReader& reader, std::span<const std::uint8_t> bytes, Seen& seen) {
  for (const std::uint8_t byte : bytes) {
    if (reader.feed(byte) != firmware::FrameReader::Event::Frame) continue;
    promised(reader.length() <= kRoom, "a frame is larger than its room");
    ++seen.frames;
    seen.payload.assign(reader.payload(), reader.payload() + reader.length());
  }
}

}  // namespace

void fuzz_protocol(FuzzInput bytes) {
  const std::span stream(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  std::vector<std::uint8_t> room(kRoom);
  firmware::FrameReader reader(room.data(), room.size());
  Seen seen;
  feed(reader, stream, seen);

  // Bytes in a frame arrive as they were, whatever was on the line before.
  const auto payload = stream.first(std::min(stream.size(), kRoom));
  std::vector<std::uint8_t> fresh_room(kRoom);
  firmware::FrameReader fresh(fresh_room.data(), fresh_room.size());
  Seen framed;
  feed(fresh, deploy::serial_frame(firmware::FrameType::Inputs, 0, 7, payload), framed);
  promised(framed.frames == 1 && std::ranges::equal(framed.payload, payload),
           "a frame does not arrive as it was sent");
}

}  // namespace espquant::test
