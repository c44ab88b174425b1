#pragma once

#include <optional>
#include <span>

#include "quant/errors.h"

namespace espquant::quant {

/// The bits by which the largest slope enlarges a negative number: the least n >= 0 at which
/// -2^15 * slope fits 16 bits once it is shifted right by n.
int prelu_growth(std::span<const float> slopes);

/// Whether PRelu `n` is a kernel that does not rescale (ESP-DL 3.12): with a slope per channel, 16
/// bits on every chip, 8 bits everywhere but on the S3.
bool prelu_wants_one_exponent(const Graph& graph, const Node& n, int bits, const Target& target);

/// Relative errors of a PRelu's input and output over their groups of values, as `errors` knows
/// them.
struct PReluSide {
  std::span<const ValueId> group;
  float factor = 1;
  int exponent = 0;
};

/// The exponent that input and output of `n` are to share: where that costs little beside
/// exponents of their own, which take a detour through wider integers. Nothing where it costs much.
std::optional<int> shared_prelu_exponent(const Graph& graph, const Node& n,
                                         const ActivationErrors& errors, const PReluSide& in,
                                         const PReluSide& out, int bits);

}  // namespace espquant::quant
