#include <fmt/format.h>

#include "ops/gradient.h"
#include "ops/operators.h"

/// DepthToSpace, SpaceToDepth: blocks of b x b positions move between the channels and the plane of
/// (N,C,H,W).
namespace espquant::ops {
namespace {

std::int64_t block_of(const Node& node) {
  const std::int64_t block = node.attributes.get_int("blocksize", 0);
  if (block < 1 || block > kMaxElements)
    malformed(fmt::format("blocksize is {}, expected at least 1", block));
  return block;
}

bool by_column(const Node& node) {
  const std::string mode = node.attributes.get_string("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    malformed(fmt::format("mode '{}', expected DCR or CRD", mode));
  return mode == "CRD";
}

void infer_depth_to_space(const InferContext& context) {
  require_rank(context, 0, 4, 4);
  const std::int64_t b = block_of(context.node);
  const Shape& x = context.shape(0);
  by_column(context.node);
  if (x[1] % (b * b) != 0)
    bad_data(fmt::format("{} channels do not form blocks of {}x{}", x[1], b, b));
  set_output(context, 0, context.dtype(0),
             {x[0], x[1] / (b * b), checked_mul(x[2], b), checked_mul(x[3], b)});
}

void infer_space_to_depth(const InferContext& context) {
  require_rank(context, 0, 4, 4);
  const std::int64_t b = block_of(context.node);
  const Shape& x = context.shape(0);
  if (x[2] % b != 0 || x[3] % b != 0)
    bad_data(fmt::format("a plane of {}x{} is not made of blocks of {}", x[2], x[3], b));
  set_output(context, 0, context.dtype(0), {x[0], checked_mul(x[1], b * b), x[2] / b, x[3] / b});
}

/// The elements under a finer shape, its axes permuted, then under the output's shape.
void rearrange(const RunContext& context, Shape finer, const std::array<std::int64_t, 6>& perm) {
  context.outputs[0] = context.in(0)
                           .reshaped(std::move(finer))
                           .transposed(perm)
                           .reshaped(context.outputs[0].shape());
}

void run_depth_to_space(const RunContext& context) {
  const std::int64_t b = block_of(context.node);
  const Shape& x = context.in(0).shape();
  const std::int64_t c = x[1] / (b * b);
  if (by_column(context.node))
    rearrange(context, {x[0], c, b, b, x[2], x[3]}, {0, 1, 4, 2, 5, 3});
  else
    rearrange(context, {x[0], b, b, c, x[2], x[3]}, {0, 3, 4, 1, 5, 2});
}

void run_space_to_depth(const RunContext& context) {
  const std::int64_t b = block_of(context.node);
  const Shape& x = context.in(0).shape();
  // ESP-DL 3.14: blocks within channels, which ONNX has no name for.
  const bool within_channels = context.node.attributes.get_string("mode", "DCR") == "CRD";
  rearrange(context, {x[0], x[1], x[2] / b, b, x[3] / b, b},
            within_channels ? std::array<std::int64_t, 6>{0, 1, 3, 5, 2, 4}
                            : std::array<std::int64_t, 6>{0, 3, 5, 1, 2, 4});
}

}  // namespace

const OpDef kDepthToSpace{"DepthToSpace", QuantRule::PassThrough, infer_depth_to_space,
                          run_depth_to_space, gradient_of_movement};
const OpDef kSpaceToDepth{"SpaceToDepth", QuantRule::PassThrough, infer_space_to_depth,
                          run_space_to_depth, gradient_of_movement};

}  // namespace espquant::ops
