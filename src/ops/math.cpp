#include <cmath>
#include <numbers>
#include <type_traits>

#include "ops/gradient.h"
#include "ops/operators.h"
#include "ops/unary.h"

/// Element-wise functions of one tensor, as <cmath> has them.
namespace espquant::ops {
namespace {

struct Absolute : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) return std::abs(x);
    return x < T{0} ? wrapping_sub(T{0}, x) : x;
  }
  template <typename T>
  T slope(T x) const {
    return static_cast<T>((x > T{0}) - (x < T{0}));
  }
};

struct Negative : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) return -x;
    return wrapping_sub(T{0}, x);
  }
  template <typename T>
  T slope(T) const {
    return T{-1};
  }
};

struct Signum : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    return static_cast<T>((x > T{0}) - (x < T{0}));
  }
};

#define ESPQUANT_FLOAT_FUNCTION(Name, expression, derivative) \
  struct Name : Parameterless {                               \
    using Parameterless::Parameterless;                       \
    template <typename T>                                     \
    T operator()(T x) const {                                 \
      return expression;                                      \
    }                                                         \
    template <typename T>                                     \
    T slope(T x) const {                                      \
      return derivative;                                      \
    }                                                         \
  }
// Steps have no slope that leads anywhere.
#define ESPQUANT_STEP_FUNCTION(Name, expression) \
  struct Name : Parameterless {                  \
    using Parameterless::Parameterless;          \
    template <typename T>                        \
    T operator()(T x) const {                    \
      return expression;                         \
    }                                            \
  }
ESPQUANT_FLOAT_FUNCTION(ArcCosine, std::acos(x), T{-1} / std::sqrt(T{1} - x * x));
ESPQUANT_FLOAT_FUNCTION(ArcSine, std::asin(x), T{1} / std::sqrt(T{1} - x * x));
ESPQUANT_FLOAT_FUNCTION(ArcTangent, std::atan(x), T{1} / (T{1} + x * x));
ESPQUANT_FLOAT_FUNCTION(AreaCosine, std::acosh(x), T{1} / std::sqrt(x * x - T{1}));
ESPQUANT_FLOAT_FUNCTION(AreaSine, std::asinh(x), T{1} / std::sqrt(x * x + T{1}));
ESPQUANT_FLOAT_FUNCTION(AreaTangent, std::atanh(x), T{1} / (T{1} - x * x));
ESPQUANT_STEP_FUNCTION(Ceiling, std::ceil(x));
ESPQUANT_FLOAT_FUNCTION(Cosine, std::cos(x), -std::sin(x));
ESPQUANT_FLOAT_FUNCTION(ErrorFunction, std::erf(x),
                        T{2} * std::numbers::inv_sqrtpi_v<T> * std::exp(-x * x));
ESPQUANT_FLOAT_FUNCTION(Exponential, std::exp(x), std::exp(x));
ESPQUANT_STEP_FUNCTION(Floored, std::floor(x));
ESPQUANT_FLOAT_FUNCTION(Logarithm, std::log(x), T{1} / x);
ESPQUANT_FLOAT_FUNCTION(HyperbolicCosine, std::cosh(x), std::sinh(x));
ESPQUANT_FLOAT_FUNCTION(HyperbolicSine, std::sinh(x), std::cosh(x));
ESPQUANT_FLOAT_FUNCTION(Inverse, T{1} / x, T{-1} / (x * x));
ESPQUANT_STEP_FUNCTION(Rounded, std::nearbyint(x));
ESPQUANT_FLOAT_FUNCTION(Sine, std::sin(x), std::cos(x));
ESPQUANT_FLOAT_FUNCTION(SquareRoot, std::sqrt(x), T{0.5} / std::sqrt(x));
ESPQUANT_FLOAT_FUNCTION(Tangent, std::tan(x), T{1} / (std::cos(x) * std::cos(x)));
#undef ESPQUANT_FLOAT_FUNCTION
#undef ESPQUANT_STEP_FUNCTION

}  // namespace

const OpDef kAbs{"Abs", QuantRule::Float, infer_map, run_number_map<Absolute>,
                 gradient_float_map<Absolute>};
const OpDef kAcos{"Acos", QuantRule::Float, infer_float_map, run_float_map<ArcCosine>,
                  gradient_float_map<ArcCosine>};
const OpDef kAcosh{"Acosh", QuantRule::Float, infer_float_map, run_float_map<AreaCosine>,
                   gradient_float_map<AreaCosine>};
const OpDef kAsin{"Asin", QuantRule::Float, infer_float_map, run_float_map<ArcSine>,
                  gradient_float_map<ArcSine>};
const OpDef kAsinh{"Asinh", QuantRule::Float, infer_float_map, run_float_map<AreaSine>,
                   gradient_float_map<AreaSine>};
const OpDef kAtan{"Atan", QuantRule::Float, infer_float_map, run_float_map<ArcTangent>,
                  gradient_float_map<ArcTangent>};
const OpDef kAtanh{"Atanh", QuantRule::Float, infer_float_map, run_float_map<AreaTangent>,
                   gradient_float_map<AreaTangent>};
const OpDef kCeil{"Ceil", QuantRule::Float, infer_float_map, run_float_map<Ceiling>};
const OpDef kCos{"Cos", QuantRule::Float, infer_float_map, run_float_map<Cosine>,
                 gradient_float_map<Cosine>};
const OpDef kCosh{"Cosh", QuantRule::Float, infer_float_map, run_float_map<HyperbolicCosine>,
                  gradient_float_map<HyperbolicCosine>};
const OpDef kErf{"Erf", QuantRule::Float, infer_float_map, run_float_map<ErrorFunction>,
                 gradient_float_map<ErrorFunction>};
const OpDef kExp{"Exp", QuantRule::Independent, infer_float_map, run_float_map<Exponential>,
                 gradient_float_map<Exponential>};
const OpDef kFloor{"Floor", QuantRule::Float, infer_float_map, run_float_map<Floored>};
const OpDef kLog{"Log", QuantRule::Independent, infer_float_map, run_float_map<Logarithm>,
                 gradient_float_map<Logarithm>};
// ESP-DL 3.12: Neg keeps the exponent.
const OpDef kNeg{"Neg", QuantRule::PassThrough, infer_map, run_number_map<Negative>,
                 gradient_float_map<Negative>};
const OpDef kReciprocal{"Reciprocal", QuantRule::Float, infer_float_map, run_float_map<Inverse>,
                        gradient_float_map<Inverse>};
const OpDef kRound{"Round", QuantRule::Float, infer_float_map, run_float_map<Rounded>};
const OpDef kSign{"Sign", QuantRule::Float, infer_map, run_number_map<Signum>};
const OpDef kSin{"Sin", QuantRule::Float, infer_float_map, run_float_map<Sine>,
                 gradient_float_map<Sine>};
const OpDef kSinh{"Sinh", QuantRule::Float, infer_float_map, run_float_map<HyperbolicSine>,
                  gradient_float_map<HyperbolicSine>};
const OpDef kSqrt{"Sqrt", QuantRule::Independent, infer_float_map, run_float_map<SquareRoot>,
                  gradient_float_map<SquareRoot>};
const OpDef kTan{"Tan", QuantRule::Float, infer_float_map, run_float_map<Tangent>,
                 gradient_float_map<Tangent>};

}  // namespace espquant::ops
