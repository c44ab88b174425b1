#pragma once

#include <vector>

#include "quant/groups.h"
#include "quant/settings.h"

namespace espquant::quant {

/// Bits of every activation, and of the weights. What shares an exponent shares its width: a layer
/// and the activation behind it, what only moves data, the operands and the result of an Add.
class Widths {
 public:
  /// As `settings` says, by layer. A graph input takes the width of its readers when they agree.
  /// Throws Error(Usage) with the nearest name where a layer of `settings` does not exist. `wide`
  /// (Plan::wide) are values that take 16 bits unless their layer's width is set by name.
  Widths(const Graph& graph, const ValueSets& exponents, const Settings& settings,
         const std::vector<bool>& wide = {});

  int of(ValueId v) const { return bits_[static_cast<std::size_t>(v)]; }
  /// The width a node computes in: that of its output, or of its input where its output is float.
  int of(const Graph& graph, const Node& n) const;
  /// The width of a node's constants: 8 beside activations of 16 bits where the settings ask for it
  /// and has_w8a16().
  int of_weights(const Graph& graph, const Node& n) const;

 private:
  std::vector<int> bits_;
  int weight_bits_;
  std::map<std::string, int> layer_weight_bits_;
};

/// Largest integer of a width.
constexpr int max_q_of(int bits) { return bits == 8 ? 127 : 32767; }

/// Whether ESP-DL has a kernel of int8 weights and int16 activations for the node: a Conv, Gemm or
/// MatMul by a constant, other than depthwise (ESP-DL 3.3.11).
bool has_w8a16(const Graph& graph, const Node& n);

/// Width of the activations that a weighted node of a quantized graph computes with; its weights
/// may have fewer.
int activation_bits(const Graph& graph, const Node& n);

}  // namespace espquant::quant
