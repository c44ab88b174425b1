#include <fmt/format.h>

#include "ops/broadcast.h"
#include "ops/gradient.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// Expand, Tile: repeated elements.
namespace espquant::ops {
namespace {

void infer_expand(const InferContext& context) {
  const std::vector<std::int64_t> target = context.constant_ints(1);
  check_extents(target);
  set_output(context, 0, context.dtype(0), broadcast(context.shape(0), target));
}

void run_expand(const RunContext& context) { broadcast_copy(context.in(0), context.outputs[0]); }

void infer_tile(const InferContext& context) {
  Shape out = context.shape(0);
  const std::vector<std::int64_t> repeats = context.constant_ints(1);
  if (repeats.size() != out.size())
    malformed(fmt::format("{} repeats for a tensor of rank {}", repeats.size(), out.size()));
  for (std::size_t d = 0; d < out.size(); ++d) {
    if (repeats[d] < 0) malformed(fmt::format("{} repeats", repeats[d]));
    out[d] = checked_mul(out[d], repeats[d]);
  }
  set_output(context, 0, context.dtype(0), std::move(out));
}

void run_tile(const RunContext& context) {
  // Each axis of extent e repeated r times is a broadcast of (1, e) to (r, e).
  const Shape& in = context.in(0).shape();
  const Shape& out = context.outputs[0].shape();
  if (context.outputs[0].size() == 0) return;
  Shape spread, repeated;
  for (std::size_t d = 0; d < in.size(); ++d) {
    spread.insert(spread.end(), {1, in[d]});
    repeated.insert(repeated.end(), {out[d] / in[d], in[d]});
  }
  Tensor result(context.in(0).dtype(), repeated);
  broadcast_copy(context.in(0).reshaped(spread), result);
  context.outputs[0] = result.reshaped(out);
}

}  // namespace

const OpDef kExpand{"Expand", QuantRule::Float, infer_expand, run_expand, gradient_of_movement};
const OpDef kTile{"Tile", QuantRule::Float, infer_tile, run_tile, gradient_of_movement};

}  // namespace espquant::ops
