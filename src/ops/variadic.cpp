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

/// To each input, where chosen(x, y) says so, `share` of what comes back.
template <typename Chosen>
void gradient_variadic(const GradientContext& context, double share, Chosen chosen) {
  const Shape& shape = context.outputs[0].shape();
  visit_float(context.outputs[0].dtype(), [&]<typename T>(T) {
    const T* y = context.outputs[0].data<T>().data();
    const T* dy = context.output_gradients[0].data<T>().data();
    std::vector<bool> given(static_cast<std::size_t>(context.outputs[0].size()), false);
    for (std::size_t k = 0; k < context.inputs.size(); ++k) {
      T* to = context.wants(k) ? context.input_gradients[k].mutable_data<T>().data() : nullptr;
      const std::array<Shape, 1> strides{broadcast_strides(context.in(k).shape(), shape)};
      const std::int64_t step = shape.empty() ? 0 : strides[0].back();
      const T* x = context.in(k).data<T>().data();
      for_each_row(shape, strides, [&](std::int64_t at, const auto& from, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) {
          const std::int64_t source = from[0] + i * step;
          if (!chosen(x[source], y[at + i], given, static_cast<std::size_t>(at + i))) continue;
          if (to != nullptr) to[source] += dy[at + i] * static_cast<T>(share);
        }
      });
    }
  });
}

/// Of several equal ones, the first is the extreme.
void gradient_extremes(const GradientContext& context) {
  gradient_variadic(context, 1, [](auto x, auto y, std::vector<bool>& given, std::size_t at) {
    if (given[at] || x != y) return false;
    given[at] = true;
    return true;
  });
}

void gradient_sum(const GradientContext& context) {
  gradient_variadic(context, 1, [](auto, auto, std::vector<bool>&, std::size_t) { return true; });
}

void gradient_mean(const GradientContext& context) {
  gradient_variadic(context, 1.0 / static_cast<double>(context.inputs.size()),
                    [](auto, auto, std::vector<bool>&, std::size_t) { return true; });
}

}  // namespace

const OpDef kMax{"Max", QuantRule::Float, infer_broadcast, run_variadic<Greatest>,
                 gradient_extremes};
const OpDef kMean{"Mean", QuantRule::Float, infer_mean, run_mean, gradient_mean};
const OpDef kMin{"Min", QuantRule::Float, infer_broadcast, run_variadic<Least>, gradient_extremes};
const OpDef kSum{"Sum", QuantRule::Float, infer_broadcast, run_variadic<Total>, gradient_sum};

}  // namespace espquant::ops
