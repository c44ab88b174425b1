#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "espdl/model.h"
#include "graph/graph.h"
#include "target/target.h"

/// From what a network means to what the chip executes.
namespace espquant::lower {

struct Options {
  std::vector<std::pair<std::string, std::string>> metadata;
};

struct Lowered {
  espdl::Model model;
  /// By tensor name: the order of its axes, for each activation of the network that the chip writes
  /// (stored axis i is axis order[i] of the network).
  std::map<std::string, std::vector<std::int64_t>> order;
};

/// Lowers a quantized Graph (a TensorQuant on every integer tensor) for `target`: activations in
/// N,H,W,C, filters in the chip's order, tables for unary operators, requantize nodes where
/// exponents meet. Transposes are lazy: a value keeps the order it was computed in until a reader
/// needs another. Throws Error(Illegal) or Error(Unsupported) with the node's name, the rule and a
/// remedy for what the chip cannot run correctly.
Lowered lower(const Graph& graph, const Target& target, const Options& options = {});

/// The integers that the chip gets for the bias (input 2) of a Conv or Gemm of a quantized Graph.
/// Throws Error(Illegal) where its field cannot hold them.
Tensor lower_bias(const Graph& graph, const Node& n, const Target& target);

/// The operators that can be lowered.
std::vector<std::string> supported_operators();

/// Metadata key under which the order of a graph input's or output's axes is written ("0,2,3,1":
/// stored axis i is axis perm[i] of the network).
std::string layout_key(std::string_view tensor);

}  // namespace espquant::lower
