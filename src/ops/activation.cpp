#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/gradient.h"
#include "ops/operators.h"
#include "ops/unary.h"

/// Activation functions: element-wise, with attributes.
namespace espquant::ops {
namespace {

template <typename T>
T logistic(T x) {
  return T{1} / (T{1} + std::exp(-x));
}

/// log(1 + exp(x)) without overflow.
template <typename T>
T log1p_exp(T x) {
  return std::max(x, T{0}) + std::log1p(std::exp(-std::abs(x)));
}

struct Rectified : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    return x < T{0} ? T{0} : x;
  }
  template <typename T>
  T slope(T x) const {
    return x > T{0} ? T{1} : T{0};
  }
};

struct Leaky {
  explicit Leaky(const Attributes& a) : alpha(a.get_float("alpha", 0.01F)) {}
  template <typename T>
  T operator()(T x) const {
    return x < T{0} ? x * static_cast<T>(alpha) : x;
  }
  template <typename T>
  T slope(T x) const {
    return x < T{0} ? static_cast<T>(alpha) : T{1};
  }
  float alpha;
};

struct ExponentialLinear {
  explicit ExponentialLinear(const Attributes& a) : alpha(a.get_float("alpha", 1.0F)) {}
  template <typename T>
  T operator()(T x) const {
    return x < T{0} ? static_cast<T>(alpha) * std::expm1(x) : x;
  }
  template <typename T>
  T slope(T x) const {
    return x < T{0} ? static_cast<T>(alpha) * std::exp(x) : T{1};
  }
  float alpha;
};

struct ScaledExponentialLinear {
  explicit ScaledExponentialLinear(const Attributes& a)
      : alpha(a.get_float("alpha", 1.67326319217681884765625F)),
        gamma(a.get_float("gamma", 1.05070102214813232421875F)) {}
  template <typename T>
  T operator()(T x) const {
    const T y = x > T{0} ? x : static_cast<T>(alpha) * std::expm1(x);
    return static_cast<T>(gamma) * y;
  }
  template <typename T>
  T slope(T x) const {
    return static_cast<T>(gamma) * (x > T{0} ? T{1} : static_cast<T>(alpha) * std::exp(x));
  }
  float alpha, gamma;
};

struct ContinuousExponentialLinear {
  explicit ContinuousExponentialLinear(const Attributes& a) : alpha(a.get_float("alpha", 1.0F)) {}
  template <typename T>
  T operator()(T x) const {
    const T a = static_cast<T>(alpha);
    return x < T{0} ? a * std::expm1(x / a) : x;
  }
  template <typename T>
  T slope(T x) const {
    return x < T{0} ? std::exp(x / static_cast<T>(alpha)) : T{1};
  }
  float alpha;
};

struct Logistic : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    return logistic(x);
  }
  template <typename T>
  T slope(T x) const {
    return logistic(x) * logistic(-x);
  }
};

struct PiecewiseLogistic {
  explicit PiecewiseLogistic(const Attributes& a)
      : alpha(a.get_float("alpha", 0.2F)), beta(a.get_float("beta", 0.5F)) {}
  template <typename T>
  T operator()(T x) const {
    return std::clamp(static_cast<T>(alpha) * x + static_cast<T>(beta), T{0}, T{1});
  }
  template <typename T>
  T slope(T x) const {
    const T y = static_cast<T>(alpha) * x + static_cast<T>(beta);
    return y > T{0} && y < T{1} ? static_cast<T>(alpha) : T{0};
  }
  float alpha, beta;
};

struct PiecewiseSwish : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    return x * std::clamp(x / T{6} + T{0.5}, T{0}, T{1});
  }
  template <typename T>
  T slope(T x) const {
    if (x <= T{-3}) return T{0};
    return x >= T{3} ? T{1} : x / T{3} + T{0.5};
  }
};

struct HyperbolicTangent : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    return std::tanh(x);
  }
  template <typename T>
  T slope(T x) const {
    return T{1} - std::tanh(x) * std::tanh(x);
  }
};

struct SmoothRectified : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    return log1p_exp(x);
  }
  template <typename T>
  T slope(T x) const {
    return logistic(x);
  }
};

struct SoftSign : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    return x / (T{1} + std::abs(x));
  }
  template <typename T>
  T slope(T x) const {
    return T{1} / ((T{1} + std::abs(x)) * (T{1} + std::abs(x)));
  }
};

struct MishFunction : Parameterless {
  using Parameterless::Parameterless;
  template <typename T>
  T operator()(T x) const {
    return x * std::tanh(log1p_exp(x));
  }
  template <typename T>
  T slope(T x) const {
    const T t = std::tanh(log1p_exp(x));
    return t + x * (T{1} - t * t) * logistic(x);
  }
};

struct SwishFunction {
  explicit SwishFunction(const Attributes& a) : alpha(a.get_float("alpha", 1.0F)) {}
  template <typename T>
  T operator()(T x) const {
    return x * logistic(static_cast<T>(alpha) * x);
  }
  template <typename T>
  T slope(T x) const {
    const T a = static_cast<T>(alpha), s = logistic(a * x);
    return s + a * x * s * logistic(-a * x);
  }
  float alpha;
};

struct Thresholded {
  explicit Thresholded(const Attributes& a) : alpha(a.get_float("alpha", 1.0F)) {}
  template <typename T>
  T operator()(T x) const {
    return x > static_cast<T>(alpha) ? x : T{0};
  }
  template <typename T>
  T slope(T x) const {
    return x > static_cast<T>(alpha) ? T{1} : T{0};
  }
  float alpha;
};

struct Shrunk {
  explicit Shrunk(const Attributes& a)
      : bias(a.get_float("bias", 0.0F)), lambd(a.get_float("lambd", 0.5F)) {}
  template <typename T>
  T operator()(T x) const {
    if (x < -static_cast<T>(lambd)) return x + static_cast<T>(bias);
    return x > static_cast<T>(lambd) ? x - static_cast<T>(bias) : T{0};
  }
  template <typename T>
  T slope(T x) const {
    return std::abs(x) > static_cast<T>(lambd) ? T{1} : T{0};
  }
  float bias, lambd;
};

struct GaussianLinear {
  explicit GaussianLinear(const Attributes& a) {
    const std::string approximate = a.get_string("approximate", "none");
    if (approximate != "none" && approximate != "tanh")
      malformed("approximate is '" + approximate + "', expected 'none' or 'tanh'");
    by_tanh = approximate == "tanh";
  }
  template <typename T>
  T operator()(T x) const {
    if (!by_tanh) return T{0.5} * x * (T{1} + std::erf(x / std::numbers::sqrt2_v<T>));
    const T scale = std::sqrt(T{2} * std::numbers::inv_pi_v<T>);
    return T{0.5} * x * (T{1} + std::tanh(scale * (x + static_cast<T>(0.044715) * x * x * x)));
  }
  template <typename T>
  T slope(T x) const {
    if (!by_tanh)
      return T{0.5} * (T{1} + std::erf(x / std::numbers::sqrt2_v<T>)) +
             x * std::exp(x * x / T{-2}) * std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
    const T scale = std::sqrt(T{2} * std::numbers::inv_pi_v<T>), cubic = static_cast<T>(0.044715);
    const T t = std::tanh(scale * (x + cubic * x * x * x));
    return T{0.5} * (T{1} + t) +
           T{0.5} * x * (T{1} - t * t) * scale * (T{1} + T{3} * cubic * x * x);
  }
  bool by_tanh = false;
};

void infer_gelu(const InferContext& context) {
  const GaussianLinear validated(context.node.attributes);
  static_cast<void>(validated);
  infer_float_map(context);
}

}  // namespace

const OpDef kCelu{"Celu", QuantRule::Float, infer_float_map,
                  run_float_map<ContinuousExponentialLinear>,
                  gradient_float_map<ContinuousExponentialLinear>};
const OpDef kElu{"Elu", QuantRule::Independent, infer_float_map, run_float_map<ExponentialLinear>,
                 gradient_float_map<ExponentialLinear>};
const OpDef kGelu{"Gelu", QuantRule::Independent, infer_gelu, run_float_map<GaussianLinear>,
                  gradient_float_map<GaussianLinear>};
const OpDef kHardSigmoid{"HardSigmoid", QuantRule::Independent, infer_float_map,
                         run_float_map<PiecewiseLogistic>, gradient_float_map<PiecewiseLogistic>};
const OpDef kHardSwish{"HardSwish", QuantRule::Independent, infer_float_map,
                       run_float_map<PiecewiseSwish>, gradient_float_map<PiecewiseSwish>};
const OpDef kLeakyRelu{"LeakyRelu", QuantRule::Independent, infer_float_map, run_float_map<Leaky>,
                       gradient_float_map<Leaky>};
const OpDef kMish{"Mish", QuantRule::Float, infer_float_map, run_float_map<MishFunction>,
                  gradient_float_map<MishFunction>};
const OpDef kRelu{"Relu", QuantRule::Independent, infer_map, run_number_map<Rectified>,
                  gradient_float_map<Rectified>};
const OpDef kSelu{"Selu", QuantRule::Float, infer_float_map, run_float_map<ScaledExponentialLinear>,
                  gradient_float_map<ScaledExponentialLinear>};
const OpDef kShrink{"Shrink", QuantRule::Float, infer_float_map, run_float_map<Shrunk>,
                    gradient_float_map<Shrunk>};
const OpDef kSigmoid{"Sigmoid", QuantRule::Independent, infer_float_map, run_float_map<Logistic>,
                     gradient_float_map<Logistic>};
const OpDef kSoftplus{"Softplus", QuantRule::Float, infer_float_map, run_float_map<SmoothRectified>,
                      gradient_float_map<SmoothRectified>};
const OpDef kSoftsign{"Softsign", QuantRule::Float, infer_float_map, run_float_map<SoftSign>,
                      gradient_float_map<SoftSign>};
const OpDef kSwish{"Swish", QuantRule::Independent, infer_float_map, run_float_map<SwishFunction>,
                   gradient_float_map<SwishFunction>};
const OpDef kTanh{"Tanh", QuantRule::Independent, infer_float_map, run_float_map<HyperbolicTangent>,
                  gradient_float_map<HyperbolicTangent>};
const OpDef kThresholdedRelu{"ThresholdedRelu", QuantRule::Float, infer_float_map,
                             run_float_map<Thresholded>, gradient_float_map<Thresholded>};

}  // namespace espquant::ops
