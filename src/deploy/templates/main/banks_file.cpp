#include "banks_file.hpp"

namespace firmware {
namespace {

constexpr uint32_t kVersion = 3;
constexpr size_t kSummedFrom = 16;

size_t in_words(size_t bytes) { return (bytes + 3) / 4 * 4; }

}  // namespace

uint32_t BankReader::number() {
  uint32_t value = 0;
  if (const uint8_t* from = bytes(sizeof(value))) std::memcpy(&value, from, sizeof(value));
  return value;
}

int BankReader::exponent() {
  constexpr int kMost = 127;
  const auto value = static_cast<int32_t>(number());
  if (value < -kMost || value > kMost) good_ = false;
  return static_cast<int>(value);
}

float BankReader::real() {
  const uint32_t bits = number();
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  if (!std::isfinite(value)) good_ = false;
  return value;
}

const uint8_t* BankReader::bytes(size_t size) {
  if (size > left_) {
    good_ = false;
    return nullptr;
  }
  const uint8_t* from = at_;
  const size_t taken = in_words(size) < left_ ? in_words(size) : left_;
  at_ += taken;
  left_ -= taken;
  return from;
}

const char* BankReader::text(size_t& length) {
  length = number();
  const auto* from = reinterpret_cast<const char*>(bytes(length));
  if (from == nullptr) length = 0;
  return from;
}

const char* read_bank_file(const void* data, size_t size, BankFile& file, BankReader& in) {
  constexpr size_t kFixedBytes = 64;
  in = BankReader(static_cast<const uint8_t*>(data), size);
  const uint8_t* tag = in.bytes(4);
  if (size < kFixedBytes || tag == nullptr || std::memcmp(tag, "EBNK", 4) != 0)
    return "the banks are no file of banks";
  if (in.number() != kVersion) return "the banks are of another version: quantize the model again";
  if (in.number() != size) return "the banks are cut short";
  if (in.number() !=
      bank_checksum(static_cast<const uint8_t*>(data) + kSummedFrom, size - kSummedFrom))
    return "the banks are damaged";
  in.number();  // size and checksum of the .espdl, which the PC held against the file
  in.number();
  const uint32_t statistic = in.number();
  file.by_percentile = statistic == 1;
  file.percentile = in.real();
  file.descent = in.real();
  const uint32_t family = in.number();
  file.packed_biases = family == 1;
  file.half_even = family == 2;
  file.tensors = in.number();
  file.constants = in.number();
  file.banks = in.number();
  file.watched = in.number();
  file.nodes = in.number();
  file.softmaxes = in.number();
  const bool sound = statistic <= 1 && family <= 2 && file.percentile >= 0 &&
                     file.percentile <= 100 && file.descent >= 0 && file.descent <= 1;
  // Each takes a word at least.
  const size_t most = in.left() / 4;
  if (!in.good() || !sound || file.tensors > most || file.constants > most || file.banks > most ||
      file.watched > most || file.softmaxes > most)
    return "the banks are damaged";
  return nullptr;
}

uint32_t bank_checksum(const void* data, size_t size, uint32_t before) {
  // Of the 16 halves of a byte; made by the polynomial 0xEDB88320.
  static constexpr uint32_t kOfNibble[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC,
                                             0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
                                             0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
                                             0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
  const auto* at = static_cast<const uint8_t*>(data);
  uint32_t crc = ~before;
  for (size_t i = 0; i < size; ++i) {
    crc ^= at[i];
    crc = crc >> 4 ^ kOfNibble[crc & 15];
    crc = crc >> 4 ^ kOfNibble[crc & 15];
  }
  return ~crc;
}

// ESP-DL's layout for the vector unit (its reset_bias_layout): 20 bits of each int32, eight to a
// group, or 40 bits of each int64, four to a group; groups of 20 bytes lie 32 apart. What is left
// over beside whole vectors, but not by channel, takes an int64 each.
PackedPlace packed_place(size_t element, size_t count, bool wide, bool depthwise) {
  const size_t lanes = wide ? 8 : 16, group = wide ? 4 : 8;
  const unsigned bits = wide ? 40 : 20;
  constexpr size_t kGroupBytes = 32;
  const size_t packed = depthwise ? count : count / lanes * lanes;
  if (element < packed) return {element / group * kGroupBytes * 8 + element % group * bits, bits};
  return {(packed / group * kGroupBytes + (element - packed) * 8) * 8, 64};
}

size_t packed_bytes(size_t count, bool wide, bool depthwise) {
  if (count == 0) return 0;
  const PackedPlace last = packed_place(count - 1, count, wide, depthwise);
  return (last.bit + last.bits + 127) / 128 * 16;
}

int64_t read_bits(const uint8_t* data, PackedPlace place) {
  uint64_t value = 0;
  for (unsigned i = 0; i < place.bits;) {
    const size_t bit = place.bit + i;
    const unsigned in_byte = bit % 8,
                   here = 8 - in_byte < place.bits - i ? 8 - in_byte : place.bits - i;
    value |= static_cast<uint64_t>(data[bit / 8] >> in_byte & ((1U << here) - 1)) << i;
    i += here;
  }
  const unsigned unused = 64 - place.bits;
  return static_cast<int64_t>(value << unused) >> unused;
}

void write_bits(uint8_t* data, PackedPlace place, int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  for (unsigned i = 0; i < place.bits;) {
    const size_t bit = place.bit + i;
    const unsigned in_byte = bit % 8,
                   here = 8 - in_byte < place.bits - i ? 8 - in_byte : place.bits - i;
    data[bit / 8] |= static_cast<uint8_t>((bits >> i & ((1U << here) - 1)) << in_byte);
    i += here;
  }
}

}  // namespace firmware
