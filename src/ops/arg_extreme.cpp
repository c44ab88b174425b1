#include "ops/lines.h"
#include "ops/operators.h"

/// ArgMax, ArgMin.
namespace espquant::ops {
namespace {

std::size_t arg_extreme_axis_of(const Node& node, const Shape& shape) {
  return static_cast<std::size_t>(
      normalize_axis(node.attributes.get_int("axis", 0), static_cast<std::int64_t>(shape.size())));
}

void infer_arg_extreme(const InferContext& context) {
  Shape shape = context.shape(0);
  const std::size_t axis = arg_extreme_axis_of(context.node, shape);
  if (shape[axis] == 0) bad_data("the extreme of no elements");
  shape[axis] = 1;
  if (context.node.attributes.get_int("keepdims", 1) == 0)
    shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
  set_output(context, 0, DType::Int64, std::move(shape));
}

template <bool kMax>
void run_arg_extreme(const RunContext& context) {
  const Tensor& in = context.in(0);
  const std::size_t axis = arg_extreme_axis_of(context.node, in.shape());
  const bool last = context.node.attributes.get_int("select_last_index", 0) != 0;
  auto to = context.outputs[0].mutable_data<std::int64_t>();
  visit_number(in.dtype(), [&]<typename T>(T) {
    const T* from = in.data<T>().data();
    const Lines lines = lines_along(in.shape(), axis, axis + 1);
    for (std::int64_t line = 0; line < lines.count(); ++line) {
      std::int64_t best = 0;
      for (std::int64_t i = 1; i < lines.length; ++i) {
        const T x = from[lines.at(line, i)], y = from[lines.at(line, best)];
        if ((kMax ? x > y : x < y) || (last && x == y)) best = i;
      }
      to[static_cast<std::size_t>(line)] = best;
    }
  });
}

}  // namespace

const OpDef kArgMax{"ArgMax", QuantRule::Float, infer_arg_extreme, run_arg_extreme<true>};
const OpDef kArgMin{"ArgMin", QuantRule::Float, infer_arg_extreme, run_arg_extreme<false>};

}  // namespace espquant::ops
