#pragma once

#include <string_view>

#include "tests/fuzz/mutate/mutator.h"

namespace espquant::test {

/// Sound inputs of the fuzz target of that name (kFuzzTargets), the same at every call.
std::vector<Bytes> fuzz_seeds(std::string_view target);

}  // namespace espquant::test
