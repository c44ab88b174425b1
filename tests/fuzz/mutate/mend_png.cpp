#include <zlib.h>

#include <algorithm>
#include <string_view>

#include "tests/fuzz/mutate/mutator.h"

namespace espquant::test {
namespace {

std::uint32_t big_endian(const std::byte* at) {
  std::uint32_t number = 0;
  for (int i = 0; i < 4; ++i) number = number << 8 | std::to_integer<std::uint32_t>(at[i]);
  return number;
}

}  // namespace

void mend_png(std::span<std::byte> file) {
  constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
  constexpr std::size_t kLength = 4, kName = 4, kSum = 4;
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (!text.starts_with(kSignature)) return;
  for (std::size_t at = kSignature.size(); file.size() - at >= kLength + kName + kSum;) {
    const std::size_t length = big_endian(file.data() + at);
    if (length > file.size() - at - kLength - kName - kSum) return;
    const auto* content = reinterpret_cast<const Bytef*>(file.data() + at + kLength);
    const auto sum =
        static_cast<std::uint32_t>(crc32(0, content, static_cast<uInt>(kName + length)));
    std::byte* end = file.data() + at + kLength + kName + length;
    for (int i = 0; i < 4; ++i) end[i] = static_cast<std::byte>(sum >> (24 - 8 * i));
    at += kLength + kName + length + kSum;
  }
}

}  // namespace espquant::test
