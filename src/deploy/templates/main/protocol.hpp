#pragma once

#include <cstddef>
#include <cstdint>

// Between the board and `espquant device`: frames in both directions over a serial line that may
// carry a log as well. Plain C++17.
//
//     'E' 'Q' 'P' '1'   start
//     type, model       a byte each; models are numbered as the application has them
//     sequence          2 bytes: of the request; an answer repeats it
//     length            4 bytes: of the payload
//     checksum          4 bytes: CRC-32 of the 12 bytes before
//     payload
//     checksum          4 bytes: CRC-32 of the payload
//
// Numbers are little endian. A request whose sequence is that of the one before is answered again
// without being carried out again: the PC repeats what got lost.
namespace firmware {

enum class FrameType : uint8_t {
  Hello = 1,    // -> Info
  Info = 2,     // protocol, models, 0, 0, largest payload (4 bytes), SHA-256 of the file as 64
                // digits, name of the model in its package
  Picture = 3,  // width, height (2 bytes each), PixelFormat, 0, 0, 0, pixels -> Result
  Inputs = 4,   // all inputs in the order of the file, each as it lies in memory -> Result
  Reset = 5,    // streaming models forget what they heard -> Done
  Result = 6,  // microseconds of preparation and of the run (4 bytes each), all outputs as they lie
  Done = 7,
  Refused = 8,  // why, in words
};

constexpr uint8_t kProtocol = 2;
constexpr size_t kHeaderBytes = 16;
constexpr size_t kChecksumBytes = 4;
constexpr size_t kPictureHeaderBytes = 8;
constexpr size_t kResultHeaderBytes = 8;
constexpr size_t kInfoHeaderBytes = 8;
constexpr size_t kDigestBytes = 64;

// CRC-32 (IEEE 802.3) of `size` bytes behind those that gave `crc`; 0 at the start.
uint32_t checksum(const uint8_t* data, size_t size, uint32_t crc = 0);

uint32_t number_at(const uint8_t* bytes, size_t size);
void put_number(uint8_t* bytes, uint32_t number, size_t size);

// The 16 bytes before a payload.
void put_header(uint8_t* header, FrameType type, uint8_t model, uint16_t sequence, uint32_t length);

// Finds frames in a stream of bytes. What is no frame is passed over.
class FrameReader {
 public:
  enum class Event : uint8_t {
    None,     // more bytes are needed
    Frame,    // whole, its payload below
    Damaged,  // the payload is not what its checksum says
    TooLong,  // the payload has no room; it is passed over
  };

  FrameReader(uint8_t* payload, size_t capacity) : payload_(payload), capacity_(capacity) {}

  Event feed(uint8_t byte);
  // Whether the byte that was fed last belongs to a frame, or may.
  bool in_frame() const { return header_size_ > 0; }

  FrameType type() const { return type_; }
  uint8_t model() const { return model_; }
  uint16_t sequence() const { return sequence_; }
  const uint8_t* payload() const { return payload_; }
  size_t length() const { return length_; }

 private:
  Event header_complete();
  Event frame_complete();

  uint8_t* payload_;
  size_t capacity_;
  uint8_t header_[kHeaderBytes];
  uint8_t checksum_[kChecksumBytes];
  size_t header_size_ = 0, received_ = 0;
  FrameType type_ = FrameType::Hello;
  uint8_t model_ = 0;
  uint16_t sequence_ = 0;
  size_t length_ = 0;
};

}  // namespace firmware
