#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "ops/executor.h"

namespace espquant::strategy {

/// Where the channels (axis 1) of a value stand in memory.
struct Channels {
  std::size_t count = 1, inner = 1;

  static Channels of(const ops::Executor::View& view);
};

/// By channel.
using ChannelMeans = std::vector<float>;

/// Of a - b.
ChannelMeans mean_difference(const Channels& channels, std::span<const float> a,
                             std::span<const float> b);
void subtract_means(const Channels& channels, const ChannelMeans& means, std::span<float> values);

/// By ValueId: whether weighted layers read the value, be it added up, averaged or moved before,
/// and nothing else does. Their biases make up for its mean.
std::vector<bool> means_made_up_for(const Graph& graph);

}  // namespace espquant::strategy
