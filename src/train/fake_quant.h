#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "graph/graph.h"
#include "target/target.h"

namespace espquant::train {

/// Numbers as the chip's grid has them, for training: a power-of-two step, saturation at the ends.
struct Grid {
  float step = 1;
  float lowest = -128, highest = 127;  ///< integers
  bool half_up = true;                 ///< else ties to even

  static Grid of(int bits, int exponent, Rounding rounding);
  float nearest(float x) const;
};

/// A tensor's: one grid, or one for each index of `axis`.
struct TensorGrids {
  std::vector<Grid> grids;
  int axis = -1;

  static TensorGrids of(const TensorQuant& quant, Rounding rounding);
};

/// Rounds in place.
void round_to(const Grid& grid, std::span<float> values);
/// Of a tensor of `shape`, in ONNX's order.
void round_to(const TensorGrids& grids, const Shape& shape, std::span<float> values);

/// The straight-through gradient: what comes back for rounded values goes on, but for those at the
/// ends of the grid.
void block_saturated(const Grid& grid, std::span<const float> rounded, std::span<float> gradient);

}  // namespace espquant::train
