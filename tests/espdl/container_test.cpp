#include "espdl/container.h"

#include <gtest/gtest.h>

#include <string_view>

#include "espdl/bytes.h"
#include "tests/espdl/expect_error.h"

namespace espquant::espdl {
namespace {

constexpr std::string_view kText = "sixteen byte blk and more";
const Key kKey = parse_key("000102030405060708090A0b0c0d0e0f");

std::span<const std::byte> text() { return std::as_bytes(std::span(kText)); }

TEST(Container, HeadersOfBothEditions) {
  for (const auto& [edition, offset] :
       {std::pair(Edition::Edl1, 12U), std::pair(Edition::Edl2, 16U)}) {
    const auto file = seal(text(), edition);
    const Header header = parse_header(file);
    EXPECT_EQ(header.edition, edition);
    EXPECT_FALSE(header.encrypted);
    EXPECT_EQ(header.payload_offset, offset);
    EXPECT_EQ(header.payload_size, kText.size());
    EXPECT_EQ(header.file_size(), file.size());
  }
}

TEST(Container, ThePayloadIsAlignedWhereverTheFileLies) {
  for (const Edition edition : {Edition::Edl1, Edition::Edl2}) {
    const auto file = seal(text(), edition);
    for (std::size_t shift = 0; shift < kBlockBytes; ++shift) {
      std::vector<std::byte> moved(shift);
      moved.insert(moved.end(), file.begin(), file.end());
      const Payload payload = open_payload(std::span<const std::byte>(moved).subspan(shift));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(payload.bytes.data()) % kBlockBytes, 0U);
      EXPECT_TRUE(
          std::equal(payload.bytes.begin(), payload.bytes.end(), text().begin(), text().end()));
    }
  }
}

TEST(Container, BytesAfterThePayloadAreIgnored) {
  auto file = seal(text());
  file.resize(file.size() + 100);
  EXPECT_EQ(open_payload(file).bytes.size(), kText.size());
}

// openssl enc -aes-128-ctr -K 000102030405060708090a0b0c0d0e0f -iv 101112131415161718191a1b1c1d1e1f
TEST(Container, EncryptsAsOpenSslsCommandDoes) {
  constexpr unsigned char kExpected[] = {0x74, 0x97, 0x97, 0x00, 0x84, 0xb0, 0x6d, 0x4e, 0xf2,
                                         0x77, 0x9a, 0x74, 0xae, 0xf6, 0xfe, 0xf8, 0xb2, 0xa3,
                                         0xab, 0x60, 0xf8, 0x61, 0xed, 0x70, 0x23};
  std::vector<std::byte> data(text().begin(), text().end());
  apply_aes_ctr(data, kKey);
  ASSERT_EQ(data.size(), sizeof kExpected);
  EXPECT_EQ(std::memcmp(data.data(), kExpected, sizeof kExpected), 0);
}

TEST(Container, OpensEncryptedFilesWithTheirKeyOnly) {
  const auto file = seal(text(), Edition::Edl2, kKey);
  const Payload payload = open_payload(file, kKey);
  EXPECT_TRUE(std::equal(payload.bytes.begin(), payload.bytes.end(), text().begin(), text().end()));
  expect_error(ErrorCode::Usage, "key", [&] { open_payload(file); });
}

TEST(Container, FilesAreEncryptedAndDecryptedWhole) {
  for (const Edition edition : {Edition::Edl1, Edition::Edl2}) {
    auto plain = seal(text(), edition);
    const auto secret = encrypted(plain, kKey);
    EXPECT_EQ(secret, seal(text(), edition, kKey));
    EXPECT_EQ(decrypted(secret, kKey), plain);
    plain.resize(plain.size() + 7);  // of a flash partition
    EXPECT_EQ(encrypted(plain, kKey), secret);
    expect_error(ErrorCode::Usage, "already", [&] { encrypted(secret, kKey); });
    expect_error(ErrorCode::Usage, "not encrypted", [&] { decrypted(plain, kKey); });
  }
}

TEST(Container, RefusesDamagedHeaders) {
  const auto file = seal(text());
  auto changed = file;
  changed[3] = std::byte{'3'};
  expect_error(ErrorCode::Malformed, "EDL1 nor EDL2", [&] { parse_header(changed); });
  changed = file;
  changed[4] = std::byte{2};
  expect_error(ErrorCode::Malformed, "encryption mode 2", [&] { parse_header(changed); });
  for (std::size_t length = 0; length < file.size(); ++length)
    EXPECT_THROW(parse_header(std::span(file).first(length)), Error) << length;
}

TEST(Container, KeysAreThirtyTwoHexadecimalDigits) {
  EXPECT_EQ(kKey[10], std::byte{10});
  for (const char* bad :
       {"", "00", "000102030405060708090a0b0c0d0e0g", "000102030405060708090a0b0c0d0e0f0"})
    expect_error(ErrorCode::Usage, "32 hexadecimal digits", [&] { parse_key(bad); });
}

}  // namespace
}  // namespace espquant::espdl
