#pragma once

#include <algorithm>
#include <cstdint>

/// The vector units' rounding right shifts of products, as loop bodies that vectorise. Products of
/// two int8 or two int16 need at most 31 bits.
namespace espquant::sim {

/// ESP32-S3: half-up in two steps, all but one bit, plus one, the last bit. The register of the
/// first step has 5 bits for int8 lanes and 6 for int16 (ESP-DL 0.2, 3.1).
class S3Shift {
 public:
  S3Shift(int shift, bool int8_lanes)
      : before_last_(std::min((shift - 1) & (int8_lanes ? 31 : 63), 31)), none_(shift == 0) {}
  std::int32_t operator()(std::int32_t v) const {
    return none_ ? v : ((v >> before_last_) + 1) >> 1;
  }

 private:
  int before_last_;
  bool none_;
};

/// ESP32-P4: half-even. Shifts beyond 31 give what 31 gives, and the sum does not overflow.
class P4Shift {
 public:
  explicit P4Shift(int shift) : shift_(std::min(shift, 31)) {
    if (shift_ == 0) return;
    below_half_ = static_cast<std::int32_t>((std::uint32_t{1} << (shift_ - 1)) - 1);
    odd_mask_ = 1;
  }
  std::int32_t operator()(std::int32_t v) const {
    return (v + below_half_ + ((v >> shift_) & odd_mask_)) >> shift_;
  }

 private:
  int shift_;
  std::int32_t below_half_ = 0, odd_mask_ = 0;
};

}  // namespace espquant::sim
