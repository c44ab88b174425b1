#pragma once

#include <optional>
#include <string>
#include <vector>

#include "espdl/banks.h"
#include "recipe/recipe.h"
#include "strategy/quantize_model.h"

namespace espquant::strategy {

struct BankOptions {
  /// Of exponents, the model's own included; 0: as many as pay.
  int count = 0;
  espdl::Statistic statistic = espdl::Statistic::Largest;
  float percentile = 99.9F;
  /// In a stream a quieter bank takes over this many octaves below its border.
  float overlap = 0.25F;
  /// Patterns (recipe/name_pattern) of tensors whose clipped elements the device counts.
  std::vector<std::string> watch{};
};

/// As a recipe has them.
BankOptions bank_options_of(const recipe::Recipe::Dynamic& dynamic);

/// A bank that was tried, and the frames that it is for.
struct TriedBank {
  float largest = 0;
  std::int64_t samples = 0;
  /// On those of its samples that it is judged on: of the model itself, and of the bank.
  measure::OutputNoise single, banked;
  bool kept = false;
  /// Why it is not; empty where its noise decided.
  std::string obstacle;
};

struct FoundBanks {
  espdl::Banks banks;
  /// From the quietest on.
  std::vector<TriedBank> tried;
  /// The network is homogeneous: the banks are one per octave, and differ from the model by a gain.
  bool gain = false;
  /// Smallest and largest statistic of the samples.
  float quietest = 0, loudest = 0;
  /// As BankBorders has it.
  std::vector<double> noise_by_count;
};

/// Banks for a model that is quantized for all samples, so for the loudest: the same filters, each
/// bank with exponents, biases and tables for the frames that it is for, calibrated and its means
/// matched on those alone. A bank that does not lower the simulated noise on its samples is left
/// out: those go to the next louder one. A network whose outputs scale as its inputs do gets the
/// same integers at other exponents, one bank per octave. Deterministic for any number of threads.
/// Throws Error(Usage) for a pattern to watch that matches no tensor that a node writes.
FoundBanks find_banks(const QuantizedModel& made, const Target& target,
                      const calib::SampleSource& source, const BankOptions& options,
                      const StageProgress& progress = {});

}  // namespace espquant::strategy
