#pragma once

#include <span>
#include <vector>

#include "search/width_model.h"

namespace espquant::search {

/// Another candidate beside a known one.
struct Move {
  Config to;
  /// What the widths of layers are expected to make of the known one's noise and costs.
  double noise_factor = 1, milliseconds = 0, flash = 0;
  /// Another value of this choice; npos where widths change.
  std::size_t choice = npos;

  static constexpr std::size_t npos = static_cast<std::size_t>(-1);
};

/// Every layer a width up or down, and every pair of a layer up and one down where the model
/// expects most of each.
std::vector<Move> width_moves(const Field& field, const WidthModel& model, const Config& from);

/// Every other value of every choice that makes sense.
std::vector<Move> choice_moves(const Field& field, const Config& from);

}  // namespace espquant::search
