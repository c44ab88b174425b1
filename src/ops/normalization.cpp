#include <fmt/format.h>

#include <cmath>

#include "ops/broadcast.h"
#include "ops/lines.h"
#include "ops/operators.h"

/// GroupNormalization, InstanceNormalization, LayerNormalization, LpNormalization,
/// RMSNormalization. Sums are kept in double.
namespace espquant::ops {
namespace {

double epsilon_of(const Node& node) {
  return static_cast<double>(node.attributes.get_float("epsilon", 1e-5F));
}

struct NormalizationMoments {
  double mean = 0, variance = 0;
};

template <typename T>
NormalizationMoments normalization_moments_of(std::span<const T> values) {
  const auto count = static_cast<double>(values.size());
  NormalizationMoments m;
  for (T x : values) m.mean += static_cast<double>(x);
  m.mean /= count;
  for (T x : values)
    m.variance += (static_cast<double>(x) - m.mean) * (static_cast<double>(x) - m.mean);
  m.variance /= count;
  return m;
}

void infer_instance(const InferContext& context) {
  require_float(context, 0);
  require_rank(context, 0, 3, kMaxRank);
  for (std::size_t i : {1u, 2u}) {
    require_shape(context, i, {context.shape(0)[1]}, i == 1 ? "the scale" : "B");
    require_same_dtype(context, 0, i);
  }
  infer_map(context);
}

/// Each plane of (N,C,...) by its own mean and variance.
void run_instance(const RunContext& context) {
  const Tensor& in = context.in(0);
  if (in.size() == 0) return;
  const auto planes = static_cast<std::size_t>(in.shape()[0] * in.shape()[1]),
             channels = static_cast<std::size_t>(in.shape()[1]);
  visit_float(in.dtype(), [&]<typename T>(T) {
    const auto x = in.data<T>(), scale = context.in(1).data<T>(), bias = context.in(2).data<T>();
    auto y = context.outputs[0].mutable_data<T>();
    const std::size_t area = x.size() / planes;
    for (std::size_t p = 0; p < planes; ++p) {
      const NormalizationMoments m = normalization_moments_of(x.subspan(p * area, area));
      const double factor = static_cast<double>(scale[p % channels]) /
                            std::sqrt(m.variance + epsilon_of(context.node));
      for (std::size_t i = p * area; i < (p + 1) * area; ++i)
        y[i] = static_cast<T>((static_cast<double>(x[i]) - m.mean) * factor +
                              static_cast<double>(bias[p % channels]));
    }
  });
}

std::int64_t groups_of(const Node& node) { return node.attributes.get_int("num_groups", 0); }

void infer_group(const InferContext& context) {
  require_float(context, 0);
  require_rank(context, 0, 3, kMaxRank);
  const std::int64_t groups = groups_of(context.node), channels = context.shape(0)[1];
  if (groups < 1 || channels % groups != 0)
    malformed(fmt::format("num_groups={} does not divide {} channels", groups, channels));
  // Up to opset 20 one parameter per group.
  const std::int64_t parameters = context.shape(1) == Shape{groups} ? groups : channels;
  for (std::size_t i : {1u, 2u}) {
    require_shape(context, i, {parameters}, i == 1 ? "the scale" : "B");
    require_same_dtype(context, 0, i);
  }
  infer_map(context);
}

/// Channels in groups by their common mean and variance.
void run_group(const RunContext& context) {
  const Tensor& in = context.in(0);
  if (in.size() == 0) return;
  const Shape& shape = in.shape();
  const auto channels = static_cast<std::size_t>(shape[1]),
             groups = static_cast<std::size_t>(groups_of(context.node)),
             blocks = static_cast<std::size_t>(shape[0]) * groups;
  const bool per_group = context.in(1).shape()[0] != shape[1];
  visit_float(in.dtype(), [&]<typename T>(T) {
    const auto x = in.data<T>(), scale = context.in(1).data<T>(), bias = context.in(2).data<T>();
    auto y = context.outputs[0].mutable_data<T>();
    const std::size_t block = x.size() / blocks, plane = block / (channels / groups);
    for (std::size_t i = 0; i < x.size(); i += block) {
      const NormalizationMoments m = normalization_moments_of(x.subspan(i, block));
      const double inverse = 1 / std::sqrt(m.variance + epsilon_of(context.node));
      for (std::size_t k = i; k < i + block; ++k) {
        const std::size_t p = per_group ? i / block % groups : k / plane % channels;
        y[k] = static_cast<T>((static_cast<double>(x[k]) - m.mean) * inverse *
                                  static_cast<double>(scale[p]) +
                              static_cast<double>(bias[p]));
      }
    }
  });
}

std::size_t first_axis(const Node& node, const Shape& shape) {
  return static_cast<std::size_t>(
      normalize_axis(node.attributes.get_int("axis", -1), static_cast<std::int64_t>(shape.size())));
}

/// A parameter must be broadcast to the normalized axes, and to nothing larger.
void require_parameter(const InferContext& context, std::size_t i, const Shape& normalized) {
  require_float(context, i);
  const Shape& shape = context.shape(i);
  if (shape.size() > normalized.size() || broadcast(normalized, shape) != normalized)
    bad_data(fmt::format("parameter {} of shape {} cannot be broadcast to the normalized {}", i,
                         to_string(shape), to_string(normalized)));
}

void infer_layer(const InferContext& context) {
  require_float(context, 0);
  Shape statistics = context.shape(0);
  const std::size_t axis = first_axis(context.node, statistics);
  const Shape normalized(statistics.begin() + static_cast<std::ptrdiff_t>(axis), statistics.end());
  require_parameter(context, 1, normalized);
  if (context.has(2)) require_parameter(context, 2, normalized);
  infer_map(context);
  std::fill(statistics.begin() + static_cast<std::ptrdiff_t>(axis), statistics.end(), 1);
  set_output(context, 1, DType::Float32, statistics);
  set_output(context, 2, DType::Float32, statistics);
}

void infer_rms(const InferContext& context) {
  require_float(context, 0);
  const Shape& x = context.shape(0);
  require_parameter(
      context, 1, {x.begin() + static_cast<std::ptrdiff_t>(first_axis(context.node, x)), x.end()});
  infer_map(context);
}

/// A parameter in double, repeated to the normalized shape.
Tensor spread(const Tensor& parameter, const Shape& normalized) {
  Tensor out(DType::Float64, normalized);
  broadcast_copy(parameter.cast(DType::Float64), out);
  return out;
}

template <bool kCentred>
void run_layer(const RunContext& context) {
  const Tensor& in = context.in(0);
  if (in.size() == 0) return;
  const std::size_t axis = first_axis(context.node, in.shape());
  const Shape normalized(in.shape().begin() + static_cast<std::ptrdiff_t>(axis), in.shape().end());
  const Tensor scale = spread(context.in(1), normalized);
  const Tensor bias = kCentred && context.has(2) ? spread(context.in(2), normalized)
                                                 : Tensor(DType::Float64, normalized);
  const auto gain = scale.data<double>(), offset = bias.data<double>();
  const std::size_t length = gain.size();
  visit_float(in.dtype(), [&]<typename T>(T) {
    const auto x = in.data<T>();
    auto y = context.outputs[0].mutable_data<T>();
    for (std::size_t begin = 0; begin < x.size(); begin += length) {
      NormalizationMoments m = normalization_moments_of(x.subspan(begin, length));
      // RMSNormalization: the mean square, not the variance around the mean.
      if (!kCentred) m = {0, m.variance + m.mean * m.mean};
      const double inverse = 1 / std::sqrt(m.variance + epsilon_of(context.node));
      for (std::size_t i = 0; i < length; ++i)
        y[begin + i] = static_cast<T>(
            (static_cast<double>(x[begin + i]) - m.mean) * inverse * gain[i] + offset[i]);
      const std::size_t row = begin / length;
      if (context.outputs.size() > 1)
        context.outputs[1].template mutable_data<float>()[row] = static_cast<float>(m.mean);
      if (context.outputs.size() > 2)
        context.outputs[2].template mutable_data<float>()[row] = static_cast<float>(inverse);
    }
  });
}

std::int64_t order_of(const Node& node) {
  const std::int64_t p = node.attributes.get_int("p", 2);
  if (p != 1 && p != 2) malformed(fmt::format("p={}, expected 1 or 2", p));
  return p;
}

void infer_lp(const InferContext& context) {
  order_of(context.node);
  first_axis(context.node, context.shape(0));
  infer_float_map(context);
}

void run_lp(const RunContext& context) {
  const Tensor& in = context.in(0);
  const bool squares = order_of(context.node) == 2;
  const std::size_t axis = first_axis(context.node, in.shape());
  const Lines lines = lines_along(in.shape(), axis, axis + 1);
  visit_float(in.dtype(), [&]<typename T>(T) {
    const T* from = in.data<T>().data();
    T* to = context.outputs[0].mutable_data<T>().data();
    for (std::int64_t line = 0; line < lines.count(); ++line) {
      double norm = 0;
      for (std::int64_t i = 0; i < lines.length; ++i) {
        const auto x = static_cast<double>(from[lines.at(line, i)]);
        norm += squares ? x * x : std::abs(x);
      }
      if (squares) norm = std::sqrt(norm);
      // LpNormalization-22: a line of zeros stays zero.
      for (std::int64_t i = 0; i < lines.length; ++i)
        to[lines.at(line, i)] =
            norm == 0 ? T{0} : static_cast<T>(static_cast<double>(from[lines.at(line, i)]) / norm);
    }
  });
}

}  // namespace

const OpDef kGroupNormalization{"GroupNormalization", QuantRule::Float, infer_group, run_group};
const OpDef kInstanceNormalization{"InstanceNormalization", QuantRule::Float, infer_instance,
                                   run_instance};
const OpDef kLayerNormalization{"LayerNormalization", QuantRule::Independent, infer_layer,
                                run_layer<true>};
const OpDef kLpNormalization{"LpNormalization", QuantRule::Independent, infer_lp, run_lp};
const OpDef kRMSNormalization{"RMSNormalization", QuantRule::Independent, infer_rms,
                              run_layer<false>};

}  // namespace espquant::ops
