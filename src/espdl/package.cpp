#include "espdl/package.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "espdl/bytes.h"
#include "espdl/container.h"

namespace espquant::espdl {
namespace {

constexpr std::size_t kEntryBytes = 12;
constexpr std::size_t kVersionOffset = 4, kVersionBytes = 16;
constexpr std::size_t kSizeOffset = 20;
constexpr std::size_t kDigestOffset = 24, kDigestBytes = 32;

using Digest = std::array<unsigned char, kDigestBytes>;

std::size_t count_offset(PackageEdition edition) {
  return edition == PackageEdition::Pdl3 ? 56 : 4;
}

[[noreturn]] void malformed(const std::string& what) {
  throw Error(ErrorCode::Malformed, "package: " + what);
}

/// Over the package with the digest's own field taken as zeros.
Digest digest_of(std::span<const std::byte> package) {
  constexpr std::array<std::byte, kDigestBytes> kZeros{};
  Digest digest;
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free);
  const auto rest = package.subspan(kDigestOffset + kDigestBytes);
  const bool ok = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1 &&
                  EVP_DigestUpdate(context.get(), package.data(), kDigestOffset) == 1 &&
                  EVP_DigestUpdate(context.get(), kZeros.data(), kZeros.size()) == 1 &&
                  EVP_DigestUpdate(context.get(), rest.data(), rest.size()) == 1 &&
                  EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
  if (!ok) throw Error(ErrorCode::Internal, "OpenSSL refuses SHA-256");
  return digest;
}

std::string read_version(std::span<const std::byte> file) {
  const auto* text = reinterpret_cast<const char*>(file.data() + kVersionOffset);
  return {text, std::find(text, text + kVersionBytes, '\0')};
}

/// What the package claims of the file, once its digest is found right.
std::span<const std::byte> checked_extent(std::span<const std::byte> file) {
  const std::size_t size = load_u32(file, kSizeOffset);
  if (size > file.size() || size < count_offset(PackageEdition::Pdl3) + 4)
    malformed("its size is given as " + std::to_string(size) + " bytes of " +
              std::to_string(file.size()));
  file = file.first(size);
  if (const Digest digest = digest_of(file);
      std::memcmp(file.data() + kDigestOffset, digest.data(), digest.size()) != 0)
    malformed("the SHA-256 digest differs, so the file is damaged");
  return file;
}

PackageEntry read_entry(std::span<const std::byte> file, std::size_t at, Edition edition) {
  const std::size_t data = load_u32(file, at), name = load_u32(file, at + 4),
                    length = load_u32(file, at + 8);
  if (name > file.size() || length > file.size() - name || data > file.size())
    malformed("an entry lies outside the file");
  PackageEntry entry;
  entry.name.assign(reinterpret_cast<const char*>(file.data() + name), length);
  entry.file = file.subspan(data);
  const Header header = parse_header(entry.file);
  if (header.edition != edition)
    malformed("model '" + entry.name + "' has another edition than the package");
  entry.file = entry.file.first(header.file_size());
  return entry;
}

std::vector<std::string> names_of(const Package& package) {
  std::vector<std::string> names;
  for (const auto& entry : package.entries) names.push_back(entry.name);
  return names;
}

/// As many as fit a message.
std::string first_names(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 10;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMost ? text + ", ..." : text;
}

bool has_duplicates(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) != names.end();
}

Edition edition_inside(PackageEdition edition) {
  return edition == PackageEdition::Pdl1 ? Edition::Edl1 : Edition::Edl2;
}

void check_packable(const Package& package) {
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorCode::Usage, "cannot pack: " + why);
  };
  if (package.entries.empty()) refuse("there is no model");
  if (package.version.size() >= kVersionBytes) refuse("the version has more than 15 characters");
  if (has_duplicates(names_of(package))) refuse("two models have the same name");
  for (const auto& entry : package.entries) {
    if (entry.name.empty()) refuse("a model has no name");
    if (parse_header(entry.file).edition != edition_inside(package.edition))
      refuse("model '" + entry.name +
             "' has an edition that does not go into this kind of package");
  }
}

}  // namespace

const PackageEntry& Package::at(std::size_t index) const {
  if (index < entries.size()) return entries[index];
  throw Error(ErrorCode::Usage, "there is no model " + std::to_string(index) +
                                    " in the package, it has " + std::to_string(entries.size()));
}

const PackageEntry& Package::find(std::string_view name) const {
  const auto it =
      std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.name == name; });
  if (it != entries.end()) return *it;
  const auto names = names_of(*this);
  Error error(ErrorCode::Usage, "there is no model '" + std::string(name) + "' in the package");
  if (const std::string near = nearest_name(name, names); !near.empty())
    error.remedy("Did you mean '" + near + "'?");
  else
    error.remedy("There are: " + first_names(names));
  throw error;
}

bool is_package(std::span<const std::byte> file) {
  return starts_with(file, "PDL1") || starts_with(file, "PDL2") || starts_with(file, "PDL3");
}

Package open_package(std::span<const std::byte> file) {
  if (!is_package(file)) malformed("it does not start with PDL1, PDL2 or PDL3");
  Package package;
  package.edition = static_cast<PackageEdition>(static_cast<int>(file[3]) - '0');
  const std::size_t count_at = count_offset(package.edition), first = count_at + 4;
  if (file.size() < first) malformed("the file ends inside its header");
  if (package.edition == PackageEdition::Pdl3) {
    file = checked_extent(file);
    package.version = read_version(file);
  }
  const std::size_t count = load_u32(file, count_at);
  if (count > (file.size() - first) / kEntryBytes)
    malformed(std::to_string(count) + " models do not fit the file");
  std::size_t models = 0, names = 0;
  for (std::size_t i = 0; i < count; ++i) {
    package.entries.push_back(
        read_entry(file, first + i * kEntryBytes, edition_inside(package.edition)));
    // A few bytes that many entries share would be copied out of the package many times.
    models += package.entries.back().file.size();
    names += package.entries.back().name.size();
    if (models > file.size() || names > file.size()) malformed("its entries overlap each other");
  }
  if (has_duplicates(names_of(package))) malformed("two models have the same name");
  return package;
}

std::vector<std::byte> pack(const Package& package) {
  check_packable(package);
  const std::size_t step = package.edition == PackageEdition::Pdl1 ? 1 : kBlockBytes;
  const std::size_t first = count_offset(package.edition) + 4;
  std::size_t names_end = first + package.entries.size() * kEntryBytes;
  for (const auto& entry : package.entries) names_end += entry.name.size();
  std::size_t size = round_up(names_end, step);
  for (const auto& entry : package.entries) size += round_up(entry.file.size(), step);
  if (size > std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorCode::BadData, "the package exceeds 4 GiB");

  std::vector<std::byte> out(size);
  const std::span<std::byte> bytes(out);
  constexpr std::array<const char*, 3> kTags = {"PDL1", "PDL2", "PDL3"};
  std::memcpy(out.data(), kTags[static_cast<std::size_t>(package.edition) - 1], 4);
  store_u32(bytes, count_offset(package.edition),
            static_cast<std::uint32_t>(package.entries.size()));
  std::size_t at = first, name_at = first + package.entries.size() * kEntryBytes,
              data_at = round_up(names_end, step);
  for (const auto& [name, file] : package.entries) {
    store_u32(bytes, at, static_cast<std::uint32_t>(data_at));
    store_u32(bytes, at + 4, static_cast<std::uint32_t>(name_at));
    store_u32(bytes, at + 8, static_cast<std::uint32_t>(name.size()));
    std::memcpy(out.data() + name_at, name.data(), name.size());
    std::memcpy(out.data() + data_at, file.data(), file.size());
    at += kEntryBytes;
    name_at += name.size();
    data_at += round_up(file.size(), step);
  }
  if (package.edition == PackageEdition::Pdl3) {
    std::memcpy(out.data() + kVersionOffset, package.version.data(), package.version.size());
    store_u32(bytes, kSizeOffset, static_cast<std::uint32_t>(size));
    const Digest digest = digest_of(out);
    std::memcpy(out.data() + kDigestOffset, digest.data(), digest.size());
  }
  return out;
}

}  // namespace espquant::espdl
