#pragma once

#include <vector>

#include "quant/groups.h"

namespace espquant::quant {

/// A tensor's channels, or several tensors' that must be scaled alike: channel c of all of them may
/// be multiplied by one positive factor of its own without changing the network, if the filters
/// that write it are multiplied and the weights that read it are divided.
struct ChannelGroup {
  std::int64_t channels = 0;
  /// Layers whose output channels, or input channels, these are. A depthwise Conv has both.
  std::vector<NodeId> writers, readers;
  /// Activations in it, axis 1 of each being the channels.
  std::vector<ValueId> values;
  /// The cap that Clips in it share, or 0.
  float cap = 0;
};

/// The groups of a network that have writers and readers and that nothing else pins. `through_adds`
/// joins the operands and results of Adds and Subs; otherwise these pin what they touch.
std::vector<ChannelGroup> channel_groups(const Graph& graph, bool through_adds);

/// Largest |weight| of each output channel of a layer, and of each input channel.
std::vector<float> output_channel_maxima(const Graph& graph, const Node& layer);
std::vector<float> input_channel_maxima(const Graph& graph, const Node& layer);

/// What each output of `layer` gains when input channel c is raised by shift[c] everywhere.
std::vector<double> input_channel_response(const Graph& graph, const Node& layer,
                                           std::span<const float> shift);

/// Multiplies the filters (and biases) of `layer` by `factors`, per output channel.
void scale_output_channels(Graph& graph, const Node& layer, std::span<const float> factors);
/// Divides what `layer` multiplies its input channels by.
void unscale_input_channels(Graph& graph, const Node& layer, std::span<const float> factors);

}  // namespace espquant::quant
