#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/analysis.h"
#include "lower/lower.h"

namespace espquant::analysis {

/// Where the channels of a tensor are, as the chip stores it: how many, and elements from one to
/// the next. None where the network's axis 1 is not told apart.
struct StoredChannels {
  std::int64_t count = 0, inner = 1;
};
StoredChannels stored_channels(const lower::Order& order, const Shape& stored);

/// How the values of one tensor are distributed, in the float network and on the chip.
struct ValuePicture {
  /// As LayerFacts::tensor, and its range.
  std::string tensor;
  double low = 0, high = 0;
  /// Counts in kPictureBins bins of equal width from low to high; what lies beyond is in the last
  /// ones.
  std::vector<std::int64_t> network, chip;
  /// By channel, everything before the tensor being quantized too; empty where channels are not
  /// told apart.
  std::vector<measure::Noise> channels;
};
inline constexpr std::size_t kPictureBins = 64;

/// Of every layer of `analysis`, in its order, on `samples` of `source`: one more pass of the float
/// and of the simulated network. The result does not depend on the number of threads, and memory
/// not on the number of samples.
std::vector<ValuePicture> value_pictures(const strategy::QuantizedModel& made, const Target& target,
                                         const calib::SampleSource& source,
                                         std::span<const std::int64_t> samples,
                                         const Analysis& analysis);

}  // namespace espquant::analysis
