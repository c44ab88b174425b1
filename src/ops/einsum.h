#pragma once

#include <string_view>
#include <vector>

#include "base/shape.h"

namespace espquant::ops {

/// An Einsum equation, every axis of every operand labelled. Letters are their character; the axes
/// under an ellipsis, counted from the last one, -1, -2, ...
struct EinsumTerms {
  std::vector<std::vector<int>> inputs;
  std::vector<int> output;
};

/// Reads an equation ("bij,bjk->bik", "...ij->...ji", "ij,jk"). Without an arrow the output has the
/// ellipsis, then the letters that occur once, in alphabetical order. Throws Error(Malformed).
EinsumTerms parse_einsum(std::string_view equation, const std::vector<Shape>& operands);

/// The extent of a label, over all operands; 1 where it stands for broadcast axes only. Throws
/// Error(BadData) when operands disagree.
std::int64_t extent_of_label(const EinsumTerms& terms, const std::vector<Shape>& operands,
                             int label);

}  // namespace espquant::ops
