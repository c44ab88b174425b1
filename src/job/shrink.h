#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "job/quantize.h"
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
  /// See strategy::ShrinkSettings.
  std::optional<std::int64_t> steps;
  bool blocks = true;
  compress::Importance importance = compress::Importance::Refitted;
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
  compress::Budget budget;
  double seconds = 0;
};

/// Makes the network smaller and quantizes what is left; nothing is written. Throws Error(Usage)
/// without a budget, Error(BadData) for too few samples, Error(Unsupported) where nothing can be
/// taken away, and as quantize().
ShrunkJob shrink(const ShrinkJob& job, const Tell& tell, strategy::StageProgress progress = {});

/// As docs/json.md has it; `files` were written.
nlohmann::ordered_json json_of(const ShrunkJob& shrunk,
                               const std::vector<std::filesystem::path>& files);

}  // namespace espquant::job
