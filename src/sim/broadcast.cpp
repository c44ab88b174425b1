#include "sim/broadcast.h"

#include <fmt/format.h>

#include "sim/prepare.h"

namespace espquant::sim {
namespace {

struct AxisPair {
  std::int64_t a, b;
};

bool merge(AxisPair& outer, AxisPair& inner) {
  const bool both = outer.a == outer.b && inner.a == inner.b;
  const bool a_repeats = outer.a == 1 && inner.a == 1;
  const bool b_repeats = outer.b == 1 && inner.b == 1;
  if (!both && !a_repeats && !b_repeats) return false;
  outer.a *= inner.a;
  outer.b *= inner.b;
  inner = {1, 1};
  return true;
}

/// The runtime's greedy order: an axis swallows all it can; what is left of a swallowed axis is an
/// empty one that the next may fill. This decides what the innermost extent is, hence formulas.
std::vector<AxisPair> merge_axes(std::vector<AxisPair> axes) {
  for (std::size_t i = 0; i < axes.size(); ++i) {
    std::size_t j = i + 1;
    while (j < axes.size() && merge(axes[i], axes[j])) ++j;
    if (j == axes.size()) {
      axes.resize(i + 1);
      break;
    }
  }
  return axes;
}

}  // namespace

Broadcast merge_broadcast(const Shape& a, const Shape& b) {
  Broadcast result;
  result.shape = broadcast(a, b);
  const std::size_t rank = result.shape.size();
  if (rank == 0)
    refuse("both operands are scalars without axes, for which ESP-DL runs nothing",
           "Reshape one operand to a tensor with one axis");

  std::vector<AxisPair> axes(rank, {1, 1});
  for (std::size_t i = 0; i < a.size(); ++i) axes[rank - a.size() + i].a = a[i];
  for (std::size_t i = 0; i < b.size(); ++i) axes[rank - b.size() + i].b = b[i];
  axes = merge_axes(std::move(axes));
  if (axes.size() > Broadcast::kMaxAxes)
    refuse(
        fmt::format("shapes {} and {} broadcast along {} separate groups of axes, ESP-DL takes 4",
                    to_string(a), to_string(b), axes.size()),
        "Reshape the operands so that neighbouring axes broadcast alike");

  std::int64_t step_a = 1, step_b = 1;
  for (std::size_t i = axes.size(), slot = Broadcast::kMaxAxes; i-- > 0;) {
    --slot;
    const AxisPair axis = axes[i];
    result.extents[slot] = axis.a == 1 ? axis.b : axis.a;
    result.strides0[slot] = axis.a == 1 ? 0 : step_a;
    result.strides1[slot] = axis.b == 1 ? 0 : step_b;
    step_a *= axis.a;
    step_b *= axis.b;
  }
  result.single0 = axes.back().a == 1;
  result.single1 = axes.back().b == 1;
  return result;
}

}  // namespace espquant::sim
