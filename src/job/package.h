#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "job/tell.h"

/// Packages of several .espdl models, as files.
namespace espquant::job {

struct PackageFacts {
  struct Model {
    std::string name;
    /// "EDL1" or "EDL2".
    std::string container;
    bool encrypted = false;
    std::size_t bytes = 0;
    /// Nothing, and no target, when it is encrypted and there is no key.
    std::optional<std::size_t> nodes;
    std::string target;
  };
  int edition = 3;
  std::string version;
  std::vector<Model> models;
};

/// `key` as read_key() takes it; empty for none. Throws Error(Malformed) and Error(Usage), with the
/// file.
PackageFacts facts_of_package(const std::filesystem::path& file, const std::string& key);
/// As `espquant package list --json` prints it.
nlohmann::ordered_json json_of(const PackageFacts& facts, const std::filesystem::path& file);

/// Writes the models of those names, or all, into `folder`, under names that cannot lead out of it,
/// and returns the files. Throws Error(Io) for one that exists, Error(BadData) where two would have
/// one name.
std::vector<std::filesystem::path> extract_models(const std::filesystem::path& file,
                                                  const std::vector<std::string>& names,
                                                  const std::filesystem::path& folder);

struct PackOptions {
  /// The models, in this order; each is named as its file.
  std::vector<std::filesystem::path> files;
  std::filesystem::path out;
  /// 1 to 3: PDL1, ...
  int edition = 3;
  /// Of PDL3.
  std::string version;
  /// Beside it a .compile_req.yml with all that the models need.
  bool compile_request = true;
};

struct Packed {
  std::vector<std::filesystem::path> files;
  std::size_t models = 0, bytes = 0;
};

/// Throws Error(Usage) for what cannot be packed, with the file.
Packed pack_models(const PackOptions& options, const Tell& tell);

}  // namespace espquant::job
