#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ops/broadcast.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// The Reduce family. The axes are an attribute (ReduceSum before opset 13, the others before 18)
/// or input 1.
namespace espquant::ops {
namespace {

/// Which axes go; empty means that the input passes unchanged.
std::vector<std::int64_t> reduced_axes(const Node& node, std::size_t rank,
                                       std::vector<std::int64_t> given) {
  if (!given.empty()) return normalize_axes(std::move(given), static_cast<std::int64_t>(rank));
  if (node.attributes.get_int("noop_with_empty_axes", 0) != 0) return {};
  std::vector<std::int64_t> all(rank);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// The input's shape with extent 1 along the reduced axes.
Shape kept_shape(Shape shape, const std::vector<std::int64_t>& axes) {
  for (std::int64_t axis : axes) shape[static_cast<std::size_t>(axis)] = 1;
  return shape;
}

void infer_reduce(const InferContext& context) {
  const Shape& in = context.shape(0);
  const auto axes = reduced_axes(
      context.node, in.size(),
      context.has(1) ? context.constant_ints(1) : context.node.attributes.get_ints("axes"));
  Shape out = kept_shape(in, axes);
  if (context.node.attributes.get_int("keepdims", 1) == 0)
    for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) out.erase(out.begin() + *axis);
  set_output(context, 0, context.dtype(0), std::move(out));
}

/// For maxima and means of nothing there is no answer; ONNX's sums and products of nothing are 0
/// and 1.
void infer_not_empty(const InferContext& context) {
  infer_reduce(context);
  if (element_count(context.shape(0)) == 0 && element_count(context.outputs[0].shape) != 0)
    bad_data(fmt::format("{} over no elements", context.node.op));
}

void infer_float(const InferContext& context) {
  require_float(context, 0);
  infer_reduce(context);
}

/// Sums are kept in double for floats, so that the order hardly matters; integers wrap in their own
/// type.
template <typename T>
using Accumulator = std::conditional_t<std::is_floating_point_v<T>, double, T>;

/// Reduction operators: start, step, and what becomes of the total of `count` elements.
struct TotalOf {
  template <typename T>
  static Accumulator<T> start() {
    return 0;
  }
  template <typename T>
  static Accumulator<T> step(Accumulator<T> total, T x) {
    return wrapping_add<Accumulator<T>>(total, x);
  }
  template <typename T>
  static T finish(Accumulator<T> total, std::int64_t) {
    return static_cast<T>(total);
  }
};
struct AbsoluteTotal : TotalOf {
  template <typename T>
  static Accumulator<T> step(Accumulator<T> total, T x) {
    return x < T{0} ? wrapping_sub<Accumulator<T>>(total, x)
                    : wrapping_add<Accumulator<T>>(total, x);
  }
};
struct SquareTotal : TotalOf {
  template <typename T>
  static Accumulator<T> step(Accumulator<T> total, T x) {
    const Accumulator<T> wide = x;
    return wrapping_add<Accumulator<T>>(total, wrapping_mul<Accumulator<T>>(wide, wide));
  }
};
struct Euclidean : SquareTotal {
  template <typename T>
  static T finish(Accumulator<T> total, std::int64_t) {
    return static_cast<T>(std::sqrt(static_cast<double>(total)));
  }
};
struct LogTotal : TotalOf {
  template <typename T>
  static T finish(Accumulator<T> total, std::int64_t) {
    return static_cast<T>(std::log(static_cast<double>(total)));
  }
};
struct MeanOf : TotalOf {
  template <typename T>
  static T finish(Accumulator<T> total, std::int64_t count) {
    if constexpr (std::is_floating_point_v<T>)
      return static_cast<T>(total / static_cast<double>(count));
    else
      return to_integer<T>(static_cast<double>(total) / static_cast<double>(count));
  }
};
struct ProductOf : TotalOf {
  template <typename T>
  static Accumulator<T> start() {
    return 1;
  }
  template <typename T>
  static Accumulator<T> step(Accumulator<T> total, T x) {
    return wrapping_mul<Accumulator<T>>(total, x);
  }
};
struct Largest : TotalOf {
  template <typename T>
  static Accumulator<T> start() {
    return std::is_floating_point_v<T> ? -std::numeric_limits<Accumulator<T>>::infinity()
                                       : std::numeric_limits<Accumulator<T>>::lowest();
  }
  template <typename T>
  static Accumulator<T> step(Accumulator<T> best, T x) {
    return x > best || x != x ? x : best;
  }
};
struct Smallest : TotalOf {
  template <typename T>
  static Accumulator<T> start() {
    return std::is_floating_point_v<T> ? std::numeric_limits<Accumulator<T>>::infinity()
                                       : std::numeric_limits<Accumulator<T>>::max();
  }
  template <typename T>
  static Accumulator<T> step(Accumulator<T> best, T x) {
    return x < best || x != x ? x : best;
  }
};

/// Strides, in elements of the reduced tensor, by which the input's elements map to it.
struct Fold {
  std::array<Shape, 1> strides;
  std::int64_t step = 0, results = 1, count = 1;
};

/// Of a RunContext or GradientContext.
template <typename Context>
Fold fold_of(const Context& context) {
  const Shape& in = context.in(0).shape();
  const auto axes = reduced_axes(
      context.node, in.size(),
      context.has(1) ? to_ints(context.in(1)) : context.node.attributes.get_ints("axes"));
  const Shape kept = kept_shape(in, axes);
  Fold fold{{broadcast_strides(kept, in)}};
  fold.step = in.empty() ? 0 : fold.strides[0].back();
  fold.results = element_count(kept);
  fold.count = fold.results == 0 ? 0 : element_count(in) / fold.results;
  return fold;
}

template <typename Operation, typename T>
void reduce(const RunContext& context) {
  const Fold fold = fold_of(context);
  const T* from = context.in(0).data<T>().data();
  std::vector<Accumulator<T>> totals(static_cast<std::size_t>(fold.results),
                                     Operation::template start<T>());
  for_each_row(context.in(0).shape(), fold.strides,
               [&](std::int64_t at, const auto& to, std::int64_t n) {
                 for (std::int64_t i = 0; i < n; ++i) {
                   auto& total = totals[static_cast<std::size_t>(to[0] + i * fold.step)];
                   total = Operation::template step<T>(total, from[at + i]);
                 }
               });
  auto out = context.outputs[0].mutable_data<T>();
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = Operation::template finish<T>(totals[i], fold.count);
}

template <typename Context>
bool passes_unchanged(const Context& context) {
  const auto axes =
      context.has(1) ? to_ints(context.in(1)) : context.node.attributes.get_ints("axes");
  return axes.empty() && context.node.attributes.get_int("noop_with_empty_axes", 0) != 0;
}

template <typename Operation>
void run_reduce(const RunContext& context) {
  if (passes_unchanged(context)) {
    context.outputs[0] = context.in(0);
    return;
  }
  visit_number(context.in(0).dtype(), [&]<typename T>(T) { reduce<Operation, T>(context); });
}

/// Reductions in two passes, so that exp does not overflow: log(sum(exp(x - max))) + max.
void run_log_sum_exp(const RunContext& context) {
  if (passes_unchanged(context)) {
    context.outputs[0] = context.in(0);
    return;
  }
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    const Fold fold = fold_of(context);
    reduce<Largest, T>(context);
    auto out = context.outputs[0].mutable_data<T>();
    std::vector<double> sums(out.size(), 0.0);
    const T* from = context.in(0).data<T>().data();
    const auto shift = [](T largest) {
      return std::isfinite(largest) ? static_cast<double>(largest) : 0.0;
    };
    for_each_row(context.in(0).shape(), fold.strides,
                 [&](std::int64_t at, const auto& to, std::int64_t n) {
                   for (std::int64_t i = 0; i < n; ++i) {
                     const auto r = static_cast<std::size_t>(to[0] + i * fold.step);
                     sums[r] += std::exp(static_cast<double>(from[at + i]) - shift(out[r]));
                   }
                 });
    for (std::size_t r = 0; r < out.size(); ++r)
      out[r] = static_cast<T>(std::log(sums[r]) + shift(out[r]));
  });
}

/// Slopes take (x, y, count): the element, what was made of its `count`, itself included.
struct SlopeOfTotal {
  template <typename T>
  static T at(T, T, std::int64_t) {
    return T{1};
  }
};
struct SlopeOfMean {
  template <typename T>
  static T at(T, T, std::int64_t count) {
    return T{1} / static_cast<T>(count);
  }
};
struct SlopeOfAbsolute {
  template <typename T>
  static T at(T x, T, std::int64_t) {
    return static_cast<T>((x > T{0}) - (x < T{0}));
  }
};
struct SlopeOfSquares {
  template <typename T>
  static T at(T x, T, std::int64_t) {
    return T{2} * x;
  }
};
struct SlopeOfEuclidean {
  template <typename T>
  static T at(T x, T y, std::int64_t) {
    return y == T{0} ? T{0} : x / y;
  }
};
struct SlopeOfLog {
  template <typename T>
  static T at(T, T y, std::int64_t) {
    return std::exp(-y);
  }
};
struct SlopeOfLogExp {
  template <typename T>
  static T at(T x, T y, std::int64_t) {
    return std::exp(x - y);
  }
};

/// f(index of the element, index of its result).
template <typename F>
void for_each_folded(const GradientContext& context, const Fold& fold, F f) {
  for_each_row(
      context.in(0).shape(), fold.strides, [&](std::int64_t at, const auto& to, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i)
          f(static_cast<std::size_t>(at + i), static_cast<std::size_t>(to[0] + i * fold.step));
      });
}

/// True when the node hands its input on, and the gradient has been handed back.
template <typename T>
bool hand_back_unchanged(const GradientContext& context) {
  if (!passes_unchanged(context)) return false;
  const auto dy = context.output_gradients[0].data<T>();
  auto dx = context.input_gradients[0].mutable_data<T>();
  for (std::size_t i = 0; i < dx.size(); ++i) dx[i] += dy[i];
  return true;
}

template <typename Slope>
void gradient_reduce(const GradientContext& context) {
  if (!context.wants(0)) return;
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    if (hand_back_unchanged<T>(context)) return;
    const Fold fold = fold_of(context);
    const auto x = context.in(0).data<T>(), y = context.outputs[0].data<T>(),
               dy = context.output_gradients[0].data<T>();
    auto dx = context.input_gradients[0].mutable_data<T>();
    for_each_folded(context, fold, [&](std::size_t i, std::size_t r) {
      dx[i] += dy[r] * Slope::at(x[i], y[r], fold.count);
    });
  });
}

/// Of several equal ones, the first is the extreme.
void gradient_extreme(const GradientContext& context) {
  if (!context.wants(0)) return;
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    if (hand_back_unchanged<T>(context)) return;
    const auto x = context.in(0).data<T>(), y = context.outputs[0].data<T>(),
               dy = context.output_gradients[0].data<T>();
    auto dx = context.input_gradients[0].mutable_data<T>();
    std::vector<bool> found(y.size(), false);
    for_each_folded(context, fold_of(context), [&](std::size_t i, std::size_t r) {
      if (found[r] || x[i] != y[r]) return;
      found[r] = true;
      dx[i] += dy[r];
    });
  });
}

/// The product of the others: the whole by the element, unless there is a zero.
void gradient_product(const GradientContext& context) {
  if (!context.wants(0)) return;
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    if (hand_back_unchanged<T>(context)) return;
    const Fold fold = fold_of(context);
    const auto x = context.in(0).data<T>(), dy = context.output_gradients[0].data<T>();
    auto dx = context.input_gradients[0].mutable_data<T>();
    std::vector<double> product(dy.size(), 1);
    std::vector<std::int64_t> zeros(dy.size(), 0);
    for_each_folded(context, fold, [&](std::size_t i, std::size_t r) {
      if (x[i] == T{0})
        ++zeros[r];
      else
        product[r] *= static_cast<double>(x[i]);
    });
    for_each_folded(context, fold, [&](std::size_t i, std::size_t r) {
      if (zeros[r] > 1 || (zeros[r] == 1 && x[i] != T{0})) return;
      const double others = x[i] == T{0} ? product[r] : product[r] / static_cast<double>(x[i]);
      dx[i] += dy[r] * static_cast<T>(others);
    });
  });
}

}  // namespace

const OpDef kReduceL1{"ReduceL1", QuantRule::Independent, infer_reduce, run_reduce<AbsoluteTotal>,
                      gradient_reduce<SlopeOfAbsolute>};
const OpDef kReduceL2{"ReduceL2", QuantRule::Independent, infer_float, run_reduce<Euclidean>,
                      gradient_reduce<SlopeOfEuclidean>};
const OpDef kReduceLogSum{"ReduceLogSum", QuantRule::Independent, infer_float, run_reduce<LogTotal>,
                          gradient_reduce<SlopeOfLog>};
const OpDef kReduceLogSumExp{"ReduceLogSumExp", QuantRule::Independent, infer_float,
                             run_log_sum_exp, gradient_reduce<SlopeOfLogExp>};
const OpDef kReduceMax{"ReduceMax", QuantRule::PassThrough, infer_not_empty, run_reduce<Largest>,
                       gradient_extreme};
const OpDef kReduceMean{"ReduceMean", QuantRule::Independent, infer_not_empty, run_reduce<MeanOf>,
                        gradient_reduce<SlopeOfMean>};
const OpDef kReduceMin{"ReduceMin", QuantRule::PassThrough, infer_not_empty, run_reduce<Smallest>,
                       gradient_extreme};
const OpDef kReduceProd{"ReduceProd", QuantRule::Independent, infer_reduce, run_reduce<ProductOf>,
                        gradient_product};
const OpDef kReduceSum{"ReduceSum", QuantRule::Independent, infer_reduce, run_reduce<TotalOf>,
                       gradient_reduce<SlopeOfTotal>};
const OpDef kReduceSumSquare{"ReduceSumSquare", QuantRule::Independent, infer_reduce,
                             run_reduce<SquareTotal>, gradient_reduce<SlopeOfSquares>};

}  // namespace espquant::ops
