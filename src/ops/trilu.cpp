#include "ops/gradient.h"
#include "ops/indexing.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// Trilu: the upper or lower triangle of the last two axes, zeros elsewhere.
namespace espquant::ops {
namespace {

void infer_trilu(const InferContext& context) {
  require_rank(context, 0, 2, kMaxRank);
  if (context.has(1)) require_indices(context, 1);
  infer_map(context);
}

void run_trilu(const RunContext& context) {
  const Tensor& in = context.in(0);
  const bool upper = context.node.attributes.get_int("upper", 1) != 0;
  std::int64_t diagonal = 0;
  if (context.has(1)) {
    const auto given = to_ints(context.in(1));
    if (given.size() != 1) bad_data("k must be one number");
    diagonal = given[0];
  }
  const std::int64_t columns = in.shape().back(), rows = in.shape()[in.shape().size() - 2];
  visit_any(in.dtype(), [&]<typename T>(T) {
    const auto from = in.data<T>();
    auto to = context.outputs[0].mutable_data<T>();
    for (std::size_t i = 0; i < from.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      const std::int64_t offset = at % columns - at / columns % rows;
      to[i] = (upper ? offset >= diagonal : offset <= diagonal) ? from[i] : T{};
    }
  });
}

}  // namespace

const OpDef kTrilu{"Trilu", QuantRule::Float, infer_trilu, run_trilu, gradient_of_movement};

}  // namespace espquant::ops
