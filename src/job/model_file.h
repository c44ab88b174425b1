#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "espdl/banks.h"
#include "espdl/container.h"
#include "espdl/model.h"
#include "espdl/reader.h"
#include "target/target.h"

namespace espquant::job {

/// Which model a command works on: the options that all commands on .espdl files share.
struct ModelFile {
  std::filesystem::path path;
  /// For an encrypted file: what read_key() takes, else empty.
  std::string key;
  /// Of a package.
  std::string name;
  /// Empty: what the file was made for.
  std::string target, espdl;
  /// Of exponents, beside it: a .banks file, "none", or empty for the one of the same name if there
  /// is one.
  std::string banks{};

  espdl::ReadOptions read_options() const;
  espdl::Model load() const;
  /// Of the banks; nothing where there are none.
  std::optional<std::filesystem::path> banks_file() const;
  /// The banks of `model`, which load() gave; without any where there are none. Throws as
  /// espdl::read_banks, with the file's name.
  espdl::Banks load_banks(const espdl::Model& model) const;
  const Target& target_for(const espdl::Model& model) const;
  /// The same, to compute as. Throws as sim::require_packed_for.
  const Target& target_to_run(const espdl::Model& model) const;
};

/// Whether a command takes `path` for a network and not for an .espdl or a package of them: by its
/// name if that ends in .onnx or .espdl, in any case; else by its first bytes.
bool is_network(const std::filesystem::path& path);

/// The key that is written as 32 hexadecimal digits, or that lies in the file of that name: as such
/// digits or as 16 bytes. Throws Error(Usage), Error(Io).
espdl::Key read_key(const std::string& digits_or_file);

}  // namespace espquant::job
