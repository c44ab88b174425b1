#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "job/data.h"
#include "job/simulate.h"

namespace espquant::job {

/// Files with frames for a program's inputs, as a user names them.
struct RunInputs {
  /// "FILE", or "NAME=FILE" where NAME is one of the inputs: a picture, a folder of them, an array
  /// (.npy, .npz) or the chip's own bytes (.bin).
  std::vector<std::string> files;
  /// Settings of the preprocessing, which override what the model says of it.
  DataOptions pictures;
  /// Only the first ones; 0: all.
  std::int64_t count = 0;
  /// Every file holds the chip's own bytes.
  bool raw = false;
};

/// The frames of every input, as real_frames_of() if `real`. Hears of pictures that the model does
/// not say how to prepare. Throws Error(Usage) for an input without frames or a file without an
/// input, Error(BadData) for what does not fit, with the file.
Frames read_frames(const sim::Program& program, const RunInputs& inputs, bool real,
                   const Tell& tell);

}  // namespace espquant::job
