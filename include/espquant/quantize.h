#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "espquant/data.h"
#include "espquant/model.h"
#include "espquant/network.h"
#include "espquant/progress.h"
#include "espquant/recipe.h"

namespace espquant {

struct QuantizeOptions {
  Recipe recipe;
  /// A chip, as "esp32s3"; empty: what the recipe says, else esp32s3.
  std::string target;
  /// What the result is measured on beside the calibration data; empty: nothing.
  Data test;
  /// Times of your own board, as `espquant latency --fit --out` wrote them.
  std::filesystem::path board;
  /// Store the first calibration sample and the chip's outputs for it in the file.
  bool test_values = true;
  /// Calibration samples on which the noise of each layer is measured; 0: it is not.
  std::int64_t report_samples = 32;
  /// Written into the model for the application, beside what is written anyway.
  std::map<std::string, std::string> metadata = {};
};

/// A quantized network. Copies share it.
class ESPQUANT_API Quantized {
 public:
  /// One node of the chip's model, and the tensor that it writes.
  struct Layer {
    std::string name, op, tensor, type;
    /// Real value = integer * 2^exponent.
    int exponent = 0;
    /// Squared error over squared signal of the tensor: after everything before it was quantized
    /// too, and of the layer alone.
    double noise = 0, noise_alone = 0;
  };

  /// Noise to signal at the worst output, as the chip computes it; on the test data where there are
  /// any, else on calibration samples.
  double noise() const;
  /// Shares of the test data, in [0, 1]: labels that the chip and the float network get right, and
  /// samples in which both have the same largest score.
  std::optional<double> accuracy() const, reference_accuracy() const, agreement() const;
  /// Of one run, estimated.
  double milliseconds() const;
  std::size_t ram_bytes() const;
  std::vector<Layer> layers() const;
  std::vector<std::string> warnings() const, notes() const;
  std::string target() const;
  /// With what it left open filled in: by it the same file is made again.
  Recipe recipe() const;
  /// Everything, as `espquant quantize --json` prints it (docs/json.md), without `files`.
  std::string json() const;

  /// The .espdl, which has passed every rule of check(), for the chip's flash.
  const std::vector<std::byte>& bytes() const;
  /// The same, ready to run.
  Model model() const;
  /// Writes FOLDER/NAME_RECIPE/NAME_RECIPE.espdl, .info, .json, .compile_req.yml and, for pictures,
  /// .preprocess.toml: all of them or none. Returns the paths. Throws Error(Io).
  std::vector<std::filesystem::path> save(const std::filesystem::path& folder,
                                          const std::string& name = {},
                                          bool compile_request = true) const;
  /// The same files beside FILE.espdl.
  std::vector<std::filesystem::path> save_as(const std::filesystem::path& file,
                                             bool compile_request = true) const;

  struct Impl;
  explicit Quantized(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

/// Turns a network and calibration data into what the chip runs. The result depends on nothing but
/// the arguments: same input, same bytes. Throws Error.
ESPQUANT_API Quantized quantize(const Network& network, const Data& calib,
                                const QuantizeOptions& options = {}, const Observer& observer = {});

}  // namespace espquant
