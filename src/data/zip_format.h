#pragma once

#include <cstddef>
#include <cstdint>

/// Signatures and fields of the ZIP format (PKWARE APPNOTE 6.3).
namespace espquant::data {

inline constexpr std::uint32_t kLocalSignature = 0x04034B50, kEntrySignature = 0x02014B50,
                               kEndSignature = 0x06054B50, kEnd64Signature = 0x06064B50,
                               kEnd64LocatorSignature = 0x07064B50;
inline constexpr std::size_t kLocalSize = 30, kEndSize = 22, kEnd64Size = 56, kEnd64LocatorSize = 20;
inline constexpr std::uint16_t kStored = 0, kDeflated = 8, kEncryptedFlag = 1, kUtf8Flag = 0x800;
inline constexpr std::uint16_t kZip64Extra = 1;
/// Stands in a field of 32 bits whose number is in the zip64 field.
inline constexpr std::uint32_t kIn64BitField = 0xFFFFFFFF;

}  // namespace espquant::data
