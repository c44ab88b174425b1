#include "train/fake_quant.h"

#include <algorithm>
#include <cmath>

#include "base/fixed_point.h"

namespace espquant::train {

Grid Grid::of(int bits, int exponent, Rounding rounding) {
  const auto ends = static_cast<float>(std::int64_t{1} << (bits - 1));
  return {pow2(exponent), -ends, ends - 1, rounding == Rounding::HalfUp};
}

float Grid::nearest(float x) const {
  const float steps = x / step;
  const float whole = half_up ? std::floor(steps + 0.5F) : std::nearbyint(steps);
  return std::clamp(whole, lowest, highest) * step;
}

TensorGrids TensorGrids::of(const TensorQuant& quant, Rounding rounding) {
  TensorGrids result;
  result.axis = quant.per_channel() ? quant.axis : -1;
  for (int exponent : quant.exponents)
    result.grids.push_back(Grid::of(quant.bits, exponent, rounding));
  return result;
}

void round_to(const Grid& grid, std::span<float> values) {
  const float inverse = 1 / grid.step;
  if (grid.half_up)
    for (float& x : values)
      x = std::min(std::max(std::floor(x * inverse + 0.5F), grid.lowest), grid.highest) * grid.step;
  else
    for (float& x : values)
      x = std::min(std::max(std::nearbyint(x * inverse), grid.lowest), grid.highest) * grid.step;
}

void round_to(const TensorGrids& grids, const Shape& shape, std::span<float> values) {
  if (grids.axis < 0) return round_to(grids.grids.front(), values);
  std::size_t inner = 1;
  for (std::size_t d = static_cast<std::size_t>(grids.axis) + 1; d < shape.size(); ++d)
    inner *= static_cast<std::size_t>(shape[d]);
  for (std::size_t at = 0; at < values.size(); at += inner)
    round_to(grids.grids[at / inner % grids.grids.size()], values.subspan(at, inner));
}

void block_saturated(const Grid& grid, std::span<const float> rounded, std::span<float> gradient) {
  const float low = grid.lowest * grid.step, high = grid.highest * grid.step;
  for (std::size_t i = 0; i < rounded.size(); ++i)
    if (rounded[i] <= low || rounded[i] >= high) gradient[i] = 0;
}

}  // namespace espquant::train
