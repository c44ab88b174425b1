#pragma once

#include "espdl/model.h"

namespace espquant::test {

/// A Gemm and a table, for the ESP32-S3: the model of every file of banks that is fuzzed.
espdl::Model banked_model();
/// What of a file of banks the fuzz target makes right by itself: what says to whom it belongs.
inline constexpr std::size_t kBanksHead = 24;

}  // namespace espquant::test
