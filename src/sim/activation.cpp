#include <algorithm>
#include <cmath>

#include "sim/lut.h"
#include "sim/operators.h"

/// Operators of one operand (ESP-DL 3.12). Int8 reads the node's table where it carries one; all
/// others compute the formula in float32, operation by operation.
namespace espquant::sim {
namespace {

/// The runtime's sigmoid: double arithmetic around expf.
float sigmoid(float x) { return static_cast<float>(1.0 / (1.0 + std::exp(-x))); }

struct Sigmoid {
  float operator()(float x) const { return sigmoid(x); }
};

struct Tanh {
  float operator()(float x) const { return 2 * sigmoid(2 * x) - 1; }
};

struct Swish {
  float operator()(float x) const { return sigmoid(x) * x; }
};

struct Relu {
  float operator()(float x) const { return x >= 0 ? x : 0; }
};

struct LeakyRelu {
  float alpha;
  float operator()(float x) const { return x >= 0 ? x : x * alpha; }
  /// On quantized tensors the slope comes last.
  float scaled(float x, float inv_scale) const {
    return x >= 0 ? x * inv_scale : x * inv_scale * alpha;
  }
};

struct HardSigmoid {
  float alpha, beta;
  float operator()(float x) const {
    const float line = alpha * x + beta;
    return line > 1 ? 1 : line > 0 ? line : 0;
  }
};

/// Its constants are doubles, and the slope is not 1/6.
struct HardSwish {
  float operator()(float x) const {
    const double line = 0.166667 * static_cast<double>(x) + 0.5;
    const double gate = line > 1 ? 1 : line > 0 ? line : 0;
    return static_cast<float>(gate * static_cast<double>(x));
  }
};

struct Elu {
  float alpha;
  float operator()(float x) const { return x >= 0 ? x : alpha * (std::exp(x) - 1); }
};

struct Exp {
  float operator()(float x) const { return std::exp(x); }
};

struct Log {
  float operator()(float x) const { return std::log(x); }
};

struct Sqrt {
  float operator()(float x) const { return std::sqrt(x); }
};

template <typename F>
float scaled_result(const F& f, float x, float inv_scale) {
  if constexpr (requires { f.scaled(x, inv_scale); })
    return f.scaled(x, inv_scale);
  else
    return f(x) * inv_scale;
}

template <typename T, typename F>
T quantized_result(const F& f, T q, float scale, float inv_scale, Rounding rounding) {
  const float real = static_cast<float>(q) * scale;
  return saturate<T>(round_to_int(scaled_result(f, real, inv_scale), rounding));
}

template <typename T, typename F>
std::unique_ptr<Kernel> formula_kernel(const NodeContext& context, std::int64_t count, F f) {
  if constexpr (std::is_floating_point_v<T>) {
    return make_kernel([f, count](const KernelArgs& args) {
      std::transform(args.in<T>(0), args.in<T>(0) + count, args.out<T>(0), f);
    });
  } else {
    const float scale = chip_scale(context.input(0).exponent());
    const float inv_scale = chip_scale(-context.declared[0].exponent());
    const Rounding rounding = context.target.rounding;
    if constexpr (sizeof(T) == 1) {
      Int8Table table;
      for (int q = -kInt8TableOrigin; q < kInt8TableOrigin; ++q)
        table[static_cast<std::size_t>(q + kInt8TableOrigin)] =
            quantized_result(f, static_cast<T>(q), scale, inv_scale, rounding);
      return look_up_kernel(table, count);
    } else {
      return make_kernel([=](const KernelArgs& args) {
        std::transform(args.in<T>(0), args.in<T>(0) + count, args.out<T>(0),
                       [&](T q) { return quantized_result(f, q, scale, inv_scale, rounding); });
      });
    }
  }
}

template <typename F>
Prepared prepare_function(const NodeContext& context, F f) {
  if (uses_int8_lut(context)) return prepare_table_lookup(context);
  const DType dtype = element_type(context);
  const TensorDesc output = output_desc(context, 0, context.input(0).shape, dtype);
  const std::int64_t count = element_count(output.shape);
  auto kernel =
      visit_element_type(dtype, [&]<typename T>() { return formula_kernel<T>(context, count, f); });
  return prepared_with(context, output.shape, dtype, std::move(kernel));
}

}  // namespace

Prepared prepare_elu(const NodeContext& context) {
  return prepare_function(context, Elu{context.node.get_float("alpha", 1.0F)});
}
Prepared prepare_exp(const NodeContext& context) { return prepare_function(context, Exp{}); }
Prepared prepare_hard_sigmoid(const NodeContext& context) {
  return prepare_function(context, HardSigmoid{context.node.get_float("alpha", 0.2F),
                                               context.node.get_float("beta", 0.5F)});
}
Prepared prepare_hard_swish(const NodeContext& context) {
  return prepare_function(context, HardSwish{});
}
Prepared prepare_leaky_relu(const NodeContext& context) {
  return prepare_function(context, LeakyRelu{context.node.get_float("alpha", 0.01F)});
}
Prepared prepare_log(const NodeContext& context) { return prepare_function(context, Log{}); }
Prepared prepare_relu(const NodeContext& context) { return prepare_function(context, Relu{}); }
Prepared prepare_sigmoid(const NodeContext& context) {
  return prepare_function(context, Sigmoid{});
}
Prepared prepare_sqrt(const NodeContext& context) { return prepare_function(context, Sqrt{}); }
Prepared prepare_swish(const NodeContext& context) { return prepare_function(context, Swish{}); }
Prepared prepare_tanh(const NodeContext& context) { return prepare_function(context, Tanh{}); }

}  // namespace espquant::sim
