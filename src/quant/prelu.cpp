#include "quant/prelu.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace espquant::quant {

int prelu_growth(std::span<const float> slopes) {
  // -1 is too much: -32768 becomes 32768.
  constexpr float kLargest = 32767.0F / 32768.0F;
  float up = 0, down = 0;
  for (float slope : slopes) {
    up = std::max(up, slope);
    down = std::max(down, -slope);
  }
  int growth = 0;
  while (growth < 31 && (std::ldexp(up, -growth) > 1 || std::ldexp(down, -growth) > kLargest))
    ++growth;
  return growth;
}

bool prelu_wants_one_exponent(const Graph& graph, const Node& n, int bits, const Target& target) {
  if (n.op != "PRelu" || !graph.value(n.inputs[1]).is_constant()) return false;
  const auto slopes = graph.value(n.inputs[1]).constant.data<float>();
  const bool one_slope =
      std::adjacent_find(slopes.begin(), slopes.end(), std::not_equal_to<>()) == slopes.end();
  if (one_slope) return false;
  // Slopes that vary along several axes are no case for the kernel: the lowering computes them in
  // parts.
  const Shape& shape = graph.value(n.inputs[1]).constant.shape();
  if (std::count_if(shape.begin(), shape.end(), [](std::int64_t extent) { return extent > 1; }) > 1)
    return false;
  if (target.family != Family::S3) return true;
  // The S3's kernel wraps what exceeds 16 bits: there the input is made coarser on its way.
  return bits == 16 && prelu_growth(slopes) == 0;
}

std::optional<int> shared_prelu_exponent(const Graph& graph, const Node& n,
                                         const ActivationErrors& errors, const PReluSide& in,
                                         const PReluSide& out, int bits) {
  // Two requantize nodes are spared for up to this much more noise, or where there is none to speak
  // of.
  constexpr double kCheap = 2.5, kNoNoise = 1e-6;
  const double input_power = errors.mean_square(n.inputs[0]) * in.factor * in.factor;
  const double output_power = errors.mean_square(n.outputs[0]) * out.factor * out.factor;
  if (output_power <= 0) return std::max(in.exponent, out.exponent);
  const auto slopes = graph.value(n.inputs[1]).constant.data<float>();
  double slope_power = 0;
  for (float slope : slopes) slope_power += static_cast<double>(slope) * slope;
  slope_power /= static_cast<double>(std::max<std::size_t>(slopes.size(), 1));
  // What the input loses is enlarged by the slopes on the negative side, half of all.
  const double enlarged =
      input_power > 0 ? (1 + slope_power) / 2 * input_power / output_power : 1.0;
  const auto cost = [&](int in_exponent, int out_exponent) {
    return std::max(enlarged, 1.0) *
               errors.relative(errors.members(in.group), in.factor, in_exponent, bits) +
           errors.relative(errors.members(out.group), out.factor, out_exponent, bits);
  };
  const double apart = cost(in.exponent, out.exponent);
  std::optional<int> best;
  double least = 0;
  for (int e = std::min(in.exponent, out.exponent); e <= std::max(in.exponent, out.exponent); ++e) {
    // Floor instead of rounding, on the negative side.
    const double floor = std::ldexp(1.0, 2 * e) / 4 / 2 / output_power;
    const double together = cost(e, e) + floor;
    if (best && together >= least) continue;
    best = e;
    least = together;
  }
  return least <= kCheap * apart || least <= kNoNoise ? best : std::nullopt;
}

}  // namespace espquant::quant
