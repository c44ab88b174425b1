#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "job/simulate.h"

namespace espquant::job {

/// What is written of a run, and where.
struct RunOutput {
  /// .npz, which memory does not hold, or .npy, of one tensor.
  std::filesystem::path path;
  /// Every activation, with exponent:<tensor>, in ESP-DL's layout.
  bool all_tensors = false;
  /// The chip's integers, with exponent:<tensor>, instead of floats.
  bool integers = false;
};

struct RunResult {
  struct Output {
    Port port;
    std::int64_t count = 0;
    /// The first kFramesShown; all where the file is an .npy, none of all_tensors.
    std::vector<Tensor> frames;
    /// The type and shape that a frame is written in.
    DType written = DType::Undefined;
    Shape written_shape;
  };
  std::vector<Output> outputs;
  /// The bank that computed each frame; empty of a model without banks.
  std::vector<std::size_t> banks;
};

inline constexpr std::size_t kFramesShown = 10;

/// Runs `frames`, one after the other, through the program, or through its banks, and writes what
/// came out. Throws Error(Usage) for another kind of file, and for several tensors in an .npy.
RunResult run_into_file(const measure::BankPrograms& programs, const Frames& frames,
                        const RunOutput& output,
                        const std::function<void(std::int64_t done)>& progress);

/// As `espquant run --json` prints it.
nlohmann::ordered_json json_of(const RunResult& result, const RunOutput& output);

}  // namespace espquant::job
