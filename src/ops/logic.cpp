#include "ops/broadcast.h"
#include "ops/gradient.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// Comparisons, boolean operators, and Where.
namespace espquant::ops {
namespace {

struct IsEqual {
  template <typename T>
  static bool apply(T a, T b) {
    return a == b;
  }
};
struct IsGreater {
  template <typename T>
  static bool apply(T a, T b) {
    return a > b;
  }
};
struct IsGreaterOrEqual {
  template <typename T>
  static bool apply(T a, T b) {
    return a >= b;
  }
};
struct IsLess {
  template <typename T>
  static bool apply(T a, T b) {
    return a < b;
  }
};
struct IsLessOrEqual {
  template <typename T>
  static bool apply(T a, T b) {
    return a <= b;
  }
};

template <typename Operation>
void run_comparison(const RunContext& context) {
  visit_any(context.in(0).dtype(), [&]<typename T>(T) {
    map_broadcast<T, T, bool>(context.in(0), context.in(1), context.outputs[0],
                              [](T a, T b) { return Operation::apply(a, b); });
  });
}

struct Conjunction {
  static bool apply(bool a, bool b) { return a && b; }
};
struct Disjunction {
  static bool apply(bool a, bool b) { return a || b; }
};
struct ExclusiveOr {
  static bool apply(bool a, bool b) { return a != b; }
};

template <typename Operation>
void run_boolean(const RunContext& context) {
  map_broadcast<bool, bool, bool>(context.in(0), context.in(1), context.outputs[0],
                                  [](bool a, bool b) { return Operation::apply(a, b); });
}

void require_bool(const InferContext& context, std::size_t i) {
  if (context.dtype(i) != DType::Bool)
    malformed("input " + std::to_string(i) + " is of type " +
              std::string(to_string(context.dtype(i))) + ", expected bool");
}

void infer_boolean(const InferContext& context) {
  require_bool(context, 0);
  infer_comparison(context);
}

void infer_not(const InferContext& context) {
  require_bool(context, 0);
  infer_map(context);
}

void run_not(const RunContext& context) {
  const auto from = context.in(0).data<bool>();
  auto to = context.outputs[0].mutable_data<bool>();
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = !from[i];
}

void infer_where(const InferContext& context) {
  require_bool(context, 0);
  context.shape(2);
  require_same_dtype(context, 1, 2);
  const Shape branches = broadcast(context.shape(1), context.shape(2));
  set_output(context, 0, context.dtype(1), broadcast(context.shape(0), branches));
}

void run_where(const RunContext& context) {
  Tensor& out = context.outputs[0];
  const Shape& shape = out.shape();
  std::array<Shape, 3> strides;
  std::array<std::int64_t, 3> step{};
  for (std::size_t k = 0; k < 3; ++k) {
    strides[k] = broadcast_strides(context.in(k).shape(), shape);
    step[k] = shape.empty() ? 0 : strides[k].back();
  }
  const bool* condition = context.in(0).data<bool>().data();
  visit_width(out.dtype(), [&]<typename T>(T) {
    const T* yes = raw<T>(context.in(1)).data();
    const T* no = raw<T>(context.in(2)).data();
    T* to = mutable_raw<T>(out).data();
    for_each_row(shape, strides, [&](std::int64_t at, const auto& from, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i)
        to[at + i] = condition[from[0] + i * step[0]] ? yes[from[1] + i * step[1]]
                                                      : no[from[2] + i * step[2]];
    });
  });
}

}  // namespace

const OpDef kAnd{"And", QuantRule::Float, infer_boolean, run_boolean<Conjunction>};
const OpDef kEqual{"Equal", QuantRule::CompareInputs, infer_comparison, run_comparison<IsEqual>};
const OpDef kGreater{"Greater", QuantRule::CompareInputs, infer_comparison,
                     run_comparison<IsGreater>};
const OpDef kGreaterOrEqual{"GreaterOrEqual", QuantRule::CompareInputs, infer_comparison,
                            run_comparison<IsGreaterOrEqual>};
const OpDef kLess{"Less", QuantRule::CompareInputs, infer_comparison, run_comparison<IsLess>};
const OpDef kLessOrEqual{"LessOrEqual", QuantRule::CompareInputs, infer_comparison,
                         run_comparison<IsLessOrEqual>};
const OpDef kNot{"Not", QuantRule::Float, infer_not, run_not};
const OpDef kOr{"Or", QuantRule::Float, infer_boolean, run_boolean<Disjunction>};
const OpDef kWhere{"Where", QuantRule::Float, infer_where, run_where, gradient_of_movement};
const OpDef kXor{"Xor", QuantRule::Float, infer_boolean, run_boolean<ExclusiveOr>};

}  // namespace espquant::ops
