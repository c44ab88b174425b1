#pragma once

#include <map>
#include <vector>

#include "calib/patches.h"
#include "ops/executor.h"

namespace espquant::calib {

/// What a layer puts out in float, before its activation, at some positions of some samples.
struct OutputSamples {
  PositionChoice choice;
  std::int64_t channels = 0;
  /// [samples][positions in each][channels]
  std::vector<float> values;

  const float* at(std::int64_t sample, std::int64_t i) const {
    return values.data() + (sample * choice.per_sample + i) * channels;
  }
};
using LayerOutputs = std::map<NodeId, OutputSamples>;

/// Filters wider than this are not followed: their equations take too long to solve.
inline constexpr std::int64_t kMostFollowedColumns = 1024;

/// Room for `samples` samples of the Convs and Gemms among `layers`: several times as many
/// positions as a filter has weights, as far as the samples have them.
LayerOutputs room_for_outputs(const Graph& graph, std::span<const NodeId> layers,
                              std::int64_t samples);

/// Keeps what is observed of sample `sample`, if it is the output of one of the layers. Thread-safe
/// for different samples.
void keep_outputs(const Graph& graph, const ops::Executor::View& view, std::int64_t sample,
                  LayerOutputs& into);

}  // namespace espquant::calib
