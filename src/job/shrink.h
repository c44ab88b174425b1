#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "job/quantize.h"
#include "job/shrink_checkpoint.h"
#include "strategy/shrink.h"

namespace espquant::job {

/// What a network may cost, as a user says it.
struct ShrinkBudget {
  /// "-40%": of the network's own time.
  std::optional<double> latency_share;
  std::optional<double> milliseconds, file_kb, ram_kb;

  /// "-40%" as 0.6. Throws Error(Usage) for anything else, and for less than nothing.
  static double share_of(const std::string& text);
};

struct ShrinkJob {
  /// Network, data, chip, recipe: what the smaller network is quantized by.
  QuantizeJob quantize;
  ShrinkBudget budget;
  /// Weights that become zero: their share, or as many as make this much noise, and how many output
  /// channels lose them together.
  std::optional<double> prune_share, prune_loss;
  std::int64_t prune_block = 1;
  /// See strategy::ShrinkSettings.
  std::optional<std::int64_t> steps;
  bool blocks = true;
  compress::Importance importance = compress::Importance::Refitted;
  /// Seconds for choosing and training; training gets what is left of them.
  std::optional<double> seconds;
  /// Keeps the work so far, several times while it trains; and what an earlier run kept.
  std::function<void(const ShrinkCheckpoint&)> keep;
  std::optional<ShrinkCheckpoint> resumed;
};

/// How networks do where labels are known: shares of samples.
struct ShrinkAccuracy {
  std::int64_t samples = 0;
  /// Of the network, the smaller one, and that on the chip; nothing without labels.
  std::optional<double> network, smaller, chip;
  /// Share of samples for which the chip's answer is the network's.
  std::optional<double> agreement;
  /// Of the chip, against the network.
  std::optional<measure::OutputNoise> noise;
};

struct ShrunkJob {
  strategy::Shrunk shrunk;
  /// The smaller network as an ONNX file.
  std::vector<std::byte> onnx;
  Quantized quantized;
  ShrinkAccuracy accuracy;
  /// Where weights became zero: bytes of the file, compressed as an update over the air is, with
  /// the same channels unpruned and now, and zeros among its weights.
  std::optional<std::size_t> compressed_before, compressed_after;
  compress::Budget budget;
  double seconds = 0;
};

/// "60%" as a share, "noise=1%" as a loss. Throws Error(Usage) for anything else.
std::pair<std::optional<double>, std::optional<double>> prune_goal(const std::string& text);

/// Makes the network smaller and quantizes what is left; nothing is written. Throws Error(Usage)
/// without a budget, Error(BadData) for too few samples, Error(Unsupported) where nothing can be
/// taken away, and as quantize().
ShrunkJob shrink(const ShrinkJob& job, const Tell& tell, strategy::StageProgress progress = {});

/// As docs/json.md has it; `files` were written.
nlohmann::ordered_json json_of(const ShrunkJob& shrunk,
                               const std::vector<std::filesystem::path>& files);

}  // namespace espquant::job
