#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cost/board.h"
#include "cost/memory_plan.h"
#include "espdl/model.h"
#include "target/target.h"

namespace espquant::cost {

struct LatencyOptions {
  /// Kernels read parameters from flash instead of from a copy in PSRAM (`param_copy = false`).
  bool parameters_in_flash = false;
  /// 2: `Model::run` with RUNTIME_MODE_MULTI_CORE. Chips with one core are estimated with one.
  int cores = 1;
  /// Activations in the chip's own RAM, which are read without waiting. No published time shows
  /// what that gains. Empty: all lie behind the cache.
  std::set<std::string, std::less<>> internal_tensors;
  /// Empty: board_of(target).
  std::optional<Board> board;
};

struct NodeLatency {
  std::string node, op;
  double milliseconds = 0;
  /// Of those, waiting for lines from behind the cache.
  double memory_milliseconds = 0;
  double macs = 0;
};

/// An estimate of one run, and how far to trust it.
struct LatencyEstimate {
  std::vector<NodeLatency> nodes;
  double milliseconds = 0;
  double clock_mhz = 0;
  int cores = 1;
  /// The measured time of the whole is expected within milliseconds * (1 - below) and milliseconds
  /// * (1 + above). Single nodes differ by more.
  double below = 0, above = 0;
  /// What the figures of the model come from: a short phrase.
  std::string basis;
};

/// Those that a plan puts into internal RAM.
std::set<std::string, std::less<>> internal_tensors_of(const MemoryPlan& plan);

/// How long one run of the model takes on `target`, under its release, at the clock of the board,
/// with activations and parameters in PSRAM unless told otherwise (ESP-DL 7): instructions of the
/// kernels, plus lines that the cache does not hold. Above all those are filters, which are read
/// again for every output pixel, or for every 32 where the release cuts them into tiles (tiles_of).
/// Operators without a known kernel count as scalar code. Tensors without a shape in the file count
/// as empty. Throws Error(Usage) where the number of cores is neither 1 nor 2.
LatencyEstimate estimate_latency(const espdl::Model& model, const Target& target,
                                 const LatencyOptions& options = {});

}  // namespace espquant::cost
