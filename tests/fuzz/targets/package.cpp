#include "espdl/package.h"

#include <algorithm>
#include <vector>

#include "base/digest.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {
namespace {

/// A package of the third edition with the digest that it needs: nothing else would ever be read
/// of it.
std::vector<std::byte> with_digest(FuzzInput bytes) {
  constexpr std::size_t kSize = 20, kDigest = 24, kDigestBytes = 32;
  std::vector<std::byte> package(bytes.begin(), bytes.end());
  if (package.size() < kDigest + kDigestBytes || package[3] != std::byte{'3'}) return package;
  std::size_t size = 0;
  for (std::size_t i = 4; i-- > 0;)
    size = size << 8 | std::to_integer<std::size_t>(package[kSize + i]);
  if (size > package.size() || size < kDigest + kDigestBytes) return package;
  std::fill_n(package.begin() + kDigest, kDigestBytes, std::byte{0});
  const std::string digits = sha256_of(std::span(package).first(size));
  for (std::size_t i = 0; i < kDigestBytes; ++i)
    package[kDigest + i] = static_cast<std::byte>(std::stoi(digits.substr(2 * i, 2), nullptr, 16));
  return package;
}

}  // namespace

void fuzz_package(FuzzInput bytes) {
  const std::vector<std::byte> file = with_digest(bytes);
  espdl::Package package;
  if (!accepted([&] { package = espdl::open_package(file); })) return;
  std::vector<std::byte> packed;
  if (!accepted([&] { packed = espdl::pack(package); })) return;
  const espdl::Package again = espdl::open_package(packed);
  promised(again.version == package.version && again.entries.size() == package.entries.size(),
           "a package that was packed is another when it is opened");
  for (const espdl::PackageEntry& entry : package.entries)
    promised(std::ranges::equal(again.find(entry.name).file, entry.file),
             "a packed model is another when it is found again");
}

}  // namespace espquant::test
