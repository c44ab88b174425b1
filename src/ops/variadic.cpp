#include <algorithm>
#include <cmath>
#include <utility>

#include "ops/broadcast.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// Max, Mean, Min, Sum of any number of broadcast tensors.
namespace espquant::ops {
namespace {

/// NaN wins, as in NumPy.
struct Greatest {
  template <typename T>
  static T apply(T a, T b) {
    return b > a || b != b ? b : a;
  }
};
struct Least {
  template <typename T>
  static T apply(T a, T b) {
    return b < a || b != b ? b : a;
  }
};
struct Total {
  template <typename T>
  static T apply(T a, T b) {
    return wrapping_add(a, b);
  }
};

template <typename Operation>
void run_variadic(const RunContext& context) {
  Tensor& out = context.outputs[0];
  broadcast_copy(context.in(0), out);
  visit_number(out.dtype(), [&]<typename T>(T) {
    for (std::size_t i = 1; i < context.inputs.size(); ++i) {
      const Tensor so_far = std::exchange(out, Tensor(out.dtype(), out.shape()));
      map_broadcast<T, T, T>(so_far, context.in(i), out,
                             [](T a, T b) { return Operation::apply(a, b); });
    }
  });
}

void run_mean(const RunContext& context) {
  run_variadic<Total>(context);
  visit_float(context.outputs[0].dtype(), [&]<typename T>(T) {
    for (T& x : context.outputs[0].mutable_data<T>()) x /= static_cast<T>(context.inputs.size());
  });
}

void infer_mean(const InferContext& context) {
  require_float(context, 0);
  infer_broadcast(context);
}

}  // namespace

const OpDef kMax{"Max", QuantRule::Float, infer_broadcast, run_variadic<Greatest>};
const OpDef kMean{"Mean", QuantRule::Float, infer_mean, run_mean};
const OpDef kMin{"Min", QuantRule::Float, infer_broadcast, run_variadic<Least>};
const OpDef kSum{"Sum", QuantRule::Float, infer_broadcast, run_variadic<Total>};

}  // namespace espquant::ops
