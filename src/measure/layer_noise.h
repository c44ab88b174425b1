#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "calib/calibrate.h"
#include "lower/lower.h"
#include "measure/noise.h"
#include "measure/output_noise.h"
#include "measure/simulate.h"
#include "ops/executor.h"

namespace espquant::measure {

/// What one node of the chip's model does to the signal.
struct LayerNoise {
  std::string node, op, tensor;
  DType dtype = DType::Undefined;
  int exponent = 0;
  /// Of its output after everything before it was quantized too.
  Noise accumulated;
  /// Of its output when its inputs are the float network's, quantized.
  Noise alone;
};

/// What arrives at one output of the network.
struct OutputSignal {
  std::string name;
  Noise noise;
  /// Sum of squared differences of the float network's output from that of the first sample.
  double variation = 0;
  /// The chip's output differs from that of the first sample somewhere.
  bool varies = false;
  /// Elements, over all samples.
  std::int64_t count = 0;
};

struct NoiseReport {
  std::vector<LayerNoise> layers;
  std::vector<OutputSignal> outputs;
  /// Of the network's outputs.
  OutputNoise output;
  std::int64_t samples = 0;
  /// The first node that made the chip compute NaN or infinity, as index into `layers`.
  std::optional<std::size_t> not_finite;
};

/// One sample as it was measured, in the thread that measured it.
struct MeasuredSample {
  /// Which of `samples`.
  std::int64_t index = 0;
  /// By tensor of the program, in its order: what the float network computes; empty where it has no
  /// such tensor.
  const std::vector<std::vector<float>>& expected;
  /// As the chip computes it.
  sim::Program::Frame& frame;
  /// Of the float run.
  ops::Executor::Workspace& workspace;
  std::span<const Tensor> outputs;
};
using SampleVisitor = std::function<void(const MeasuredSample&)>;

/// The first node in whose float outputs a NaN or an infinity stands. `frame` keeps all tensors and
/// has run.
std::optional<std::size_t> first_not_finite(const sim::Program& program,
                                            sim::Program::Frame& frame);

/// Compares every tensor that the chip writes with the float network's, in one float and two
/// simulated passes over `samples`. `visit`, where given, sees every
/// sample too, from several threads. The result does not depend on the number of threads.
NoiseReport measure_noise(const ops::Executor& executor, const sim::Program& program,
                          const lower::Orders& orders, const calib::SampleSource& source,
                          std::span<const std::int64_t> samples, const SampleVisitor& visit = {});

}  // namespace espquant::measure
