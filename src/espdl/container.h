#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

/// The envelope of one model: a short header, then the FlatBuffer, plain or encrypted (ESP-DL
/// reference 1.1).
namespace espquant::espdl {

/// EDL1 (until 2024) has a header of 12 bytes and counts tensor data in bytes; EDL2 has a header of
/// 16 bytes and counts it in aligned blocks of 16, which a chip can use where they lie in flash.
enum class Edition : std::uint8_t { Edl1 = 1, Edl2 = 2 };

inline constexpr std::size_t kBlockBytes = 16;

/// An AES-128 key.
using Key = std::array<std::byte, 16>;

/// 32 hexadecimal digits. Throws Error(Usage).
Key parse_key(std::string_view hex);

/// AES-128 in counter mode over `data`, in place; the same call decrypts. The first counter block
/// is the format's fixed 10 11 .. 1F, so a key must not be used for two different models.
void apply_aes_ctr(std::span<std::byte> data, const Key& key);

struct Header {
  Edition edition = Edition::Edl2;
  bool encrypted = false;
  std::size_t payload_offset = 16;
  std::size_t payload_size = 0;

  std::size_t file_size() const { return payload_offset + payload_size; }
};

/// Throws Error(Malformed) unless `file` starts with a header whose payload lies inside. Bytes
/// after the payload are allowed: a flash partition is larger than its model.
Header parse_header(std::span<const std::byte> file);

/// The FlatBuffer of a file, decrypted, on a 16-byte boundary. Refers to the file's own bytes where
/// those are plain and aligned, so it must not outlive them.
struct Payload {
  Edition edition = Edition::Edl2;
  /// It was encrypted: if it is no FlatBuffer, then the key was the wrong one.
  bool decrypted = false;
  std::span<const std::byte> bytes;
  std::shared_ptr<std::byte[]> storage;
};

/// Throws Error(Malformed) as parse_header() does, Error(Usage) when the file is encrypted and
/// there is no key.
Payload open_payload(std::span<const std::byte> file, const std::optional<Key>& key = std::nullopt);

/// A complete file, encrypted or in plain text; the other way round of each other. Bytes after the
/// payload are left out. Throw Error(Usage) when the file is so already.
std::vector<std::byte> encrypted(std::span<const std::byte> file, const Key& key);
std::vector<std::byte> decrypted(std::span<const std::byte> file, const Key& key);

/// Header and payload; encrypted when there is a key. Throws Error(BadData) when it exceeds 32-bit
/// offsets.
std::vector<std::byte> seal(std::span<const std::byte> flatbuffer, Edition edition = Edition::Edl2,
                            const std::optional<Key>& key = std::nullopt);

}  // namespace espquant::espdl
