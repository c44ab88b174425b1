#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "sim/newton.h"
#include "sim/operators.h"
#include "sim/prepare.h"
#include "sim/rounding.h"

/// The Reduce family (ESP-DL 3.17). Sums of int8 are 32 bits wide and wrap, of int16 64 bits.
namespace espquant::sim {
namespace {

/// Merged axes, alternately kept and reduced, at most two of each.
struct ReducePlan {
  struct Axes {
    std::array<std::int64_t, 2> extents{1, 1}, strides{0, 0};
  };
  Axes kept, reduced;
  Shape shape;

  std::int64_t count() const { return reduced.extents[0] * reduced.extents[1]; }
};

struct MergedAxis {
  std::int64_t extent, stride;
  bool reduced;
};

std::vector<MergedAxis> merged_axes(const Shape& shape, const std::vector<bool>& reduced) {
  const Shape strides = strides_of(shape);
  std::vector<MergedAxis> axes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (!axes.empty() && axes.back().reduced == reduced[i]) {
      axes.back().extent *= shape[i];
      axes.back().stride = strides[i];
    } else {
      axes.push_back({shape[i], strides[i], reduced[i]});
    }
  }
  return axes;
}

std::vector<bool> reduced_axes(const NodeContext& context, std::size_t rank) {
  const auto axes = integer_parameter(context, 1, "axes");
  const bool none = axes.empty() && context.node.get_int("noop_with_empty_axes", 0) != 0;
  std::vector<bool> reduced(rank, axes.empty() && !none);
  for (std::int64_t axis : axes) reduced[checked_axis(axis, rank)] = true;
  return reduced;
}

Shape reduced_shape(const Shape& in, const std::vector<bool>& reduced, bool keep) {
  Shape shape;
  for (std::size_t i = 0; i < in.size(); ++i)
    if (!reduced[i] || keep) shape.push_back(reduced[i] ? 1 : in[i]);
  // Where nothing is left, the runtime leaves one axis.
  if (shape.empty()) shape = {1};
  return shape;
}

ReducePlan plan_reduce(const NodeContext& context) {
  const Shape& in = context.input(0).shape;
  const std::vector<bool> reduced = reduced_axes(context, in.size());
  if (std::find(reduced.begin(), reduced.end(), true) == reduced.end())
    refuse("a reduction of no axis: ESP-DL reduces all of them into the first element",
           "Drop the node");
  if (element_count(in) == 0) refuse("a reduction of no elements", "Check the shape");
  const std::vector<MergedAxis> axes = merged_axes(in, reduced);
  if (axes.size() > 4)
    refuse(fmt::format("a reduction of {} along {} separate groups of axes: ESP-DL writes nothing",
                       to_string(in), axes.size()),
           "Transpose so that reduced axes are neighbours");
  ReducePlan plan;
  plan.shape = reduced_shape(in, reduced, context.node.get_int("keepdims", 1) != 0);
  std::array<std::size_t, 2> next{1, 1};  // filled from the inner axis outwards
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    ReducePlan::Axes& side = axis->reduced ? plan.reduced : plan.kept;
    const std::size_t slot = next[axis->reduced ? 1 : 0]--;
    side.extents[slot] = axis->extent;
    side.strides[slot] = axis->stride;
  }
  return plan;
}

/// Elements are taken in the order of memory.
template <typename T, typename Sum, typename Step>
Sum reduce_one(const ReducePlan& plan, const T* in, Sum sum, const Step& step) {
  const auto& r = plan.reduced;
  for (std::int64_t i = 0; i < r.extents[0]; ++i)
    for (std::int64_t j = 0; j < r.extents[1]; ++j)
      sum = step(sum, in[i * r.strides[0] + j * r.strides[1]]);
  return sum;
}

template <typename T, typename Sum, typename Step, typename Finish>
std::unique_ptr<Kernel> reduce_kernel(const ReducePlan& plan, Sum start, Step step, Finish finish) {
  return make_kernel([=](const KernelArgs& args) {
    const auto& k = plan.kept;
    const T* in = args.in<T>(0);
    T* out = args.out<T>(0);
    for (std::int64_t i = 0; i < k.extents[0]; ++i)
      for (std::int64_t j = 0; j < k.extents[1]; ++j)
        *out++ = finish(reduce_one(plan, in + i * k.strides[0] + j * k.strides[1], start, step));
  });
}

/// How the results of one node are scaled.
struct Scales {
  int in_exponent, out_exponent;
  Rounding rounding;

  template <typename T>
  T quantized(float v) const {
    return quantize_value<T>(v, pow2(-out_exponent), rounding);
  }
};

/// shift_and_round of ESP-DL 0.1, saturated to T.
template <typename T>
T shifted(std::int64_t sum, int shift, Rounding rounding) {
  if (shift > 0) return saturate<T>(round_shift(sum, shift, rounding));
  const int left = std::min(-shift, 62);
  const std::int64_t fits = std::numeric_limits<std::int64_t>::max() >> left;
  const std::int64_t clipped = std::clamp(sum, -fits, fits);
  return saturate<T>(clipped * (std::int64_t{1} << left));
}

/// An int8 sum wraps at 32 bits.
template <typename T>
std::int64_t as_stored(std::int64_t sum) {
  return sizeof(T) == 1 ? wrap_bits(sum, 32) : sum;
}

constexpr auto kAdd = [](auto sum, auto q) { return sum + q; };
constexpr auto kAddSquare = [](auto sum, auto q) {
  if constexpr (std::is_integral_v<decltype(q)>)
    return sum + std::int64_t{q} * q;
  else
    return sum + q * q;
};
constexpr auto kAddMagnitude = [](auto sum, auto q) {
  if constexpr (std::is_integral_v<decltype(q)>)
    return sum + std::abs(std::int32_t{q});
  else
    return sum + std::fabs(q);
};

template <typename T>
using SumOf = std::conditional_t<std::is_floating_point_v<T>, float, std::int64_t>;

/// A sum of `step`, shifted from the exponent `in_exponents * e_in` to that of the output.
template <typename T, typename Step>
std::unique_ptr<Kernel> make_shifted_sum(const ReducePlan& plan, const Scales& s, int in_exponents,
                                         Step step) {
  const int shift = s.out_exponent - in_exponents * s.in_exponent;
  return reduce_kernel<T>(plan, SumOf<T>{0}, step, [=](SumOf<T> sum) {
    if constexpr (std::is_floating_point_v<T>)
      return sum;
    else
      return shifted<T>(as_stored<T>(sum), shift, s.rounding);
  });
}

/// A function of the dequantized sum of `step`.
template <typename T, typename Step, typename F>
std::unique_ptr<Kernel> make_function_of_sum(const ReducePlan& plan, const Scales& s,
                                             int in_exponents, Step step, F f) {
  const float scale = std::is_floating_point_v<T> ? 1.0F : chip_scale(in_exponents * s.in_exponent);
  return reduce_kernel<T>(plan, SumOf<T>{0}, step, [=](SumOf<T> sum) {
    if constexpr (std::is_floating_point_v<T>)
      return f(sum);
    else
      return s.quantized<T>(f(static_cast<float>(as_stored<T>(sum)) * scale));
  });
}

template <typename T>
std::unique_ptr<Kernel> make_extreme(const ReducePlan& plan, bool greatest) {
  using Limits = std::numeric_limits<T>;
  const T start = greatest ? Limits::lowest() : Limits::max();
  return reduce_kernel<T>(
      plan, start, [greatest](T a, T b) { return greatest ? std::max(a, b) : std::min(a, b); },
      [](T v) { return v; });
}

template <typename T>
std::unique_ptr<Kernel> make_log_sum_exp(const ReducePlan& plan, const Scales& s) {
  const float scale = std::is_floating_point_v<T> ? 1.0F : chip_scale(s.in_exponent);
  const auto step = [scale](float sum, T q) {
    return sum + std::exp(static_cast<float>(q) * scale);
  };
  return reduce_kernel<T>(plan, 0.0F, step, [=](float sum) {
    if constexpr (std::is_floating_point_v<T>)
      return std::log(sum);
    else
      return s.quantized<T>(std::log(sum));
  });
}

/// int8 multiplies in float, int16 in double.
template <typename T>
std::unique_ptr<Kernel> make_product(const ReducePlan& plan, const Scales& s) {
  using Product = std::conditional_t<std::is_same_v<T, std::int16_t>, double, float>;
  const float scale = std::is_floating_point_v<T> ? 1.0F : chip_scale(s.in_exponent);
  const auto step = [scale](Product product, T q) {
    return product * static_cast<Product>(static_cast<float>(q) * scale);
  };
  return reduce_kernel<T>(plan, Product{1}, step, [=](Product product) {
    if constexpr (std::is_floating_point_v<T>)
      return product;
    else
      return saturate<T>(
          round_to_int(product * static_cast<Product>(pow2(-s.out_exponent)), s.rounding));
  });
}

/// make.operator()<T>(plan, scales) makes the kernel.
template <typename Make>
Prepared prepare_reduction(const NodeContext& context, Make make) {
  const DType dtype = element_type(context);
  const ReducePlan plan = plan_reduce(context);
  const TensorDesc output = output_desc(context, 0, plan.shape, dtype);
  const Scales scales{context.input(0).exponent(), output.exponent(), context.target.rounding};
  if (!is_float(dtype)) chip_scale(-output.exponent());
  auto kernel = visit_element_type(
      dtype, [&]<typename T>() { return make.template operator()<T>(plan, scales); });
  return prepared_with(context, plan.shape, dtype, std::move(kernel));
}

float natural_log(float x) { return std::log(x); }

Prepared prepare_extreme(const NodeContext& context, bool greatest) {
  Prepared prepared =
      prepare_reduction(context, [greatest]<typename T>(const ReducePlan& plan, const Scales&) {
        return make_extreme<T>(plan, greatest);
      });
  check_exponents(context, prepared, {0});
  return prepared;
}

}  // namespace

Prepared prepare_reduce_sum(const NodeContext& context) {
  return prepare_reduction(context, []<typename T>(const ReducePlan& plan, const Scales& s) {
    return make_shifted_sum<T>(plan, s, 1, kAdd);
  });
}

Prepared prepare_reduce_l1(const NodeContext& context) {
  return prepare_reduction(context, []<typename T>(const ReducePlan& plan, const Scales& s) {
    return make_shifted_sum<T>(plan, s, 1, kAddMagnitude);
  });
}

Prepared prepare_reduce_sum_square(const NodeContext& context) {
  return prepare_reduction(context, []<typename T>(const ReducePlan& plan, const Scales& s) {
    return make_shifted_sum<T>(plan, s, 2, kAddSquare);
  });
}

Prepared prepare_reduce_mean(const NodeContext& context) {
  return prepare_reduction(context, []<typename T>(const ReducePlan& plan, const Scales& s) {
    const auto count = static_cast<float>(plan.count());
    return make_function_of_sum<T>(plan, s, 1, kAdd, [count](float sum) { return sum / count; });
  });
}

Prepared prepare_reduce_l2(const NodeContext& context) {
  return prepare_reduction(context, []<typename T>(const ReducePlan& plan, const Scales& s) {
    return make_function_of_sum<T>(plan, s, 2, kAddSquare, sqrt_newton);
  });
}

Prepared prepare_reduce_log_sum(const NodeContext& context) {
  return prepare_reduction(context, []<typename T>(const ReducePlan& plan, const Scales& s) {
    return make_function_of_sum<T>(plan, s, 1, kAdd, natural_log);
  });
}

Prepared prepare_reduce_log_sum_exp(const NodeContext& context) {
  return prepare_reduction(context, []<typename T>(const ReducePlan& plan, const Scales& s) {
    return make_log_sum_exp<T>(plan, s);
  });
}

Prepared prepare_reduce_prod(const NodeContext& context) {
  return prepare_reduction(context, []<typename T>(const ReducePlan& plan, const Scales& s) {
    return make_product<T>(plan, s);
  });
}

Prepared prepare_reduce_max(const NodeContext& context) { return prepare_extreme(context, true); }
Prepared prepare_reduce_min(const NodeContext& context) { return prepare_extreme(context, false); }

}  // namespace espquant::sim
