#include "protocol.hpp"

#include <cstring>

namespace firmware {
namespace {

constexpr uint8_t kStart[] = {'E', 'Q', 'P', '1'};
constexpr size_t kCheckedHeaderBytes = kHeaderBytes - kChecksumBytes;

}  // namespace

uint32_t checksum(const uint8_t* data, size_t size, uint32_t crc) {
  constexpr uint32_t kPolynomial = 0xEDB88320;
  crc = ~crc;
  for (size_t i = 0; i < size; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kPolynomial : 0);
  }
  return ~crc;
}

uint32_t number_at(const uint8_t* bytes, size_t size) {
  uint32_t number = 0;
  for (size_t i = size; i-- > 0;) number = number << 8 | bytes[i];
  return number;
}

void put_number(uint8_t* bytes, uint32_t number, size_t size) {
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(number >> 8 * i);
}

void put_header(uint8_t* header, FrameType type, uint8_t model, uint16_t sequence,
                uint32_t length) {
  std::memcpy(header, kStart, sizeof(kStart));
  header[4] = static_cast<uint8_t>(type);
  header[5] = model;
  put_number(header + 6, sequence, 2);
  put_number(header + 8, length, 4);
  put_number(header + 12, checksum(header, kCheckedHeaderBytes), 4);
}

FrameReader::Event FrameReader::feed(uint8_t byte) {
  if (header_size_ < kHeaderBytes) {
    if (header_size_ < sizeof(kStart) && byte != kStart[header_size_]) {
      header_size_ = 0;
      if (byte != kStart[0]) return Event::None;
    }
    header_[header_size_++] = byte;
    return header_size_ == kHeaderBytes ? header_complete() : Event::None;
  }
  if (received_ < length_) {
    if (length_ <= capacity_) payload_[received_] = byte;
  } else {
    checksum_[received_ - length_] = byte;
  }
  return ++received_ == length_ + kChecksumBytes ? frame_complete() : Event::None;
}

FrameReader::Event FrameReader::header_complete() {
  received_ = 0;
  if (number_at(header_ + kCheckedHeaderBytes, 4) != checksum(header_, kCheckedHeaderBytes)) {
    header_size_ = 0;
    return Event::None;
  }
  type_ = static_cast<FrameType>(header_[4]);
  model_ = header_[5];
  sequence_ = static_cast<uint16_t>(number_at(header_ + 6, 2));
  length_ = number_at(header_ + 8, 4);
  return Event::None;
}

FrameReader::Event FrameReader::frame_complete() {
  header_size_ = 0;
  if (length_ > capacity_) return Event::TooLong;
  const bool whole = number_at(checksum_, kChecksumBytes) == checksum(payload_, length_);
  return whole ? Event::Frame : Event::Damaged;
}

}  // namespace firmware
