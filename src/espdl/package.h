#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Packages of several models in one file (ESP-DL reference 1.2).
namespace espquant::espdl {

enum class PackageEdition : std::uint8_t {
  Pdl1 = 1,  ///< of EDL1 files
  Pdl2 = 2,  ///< of EDL2 files, each on a 16-byte boundary
  Pdl3 = 3,  ///< the same with a version and a SHA-256 digest
};

struct PackageEntry {
  std::string name;
  /// A complete EDL1 or EDL2 file. Refers to the bytes of the package, or to what is to be packed.
  std::span<const std::byte> file;
};

struct Package {
  PackageEdition edition = PackageEdition::Pdl3;
  /// Pdl3 only; at most 15 characters.
  std::string version;
  std::vector<PackageEntry> entries;

  /// Both throw Error(Usage) with what there is to choose from.
  const PackageEntry& at(std::size_t index) const;
  const PackageEntry& find(std::string_view name) const;
};

/// Whether the file starts as a package does.
bool is_package(std::span<const std::byte> file);

/// Lists the models of a package. Throws Error(Malformed) where an entry lies outside the file,
/// where entries overlap each other, or, in PDL3, where the digest differs.
Package open_package(std::span<const std::byte> file);

/// The bytes of a package, entries in the given order. Throws Error(Usage) on mixed EDL editions,
/// an edition that does not go with the package's, duplicate or empty names, no entries, or a
/// version that is too long.
std::vector<std::byte> pack(const Package& package);

}  // namespace espquant::espdl
