#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "strategy/shrink.h"

/// What `shrink` keeps of its work while it trains, so that a run that is stopped loses little.
namespace espquant::job {

struct ShrinkCheckpoint {
  /// The smaller network so far, and what stands beside it.
  std::vector<std::byte> onnx;
  strategy::ShrinkProgress progress;
  compress::Compressed compressed;
  std::vector<strategy::ShrinkTrial> trials;
  std::optional<compress::Sparsified> sparse;
  /// Of all that decides the result: what goes on by other options would be something else.
  std::string fingerprint;
};

/// NAME.onnx and NAME.state.json in `folder`.
std::filesystem::path checkpoint_network(const std::filesystem::path& folder,
                                         const std::string& name);
std::filesystem::path checkpoint_state(const std::filesystem::path& folder,
                                       const std::string& name);

/// Both files, or neither. Throws Error(Io).
void write_checkpoint(const ShrinkCheckpoint& checkpoint, const std::filesystem::path& folder,
                      const std::string& name);

/// Throws Error(Io) where there is none, Error(BadData) for what write_checkpoint() did not write.
ShrinkCheckpoint read_checkpoint(const std::filesystem::path& folder, const std::string& name);

nlohmann::ordered_json json_of(const compress::Compressed& compressed);
nlohmann::ordered_json json_of(const std::vector<strategy::ShrinkTrial>& trials);
nlohmann::ordered_json json_of(const compress::Sparsified& sparse);

}  // namespace espquant::job
