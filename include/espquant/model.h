#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "espquant/array.h"
#include "espquant/data.h"
#include "espquant/network.h"
#include "espquant/progress.h"

namespace espquant {

/// Which model of a file, and as which chip it computes.
struct ModelOptions {
  /// Of an encrypted file: 32 hexadecimal digits, or a file that holds them or the key's 16 bytes.
  std::string key;
  /// Of a package.
  std::string name;
  /// Empty: the chip and the release of ESP-DL that the file was made for.
  std::string target, release;
  /// Of exponents: a .banks file, "none", or empty for the one beside the file, if there is one.
  std::string banks;
};

/// A tensor of a model: what the chip holds.
struct TensorInfo {
  std::string name, type;
  /// As stored: N,H,W,C.
  std::vector<std::int64_t> shape;
  /// In the order of the network (N,C,H,W), of inputs and outputs where the file tells it, else as
  /// stored.
  std::vector<std::int64_t> network_shape;
  /// Real value = integer * 2^exponent: one, or one per output channel.
  std::vector<int> exponents;
};

struct RunOptions {
  /// The chip's integers in the file's layout, in place of floats in the network's.
  bool integers = false;
  /// Every tensor, in the file's layout, not only the outputs.
  bool all = false;
};

/// One output beside the value that was expected.
struct Verdict {
  std::string name;
  std::int64_t elements = 0, different = 0, mismatches = 0;
  /// Largest difference: in steps for integers.
  double largest = 0;
  /// Why it could not be compared; else empty.
  std::string problem;
  bool passed = false;
};

/// How a model does on data, beside the float network where that was given. Shares are in [0, 1].
struct Evaluation {
  std::int64_t samples = 0;
  std::optional<double> noise, accuracy, reference_accuracy, agreement;
  /// As `espquant evaluate --json` prints it.
  std::string json;
};

/// An .espdl of whatever origin, as the chip computes it. Copies share it; all members may be
/// called from several threads.
class ESPQUANT_API Model {
 public:
  /// Throws Error(Io), Error(Malformed), Error(Usage) for a key, name or chip that does not fit.
  static Model open(const std::filesystem::path& file, const ModelOptions& options = {});
  /// The bytes of a file; `called` is what messages call it.
  static Model from_bytes(std::vector<std::byte> bytes, const ModelOptions& options = {},
                          const std::string& called = "model.espdl");

  std::string target() const, release() const;
  /// Metadata, as ESP-DL's `get_metadata_prop` reads them.
  std::map<std::string, std::string> metadata() const;
  std::vector<TensorInfo> inputs() const, outputs() const;
  /// Every activation, in order of execution, and every constant.
  std::vector<TensorInfo> tensors() const, constants() const;
  /// The integers of a constant, as stored; shared with the model. Throws Error(Usage), with the
  /// nearest name.
  Array constant(const std::string& name) const;
  /// Those of a filter in the network's order: (O,I,H,W) of Conv, (O,I) of Gemm, (I,O) of MatMul;
  /// of other constants as stored. Throws likewise.
  Array weights(const std::string& name) const;

  /// `inputs` by name, under "" where there is one: floats in the network's layout (N,C,H,W), which
  /// are quantized as the chip does, the input's own integers, or, of a network of one input that
  /// takes pictures, bytes (N,H,W,C), prepared as the file says. Several frames go along the first
  /// axis, and are run one after the other, in order. Outputs likewise. Throws Error(BadData).
  std::map<std::string, Array> run(const std::map<std::string, Array>& inputs,
                                   const RunOptions& options = {},
                                   const Observer& observer = {}) const;

  /// Banks of exponents: what each is for, its bytes, what is watched, and `ranges`, the exponents
  /// of each tensor bank by bank; null where the model has none (a JSON object).
  std::string banks() const;
  /// The bank that computes each frame of `inputs`, which are as of run(); the number of banks for
  /// the model's own.
  std::vector<std::size_t> banks_of(const std::map<std::string, Array>& inputs) const;

  /// What the chip computes beside the test values in the file. `exact`: every bit; else as
  /// ESP-DL's own test (int16 within 1). Throws Error(BadData) where the file has none.
  std::vector<Verdict> verify(bool exact = false) const;

  /// Labels in `data` are classes of the first output. `reference`, the float network, may be
  /// empty.
  Evaluation evaluate(const Data& data, const Network& reference = {},
                      const Observer& observer = {}) const;

  /// Nodes, tensors, bytes by kind, memory and milliseconds of each node, as `espquant inspect
  /// --json` prints them.
  std::string inspect() const;
  /// Where each activation lies in the chip's memory, and what else the model takes of it: a JSON
  /// object of `tensors[]` (name, bytes, memory, offset, begin, end, shares), `psram`, `internal`,
  /// `parameters`, `ram`, `overwrites[]`.
  std::string plan(std::size_t internal_ram = 0) const;
  /// As `espquant latency --json` prints it. `board`: a file that `espquant latency --fit` wrote.
  std::string latency(const std::filesystem::path& board = {}, int cores = 1) const;

  struct Impl;
  explicit Model(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<Impl> impl_;
};

/// What the runtime would refuse or compute wrongly in a file.
struct ModelCheck {
  /// No defect was found.
  bool passed = false;
  /// As `espquant check FILE.espdl --json` prints it.
  std::string json;
};

/// Of the named model, else of all in a package. Throws where nothing of it can be read.
ESPQUANT_API ModelCheck check(const std::filesystem::path& file, const ModelOptions& options = {});

}  // namespace espquant
