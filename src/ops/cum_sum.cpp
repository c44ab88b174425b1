#include "ops/indexing.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// CumSum: sums of the elements up to each along one axis.
namespace espquant::ops {
namespace {

void infer_cum_sum(const InferContext& context) {
  require_rank(context, 0, 1, kMaxRank);
  require_indices(context, 1);
  infer_map(context);
}

void run_cum_sum(const RunContext& context) {
  const Tensor& in = context.in(0);
  const auto given = to_ints(context.in(1));
  if (given.size() != 1) bad_data("the axis must be one number");
  const auto axis = static_cast<std::size_t>(normalize_axes({given[0]}, in.rank()).front());
  const bool exclusive = context.node.attributes.get_int("exclusive", 0) != 0;
  const bool reverse = context.node.attributes.get_int("reverse", 0) != 0;
  const std::int64_t steps = in.shape()[axis];
  std::int64_t inner = 1;
  for (std::size_t i = axis + 1; i < in.shape().size(); ++i) inner *= in.shape()[i];
  const std::int64_t lines = steps == 0 ? 0 : in.size() / steps;
  visit_number(in.dtype(), [&]<typename T>(T) {
    const auto from = in.data<T>();
    auto to = context.outputs[0].mutable_data<T>();
    for (std::int64_t line = 0; line < lines; ++line) {
      T sum{};
      for (std::int64_t step = 0; step < steps; ++step) {
        const std::int64_t position = reverse ? steps - 1 - step : step;
        const auto at = static_cast<std::size_t>(line / inner * inner * steps + position * inner +
                                                 line % inner);
        const T before = sum;
        sum = wrapping_add(sum, from[at]);
        to[at] = exclusive ? before : sum;
      }
    }
  });
}

}  // namespace

const OpDef kCumSum{"CumSum", QuantRule::Float, infer_cum_sum, run_cum_sum};

}  // namespace espquant::ops
