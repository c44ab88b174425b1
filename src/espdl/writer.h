#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "espdl/container.h"
#include "espdl/model.h"

namespace espquant::espdl {

struct WriteOptions {
  /// Encrypts the model with AES-128-CTR.
  std::optional<Key> key;
};

/// A complete EDL2 file. Equal models give equal bytes, and reading them back gives an equal model.
/// All elements start on 16-byte boundaries of the file, so that a chip can use them in flash
/// (reference 1.3). Throws Error(BadData) on what the format cannot hold: an input or output that
/// `values` does not describe, a constant without a type or of one beyond UInt64, more than 2 GiB.
std::vector<std::byte> write_model(const Model& model, const WriteOptions& options = {});

}  // namespace espquant::espdl
