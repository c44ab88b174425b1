#pragma once

#include <vector>

#include "graph/graph.h"

/// Conv, ConvTranspose and Gemm with constant weights, and what can be moved into these.
namespace espquant::passes {

/// y = x * scale + shift, one entry per channel.
struct Affine {
  std::vector<double> scale, shift;
};

bool is_weighted(const Node& node);

/// True for a Conv, ConvTranspose or canonical Gemm whose weights and bias are float constants.
/// Weights that other nodes read too are copied when they change.
bool can_scale_outputs(const Graph& graph, NodeId id);

/// True when a constant can be added to the outputs: as above, but the weights may be computed.
bool can_shift_outputs(const Graph& graph, NodeId id);

/// Applies `affine`, one entry per output channel, to what the node computes. The new weights are
/// rounded to float32 once.
void scale_outputs(Graph& graph, NodeId id, const Affine& affine);
void shift_outputs(Graph& graph, NodeId id, const std::vector<double>& shift);

/// Makes the Gemm compute from x what it computed from x * scale + shift; one entry per input.
void scale_gemm_inputs(Graph& graph, NodeId id, const Affine& affine);

}  // namespace espquant::passes
