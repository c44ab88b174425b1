#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "deploy/device.h"
#include "job/data.h"
#include "job/model_file.h"

namespace espquant::job {

/// `espquant device`: a data set on a board that runs the serial application.
struct DeviceOptions {
  ModelFile file;
  DataOptions data;
  std::filesystem::path port;
  int baud = 921600;
  std::chrono::milliseconds patience{10000};
  /// The board prepares pictures itself; otherwise it is given the model's integers.
  bool send_pictures = false;
};

struct DeviceReport {
  std::int64_t samples = 0;
  /// Samples, and elements of them, whose outputs are not the simulator's.
  std::int64_t different_samples = 0, different_elements = 0;
  /// "sample 3, output 'logits', element 5: 12, expected 13"; empty where there is none.
  std::string first_difference;
  /// Of the chip's outputs and of the simulator's, where the data have labels.
  std::optional<double> accuracy, simulated_accuracy;
  double preparation_ms = 0, run_ms = 0;  ///< mean per sample
};

/// Throws what opening files and the port throws, and Error(BadData) where the board runs another
/// model.
DeviceReport run_on_device(const DeviceOptions& options, const Tell& tell,
                           const std::function<void(std::int64_t, std::int64_t)>& progress);

}  // namespace espquant::job
