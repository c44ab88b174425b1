#include <cmath>
#include <type_traits>

#include "ops/broadcast.h"
#include "ops/gradient.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// Add, Sub, Mul, Div, Mod, Pow of two broadcast tensors.
namespace espquant::ops {
namespace {

template <typename T>
T divide(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) bad_data("integer division by zero");
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return wrapping_sub(T{0}, a);
    return static_cast<T>(a / b);
  } else {
    return a / b;
  }
}

/// The remainder has the sign of the divisor.
template <typename T>
T floor_modulo(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) bad_data("modulo by zero");
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return 0;
    const T rest = static_cast<T>(a % b);
    if constexpr (std::is_signed_v<T>)
      if (rest != 0 && (rest < 0) != (b < 0)) return static_cast<T>(rest + b);
    return rest;
  } else {
    const T rest = std::fmod(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  }
}

/// The remainder has the sign of the dividend.
template <typename T>
T truncated_modulo(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) bad_data("modulo by zero");
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return 0;
    return static_cast<T>(a % b);
  } else {
    return std::fmod(a, b);
  }
}

template <typename T>
T integer_power(T base, std::uint64_t exponent) {
  T result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if (exponent & 1) result = wrapping_mul(result, base);
    base = wrapping_mul(base, base);
  }
  return result;
}

template <typename Base, typename Exponent>
Base power(Base base, Exponent exponent) {
  if constexpr (std::is_integral_v<Base> && std::is_integral_v<Exponent>) {
    if constexpr (std::is_signed_v<Exponent>)
      if (exponent < 0)
        return to_integer<Base>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
    return integer_power(base, static_cast<std::uint64_t>(exponent));
  } else if constexpr (std::is_integral_v<Base>) {
    return to_integer<Base>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  } else {
    return std::pow(base, static_cast<Base>(exponent));
  }
}

template <typename Operation>
void run_arithmetic(const RunContext& context) {
  visit_number(context.in(0).dtype(), [&]<typename T>(T) {
    map_broadcast<T, T, T>(context.in(0), context.in(1), context.outputs[0],
                           [](T a, T b) { return Operation::apply(a, b); });
  });
}

struct Sum2 {
  template <typename T>
  static T apply(T a, T b) {
    return wrapping_add(a, b);
  }
};
struct ArithmeticDifference {
  template <typename T>
  static T apply(T a, T b) {
    return wrapping_sub(a, b);
  }
};
struct ArithmeticProduct {
  template <typename T>
  static T apply(T a, T b) {
    return wrapping_mul(a, b);
  }
};
struct ArithmeticQuotient {
  template <typename T>
  static T apply(T a, T b) {
    return divide(a, b);
  }
};

void infer_mod(const InferContext& context) {
  if (is_float(context.dtype(0)) && context.node.attributes.get_int("fmod", 0) == 0)
    malformed("Mod of floating point numbers needs fmod=1");
  infer_binary(context);
}

void run_mod(const RunContext& context) {
  const bool truncated = context.node.attributes.get_int("fmod", 0) != 0;
  visit_number(context.in(0).dtype(), [&]<typename T>(T) {
    map_broadcast<T, T, T>(context.in(0), context.in(1), context.outputs[0], [&](T a, T b) {
      return truncated ? truncated_modulo(a, b) : floor_modulo(a, b);
    });
  });
}

void infer_pow(const InferContext& context) {
  set_output(context, 0, context.dtype(0), broadcast(context.shape(0), context.shape(1)));
}

void run_pow(const RunContext& context) {
  visit_number(context.in(0).dtype(), [&]<typename Base>(Base) {
    visit_number(context.in(1).dtype(), [&]<typename Exponent>(Exponent) {
      map_broadcast<Base, Exponent, Base>(
          context.in(0), context.in(1), context.outputs[0],
          [](Base base, Exponent exponent) { return power(base, exponent); });
    });
  });
}

/// Each slope takes (a, b, y).
template <typename SlopeA, typename SlopeB>
void gradient_of_arithmetic(const GradientContext& context, SlopeA slope_a, SlopeB slope_b) {
  visit_float(context.in(0).dtype(),
              [&]<typename T>(T) { add_broadcast_gradients<T>(context, slope_a, slope_b); });
}

void gradient_add(const GradientContext& context) {
  const auto one = []<typename T>(T, T, T) { return T{1}; };
  gradient_of_arithmetic(context, one, one);
}

void gradient_sub(const GradientContext& context) {
  gradient_of_arithmetic(
      context, []<typename T>(T, T, T) { return T{1}; }, []<typename T>(T, T, T) { return T{-1}; });
}

void gradient_mul(const GradientContext& context) {
  gradient_of_arithmetic(
      context, []<typename T>(T, T b, T) { return b; }, []<typename T>(T a, T, T) { return a; });
}

void gradient_div(const GradientContext& context) {
  gradient_of_arithmetic(
      context, []<typename T>(T, T b, T) { return T{1} / b; },
      []<typename T>(T, T b, T y) { return -y / b; });
}

void gradient_pow(const GradientContext& context) {
  if (context.in(1).dtype() != context.in(0).dtype())
    unsupported("the gradient of a power whose exponent is of another type",
                "Export the network in float32");
  gradient_of_arithmetic(
      context, []<typename T>(T a, T b, T) { return b == T{0} ? T{0} : b * std::pow(a, b - T{1}); },
      []<typename T>(T a, T, T y) { return a > T{0} ? y * std::log(a) : T{0}; });
}

}  // namespace

const OpDef kAdd{"Add", QuantRule::AlignInputs, infer_binary, run_arithmetic<Sum2>, gradient_add};
const OpDef kDiv{"Div", QuantRule::Independent, infer_binary, run_arithmetic<ArithmeticQuotient>,
                 gradient_div};
const OpDef kMod{"Mod", QuantRule::Independent, infer_mod, run_mod};
const OpDef kMul{"Mul", QuantRule::Independent, infer_binary, run_arithmetic<ArithmeticProduct>,
                 gradient_mul};
const OpDef kPow{"Pow", QuantRule::Independent, infer_pow, run_pow, gradient_pow};
const OpDef kSub{"Sub", QuantRule::AlignInputs, infer_binary, run_arithmetic<ArithmeticDifference>,
                 gradient_sub};

}  // namespace espquant::ops
