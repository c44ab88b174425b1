#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "espdl/container.h"
#include "espdl/model.h"

namespace espquant::espdl {

struct ReadOptions {
  /// Which model of a package: by name where one is given, else by index. A file of one model
  /// ignores the index, and has no model of a name.
  std::string name{};
  std::size_t index = 0;
  /// For encrypted models.
  std::optional<Key> key{};
};

/// Reads a model from the bytes of an .espdl file (EDL1 or EDL2) or of a package. Whatever the
/// bytes are, it returns a sound Model (every tensor is given or produced once, sizes agree with
/// dims, nodes in order of execution) or throws Error: Malformed, Unsupported, BadData for a
/// wrong key, or Usage when the key is missing or the name or the index does not serve.
Model read_model(std::span<const std::byte> file, const ReadOptions& options = {});

/// The same, but defects that leave the rest of the model readable are appended to `defects`: the
/// Model is then what remains. Throws where nothing can be read.
Model read_model(std::span<const std::byte> file, const ReadOptions& options,
                 std::vector<Error>& defects);

/// read_model() from disk; errors carry the file's name. Throws Error(Io) too.
Model read_model_file(const std::filesystem::path& path, const ReadOptions& options = {});

}  // namespace espquant::espdl
