#include <cmath>
#include <type_traits>

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
};

struct Negative : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>) return -x;
    return wrapping_sub(T{0}, x);
  }
};

struct Signum : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    return static_cast<T>((x > T{0}) - (x < T{0}));
  }
};

#define ESPQUANT_FLOAT_FUNCTION(Name, expression) \
  struct Name : Parameterless {                   \
    using Parameterless::Parameterless;           \
    template <typename T>                         \
    T operator()(T x) const {                     \
      return expression;                          \
    }                                             \
  }
ESPQUANT_FLOAT_FUNCTION(ArcCosine, std::acos(x));
ESPQUANT_FLOAT_FUNCTION(ArcSine, std::asin(x));
ESPQUANT_FLOAT_FUNCTION(ArcTangent, std::atan(x));
ESPQUANT_FLOAT_FUNCTION(AreaCosine, std::acosh(x));
ESPQUANT_FLOAT_FUNCTION(AreaSine, std::asinh(x));
ESPQUANT_FLOAT_FUNCTION(AreaTangent, std::atanh(x));
ESPQUANT_FLOAT_FUNCTION(Ceiling, std::ceil(x));
ESPQUANT_FLOAT_FUNCTION(Cosine, std::cos(x));
ESPQUANT_FLOAT_FUNCTION(ErrorFunction, std::erf(x));
ESPQUANT_FLOAT_FUNCTION(Exponential, std::exp(x));
ESPQUANT_FLOAT_FUNCTION(Floored, std::floor(x));
ESPQUANT_FLOAT_FUNCTION(Logarithm, std::log(x));
ESPQUANT_FLOAT_FUNCTION(HyperbolicCosine, std::cosh(x));
ESPQUANT_FLOAT_FUNCTION(HyperbolicSine, std::sinh(x));
ESPQUANT_FLOAT_FUNCTION(Inverse, T{1} / x);
ESPQUANT_FLOAT_FUNCTION(Rounded, std::nearbyint(x));
ESPQUANT_FLOAT_FUNCTION(Sine, std::sin(x));
ESPQUANT_FLOAT_FUNCTION(SquareRoot, std::sqrt(x));
ESPQUANT_FLOAT_FUNCTION(Tangent, std::tan(x));
#undef ESPQUANT_FLOAT_FUNCTION

}  // namespace

const OpDef kAbs{"Abs", QuantRule::Float, infer_map, run_number_map<Absolute>};
const OpDef kAcos{"Acos", QuantRule::Float, infer_float_map, run_float_map<ArcCosine>};
const OpDef kAcosh{"Acosh", QuantRule::Float, infer_float_map, run_float_map<AreaCosine>};
const OpDef kAsin{"Asin", QuantRule::Float, infer_float_map, run_float_map<ArcSine>};
const OpDef kAsinh{"Asinh", QuantRule::Float, infer_float_map, run_float_map<AreaSine>};
const OpDef kAtan{"Atan", QuantRule::Float, infer_float_map, run_float_map<ArcTangent>};
const OpDef kAtanh{"Atanh", QuantRule::Float, infer_float_map, run_float_map<AreaTangent>};
const OpDef kCeil{"Ceil", QuantRule::Float, infer_float_map, run_float_map<Ceiling>};
const OpDef kCos{"Cos", QuantRule::Float, infer_float_map, run_float_map<Cosine>};
const OpDef kCosh{"Cosh", QuantRule::Float, infer_float_map, run_float_map<HyperbolicCosine>};
const OpDef kErf{"Erf", QuantRule::Float, infer_float_map, run_float_map<ErrorFunction>};
const OpDef kExp{"Exp", QuantRule::Independent, infer_float_map, run_float_map<Exponential>};
const OpDef kFloor{"Floor", QuantRule::Float, infer_float_map, run_float_map<Floored>};
const OpDef kLog{"Log", QuantRule::Independent, infer_float_map, run_float_map<Logarithm>};
// ESP-DL 3.12: Neg keeps the exponent.
const OpDef kNeg{"Neg", QuantRule::PassThrough, infer_map, run_number_map<Negative>};
const OpDef kReciprocal{"Reciprocal", QuantRule::Float, infer_float_map, run_float_map<Inverse>};
const OpDef kRound{"Round", QuantRule::Float, infer_float_map, run_float_map<Rounded>};
const OpDef kSign{"Sign", QuantRule::Float, infer_map, run_number_map<Signum>};
const OpDef kSin{"Sin", QuantRule::Float, infer_float_map, run_float_map<Sine>};
const OpDef kSinh{"Sinh", QuantRule::Float, infer_float_map, run_float_map<HyperbolicSine>};
const OpDef kSqrt{"Sqrt", QuantRule::Independent, infer_float_map, run_float_map<SquareRoot>};
const OpDef kTan{"Tan", QuantRule::Float, infer_float_map, run_float_map<Tangent>};

}  // namespace espquant::ops
