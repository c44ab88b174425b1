#include <fmt/format.h>

#include <numeric>

#include "ops/gradient.h"
#include "ops/operators.h"

namespace espquant::ops {
namespace {

std::vector<std::int64_t> permutation_of(const Node& node, std::size_t rank) {
  std::vector<std::int64_t> reversed(rank);
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  std::vector<std::int64_t> perm = node.attributes.get_ints("perm", reversed);
  if (perm.size() != rank)
    malformed(fmt::format("perm has {} entries for a tensor of rank {}", perm.size(), rank));
  normalize_axes(perm, static_cast<std::int64_t>(rank));
  for (std::int64_t& axis : perm) axis = normalize_axis(axis, static_cast<std::int64_t>(rank));
  return perm;
}

void infer_transpose(const InferContext& context) {
  const Shape& in = context.shape(0);
  set_output(context, 0, context.dtype(0), permuted(in, permutation_of(context.node, in.size())));
}

void run_transpose(const RunContext& context) {
  context.outputs[0] =
      context.in(0).transposed(permutation_of(context.node, context.in(0).shape().size()));
}

}  // namespace

const OpDef kTranspose{"Transpose", QuantRule::PassThrough, infer_transpose, run_transpose,
                       gradient_of_movement};

}  // namespace espquant::ops
