#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

// A .banks file as espquant writes it, read where it lies. Plain C++17, no memory of its own.
namespace firmware {

// What the file says of itself.
struct BankFile {
  bool by_percentile = false;  // else by the largest magnitude
  float percentile = 100;
  float descent = 1;
  bool packed_biases = false;  // the ESP32-S3's
  bool half_even = false;      // the ESP32-P4's and S31's rounding, else half up
  size_t tensors = 0, constants = 0, banks = 0, watched = 0, nodes = 0, softmaxes = 0;
};

enum class BankRole : uint8_t { Plain = 0, Bias = 1, DepthwiseBias = 2, Table = 3 };

struct BankConstant {
  const char* name;  // not terminated
  size_t name_length;
  BankRole role;
  uint32_t type;  // of dl::dtype_t
  size_t bytes;   // in the file
  uint32_t checksum;
  int exponent;
};

// Reads fields one after the other. What lies beyond the end reads as 0, and good() says so.
class BankReader {
 public:
  BankReader() = default;
  BankReader(const uint8_t* data, size_t size) : at_(data), left_(size) {}

  bool good() const { return good_; }
  size_t left() const { return left_; }
  uint32_t number();
  int exponent();
  float real();
  // `size` bytes and what fills the last four; nullptr beyond the end.
  const uint8_t* bytes(size_t size);
  const char* text(size_t& length);

 private:
  const uint8_t* at_ = nullptr;
  size_t left_ = 0;
  bool good_ = true;
};

// The fields before the tensors; `in` is moved behind them. Returns nullptr, or what is wrong: no
// file of banks, cut short, damaged, or of another version.
const char* read_bank_file(const void* data, size_t size, BankFile& file, BankReader& in);

// CRC-32, to go on from that of what stands before.
uint32_t bank_checksum(const void* data, size_t size, uint32_t before = 0);

// That of `total` magnitudes of which so many per cent are no larger. visit(each) calls each(value,
// count) for all values, in any order, and is called four times: bits of floats stand in the order
// of their magnitudes, so a byte of the result is found at a time. Takes no memory.
template <typename Visit>
float percentile_of(size_t total, float percentile, const Visit& visit) {
  if (total == 0) return 0;
  double rank = std::ceil(static_cast<double>(percentile) / 100 * static_cast<double>(total)) - 1;
  if (rank < 0) rank = 0;
  size_t before = static_cast<size_t>(rank);
  if (before >= total) before = total - 1;
  uint32_t found = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    size_t counts[256] = {};
    visit([&](float value, size_t count) {
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof(bits));
      bits &= 0x7FFFFFFF;
      const bool among = shift == 24 || bits >> (shift + 8) == found >> (shift + 8);
      if (among) counts[bits >> shift & 255] += count;
    });
    uint32_t byte = 0;
    while (before >= counts[byte]) before -= counts[byte++];
    found |= byte << shift;
  }
  float value;
  std::memcpy(&value, &found, sizeof(value));
  return value;
}

// Where element `i` of a bias stands in the ESP32-S3's packing (bits from the start of the tensor),
// and how many bits it has there. `wide`: int64 in the file, else int32.
struct PackedPlace {
  size_t bit;
  unsigned bits;
};
PackedPlace packed_place(size_t element, size_t count, bool wide, bool depthwise);
size_t packed_bytes(size_t count, bool wide, bool depthwise);

int64_t read_bits(const uint8_t* data, PackedPlace place);
// The bits must be 0 before.
void write_bits(uint8_t* data, PackedPlace place, int64_t value);

}  // namespace firmware
