#include "espdl/container.h"

#include <openssl/evp.h>

#include <limits>
#include <string>

#include "base/error.h"
#include "base/tensor.h"
#include "espdl/bytes.h"

namespace espquant::espdl {
namespace {

std::size_t header_size(Edition edition) { return edition == Edition::Edl1 ? 12 : 16; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Edition parse_edition(std::span<const std::byte> file) {
  if (starts_with(file, "EDL1")) return Edition::Edl1;
  if (starts_with(file, "EDL2")) return Edition::Edl2;
  throw Error(ErrorCode::Malformed, "not an .espdl file: it starts with neither EDL1 nor EDL2")
      .remedy("Give a file written by espquant or ESP-PPQ");
}

}  // namespace

Key parse_key(std::string_view hex) {
  Key key;
  bool valid = hex.size() == 2 * key.size();
  for (std::size_t i = 0; valid && i < key.size(); ++i) {
    const int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
    valid = high >= 0 && low >= 0;
    key[i] = static_cast<std::byte>(high * 16 + low);
  }
  if (!valid) throw Error(ErrorCode::Usage, "an AES-128 key is 32 hexadecimal digits");
  return key;
}

void apply_aes_ctr(std::span<std::byte> data, const Key& key) {
  std::array<unsigned char, 16> counter;
  for (std::size_t i = 0; i < counter.size(); ++i)
    counter[i] = static_cast<unsigned char>(0x10 + i);
  const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(),
                                                                           EVP_CIPHER_CTX_free);
  bool ok = context && EVP_EncryptInit_ex(context.get(), EVP_aes_128_ctr(), nullptr,
                                          reinterpret_cast<const unsigned char*>(key.data()),
                                          counter.data()) == 1;
  constexpr std::size_t kMaxStep = std::size_t{1} << 30;  // OpenSSL counts in int
  for (std::size_t done = 0; ok && done < data.size();) {
    const auto step = static_cast<int>(std::min(kMaxStep, data.size() - done));
    auto* bytes = reinterpret_cast<unsigned char*>(data.data() + done);
    int written = 0;
    ok = EVP_EncryptUpdate(context.get(), bytes, &written, bytes, step) == 1 && written == step;
    done += static_cast<std::size_t>(step);
  }
  if (!ok) throw Error(ErrorCode::Internal, "OpenSSL refuses AES-128-CTR");
}

Header parse_header(std::span<const std::byte> file) {
  Header header;
  header.edition = parse_edition(file);
  header.payload_offset = header_size(header.edition);
  if (file.size() < header.payload_offset)
    throw Error(ErrorCode::Malformed, "the file ends inside its header");
  const std::uint32_t mode = load_u32(file, 4);
  if (mode > 1)
    throw Error(ErrorCode::Malformed,
                "encryption mode " + std::to_string(mode) + ", known are 0 and 1");
  header.encrypted = mode == 1;
  header.payload_size = load_u32(file, 8);
  if (header.payload_size > file.size() - header.payload_offset)
    throw Error(ErrorCode::Malformed, "the header promises " + std::to_string(header.payload_size) +
                                          " bytes of model, the file has " +
                                          std::to_string(file.size() - header.payload_offset))
        .remedy("The file is cut off: copy it again");
  return header;
}

Payload open_payload(std::span<const std::byte> file, const std::optional<Key>& key) {
  const Header header = parse_header(file);
  Payload payload;
  payload.edition = header.edition;
  payload.decrypted = header.encrypted;
  payload.bytes = file.subspan(header.payload_offset, header.payload_size);
  if (header.encrypted && !key)
    throw Error(ErrorCode::Usage, "the model is encrypted").remedy("Give its AES-128 key (--key)");
  const bool aligned = reinterpret_cast<std::uintptr_t>(payload.bytes.data()) % kBlockBytes == 0;
  if (header.encrypted || !aligned) {
    payload.storage = allocate_bytes(payload.bytes.size());
    std::memcpy(payload.storage.get(), payload.bytes.data(), payload.bytes.size());
    if (header.encrypted) apply_aes_ctr({payload.storage.get(), payload.bytes.size()}, *key);
    payload.bytes = {payload.storage.get(), payload.bytes.size()};
  }
  return payload;
}

std::vector<std::byte> encrypted(std::span<const std::byte> file, const Key& key) {
  if (parse_header(file).encrypted)
    throw Error(ErrorCode::Usage, "the model is encrypted already")
        .remedy("Decrypt it first, with its own key");
  const Payload payload = open_payload(file);
  return seal(payload.bytes, payload.edition, key);
}

std::vector<std::byte> decrypted(std::span<const std::byte> file, const Key& key) {
  if (!parse_header(file).encrypted)
    throw Error(ErrorCode::Usage, "the model is not encrypted").remedy("Use it as it is");
  const Payload payload = open_payload(file, key);
  return seal(payload.bytes, payload.edition);
}

std::vector<std::byte> seal(std::span<const std::byte> flatbuffer, Edition edition,
                            const std::optional<Key>& key) {
  if (flatbuffer.size() > std::numeric_limits<std::int32_t>::max())
    throw Error(ErrorCode::BadData, "a model of more than 2 GiB does not fit the format");
  const std::size_t offset = header_size(edition);
  std::vector<std::byte> file(offset + flatbuffer.size());
  std::memcpy(file.data(), edition == Edition::Edl1 ? "EDL1" : "EDL2", 4);
  store_u32(file, 4, key ? 1 : 0);
  store_u32(file, 8, static_cast<std::uint32_t>(flatbuffer.size()));
  if (!flatbuffer.empty()) std::memcpy(file.data() + offset, flatbuffer.data(), flatbuffer.size());
  if (key) apply_aes_ctr(std::span(file).subspan(offset), *key);
  return file;
}

}  // namespace espquant::espdl
