#include <fmt/format.h>

#include "ops/broadcast.h"
#include "ops/gradient.h"
#include "ops/operators.h"

/// PRelu: slope * x where x is negative; the slope is broadcast to x, never the other way.
namespace espquant::ops {
namespace {

void infer_prelu(const InferContext& context) {
  require_same_dtype(context, 0, 1);
  const Shape& x = context.shape(0);
  if (context.shape(1).size() > x.size() || broadcast(x, context.shape(1)) != x)
    bad_data(fmt::format("a slope of shape {} cannot be broadcast to {}",
                         to_string(context.shape(1)), to_string(x)));
  infer_map(context);
}

void run_prelu(const RunContext& context) {
  visit_number(context.in(0).dtype(), [&]<typename T>(T) {
    map_broadcast<T, T, T>(context.in(0), context.in(1), context.outputs[0],
                           [](T x, T slope) { return x < T{0} ? wrapping_mul(slope, x) : x; });
  });
}

void gradient_prelu(const GradientContext& context) {
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    add_broadcast_gradients<T>(
        context, [](T x, T slope, T) { return x < T{0} ? slope : T{1}; },
        [](T x, T, T) { return x < T{0} ? x : T{0}; });
  });
}

}  // namespace

const OpDef kPRelu{"PRelu", QuantRule::Independent, infer_prelu, run_prelu, gradient_prelu};

}  // namespace espquant::ops
