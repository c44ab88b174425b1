#pragma once

#include <vector>

#include "quant/groups.h"
#include "quant/settings.h"

namespace espquant::quant {

/// Bits of every activation. What shares an exponent shares its width: a layer and the activation
/// behind it, what only moves data, the operands and the result of an Add.
class Widths {
 public:
  /// As `settings` says, by layer. A graph input takes the width of its readers when they agree.
  /// Throws Error(Usage) with the nearest name where a layer of `settings` does not exist.
  Widths(const Graph& graph, const ValueSets& exponents, const Settings& settings);

  int of(ValueId v) const { return bits_[static_cast<std::size_t>(v)]; }
  /// The width a node computes in: that of its output, or of its input where its output is float.
  int of(const Graph& graph, const Node& n) const;

 private:
  std::vector<int> bits_;
};

/// Largest integer of a width.
constexpr int max_q_of(int bits) { return bits == 8 ? 127 : 32767; }

/// The widest integers for which ESP-DL has a kernel of `op`.
int widest_bits(std::string_view op);

}  // namespace espquant::quant
