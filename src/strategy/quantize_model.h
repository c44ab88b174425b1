#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "calib/calibrate.h"
#include "passes/pass_manager.h"
#include "quant/settings.h"
#include "strategy/layer_noise.h"

namespace espquant::strategy {

struct Stage {
  std::string name;
  double seconds = 0;
};

/// Called when a stage begins and as it goes on; total is 0 where the length is unknown.
using StageProgress =
    std::function<void(std::string_view stage, std::int64_t done, std::int64_t total)>;

struct QuantizeOptions {
  quant::Settings settings;
  passes::PassOptions passes;
  std::vector<std::pair<std::string, std::string>> metadata;
  /// Calibration samples on which the noise of each layer is measured.
  std::int64_t report_samples = 32;
  /// Store the first calibration sample and the chip's outputs for it in the file, for `verify` and
  /// Model::test().
  bool test_values = true;
};

struct QuantizedModel {
  /// The float network after rewriting, before quantization: the reference.
  Graph network;
  /// The same with its TensorQuants, and what quantization changed (scaled layers, biases).
  Graph quantized;
  espdl::Model model;
  NoiseReport noise;
  std::vector<Stage> stages;
  std::vector<passes::PassRecord> passes;
  std::vector<sim::Program::Fault> faults;
};

/// The whole way from a float Graph, as imported, to the chip's model. Throws Error for what the
/// chip cannot run. `source` gives the inputs of the network that `network_of` describes.
QuantizedModel quantize_model(Graph imported, const calib::SampleSource& source,
                              const QuantizeOptions& options, const StageProgress& progress = {});

}  // namespace espquant::strategy
