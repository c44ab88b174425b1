#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schedule/optimize.h"
#include "strategy/balanced.h"
#include "strategy/mixed.h"
#include "strategy/preparation.h"
#include "strategy/stopwatch.h"

namespace espquant::strategy {

struct QuantizeOptions {
  recipe::Recipe recipe;
  const Target* target = nullptr;
  std::vector<std::pair<std::string, std::string>> metadata;
  /// How budgets in milliseconds are estimated.
  cost::LatencyOptions latency;
  /// What the model will be rearranged for, which is not done here: with a goal of latency, budgets
  /// in milliseconds are of the model as it will be then.
  std::optional<schedule::Goal> fit;
  /// Of the calibration samples, where known.
  std::vector<std::int64_t> labels;
  /// Calibration samples on which the noise of each layer is measured; 0: it is not.
  std::int64_t report_samples = 32;
  /// Store the first calibration sample and the chip's outputs for it in the file, for `verify` and
  /// Model::test().
  bool test_values = true;
  /// Of a hand-written list of 16-bit layers, find those that gain nothing: as many trials as there
  /// are layers.
  bool find_idle_layers = true;
  /// For the search of a mixed section; 0: as long as it takes.
  double search_seconds = 0;
};

struct QuantizedModel {
  /// The float network after rewriting, before quantization: the reference.
  Graph network;
  /// The same as it was quantized: equalized and scaled, in float.
  Graph scaled;
  /// That with its TensorQuants, rounded weights and corrected biases.
  Graph quantized;
  espdl::Model model;
  measure::NoiseReport noise;
  /// At the outputs, on the calibration samples that candidates are judged on.
  measure::OutputNoise judged;
  std::vector<Stage> stages;
  std::vector<passes::PassRecord> passes;
  std::vector<sim::Program::Fault> faults;
  /// Inputs that no node reads: the file is without them.
  std::vector<std::string> unread_inputs;
  /// Outputs of which about nothing is left, a sentence each.
  std::vector<std::string> warnings;
  /// An output that is the same whatever the samples: refused by the last gate, not before, so that
  /// it can be analyzed.
  std::optional<Error> lost_output;
  /// What was done that a user did not ask for.
  std::vector<std::string> notes;
  /// The recipe with what it left open filled in: made again by it, the file is the same.
  recipe::Recipe recipe;
  std::vector<EqualizationTrial> equalization;
  std::vector<LayerEffect> layer_effects, wide_layers;
  /// Layers of W8A16 whose weights got 16 bits, in the order chosen (quantization.wide_weights).
  std::vector<std::string> wide_weights;
  /// What training gained, where the recipe asks for it (finetune.enabled): noise to signal on
  /// held-out samples before and after; the same where it was undone.
  std::optional<std::pair<double, double>> finetuned;
  /// Layers of a hand-written list that gain nothing at 16 bits.
  std::vector<std::string> idle_layers;
  /// See MixedResult.
  bool goals_met = true;
};

/// The whole way from a float Graph, as imported, to the chip's model, as the recipe says. Throws
/// Error for what the chip cannot run. `source` gives the inputs of the network that `network_of`
/// describes.
QuantizedModel quantize_model(Graph imported, const calib::SampleSource& source,
                              const QuantizeOptions& options, const StageProgress& progress = {});

/// The same, of what several recipes share: on the samples and with the labels of `shared`. The
/// stages count only what was not there yet.
QuantizedModel quantize_model(Preparation& shared, const QuantizeOptions& options,
                              const StageProgress& progress = {});

}  // namespace espquant::strategy
