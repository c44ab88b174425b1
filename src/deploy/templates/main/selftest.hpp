#pragma once

#include "model_facts.hpp"

namespace firmware {

// Loads the model and holds it against what the simulator computed on the PC: the test values in
// the file, and the samples of samples.bin, one line each; then RAM and time beside the plan and
// the estimate. Returns whether all was as expected.
bool run_selftest(const ModelFacts& facts);

}  // namespace firmware
