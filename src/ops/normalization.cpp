#include <fmt/format.h>

#include <cmath>
#include <numeric>

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

/// One block that is normalized together: y = (x - mean) / deviation * scale + bias, in which
/// element i has the parameters number parameter(i). Null gradients are not wanted.
template <typename T, typename Parameter>
void normalize_back(std::span<const T> x, const T* dy, const T* scale, Parameter parameter,
                    bool centred, double epsilon, T* dx, T* dscale, T* dbias) {
  NormalizationMoments m = normalization_moments_of(x);
  if (!centred) m = {0, m.variance + m.mean * m.mean};
  const double inverse = 1 / std::sqrt(m.variance + epsilon);
  const auto normal = [&](std::size_t i) { return (static_cast<double>(x[i]) - m.mean) * inverse; };
  const auto scaled = [&](std::size_t i) {
    return static_cast<double>(dy[i]) * static_cast<double>(scale[parameter(i)]);
  };
  double sum = 0, along = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    sum += scaled(i);
    along += scaled(i) * normal(i);
    if (dscale != nullptr) dscale[parameter(i)] += dy[i] * static_cast<T>(normal(i));
    if (dbias != nullptr) dbias[parameter(i)] += dy[i];
  }
  if (dx == nullptr) return;
  const auto count = static_cast<double>(x.size());
  if (!centred) sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    dx[i] += static_cast<T>(inverse * (scaled(i) - sum / count - normal(i) * along / count));
}

/// normalize_back() over all blocks; parameter(block, i).
template <typename Parameter>
void normalize_blocks_back(const GradientContext& context, std::size_t block, bool centred,
                           Parameter parameter) {
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    const auto x = context.in(0).data<T>();
    const T* dy = context.output_gradients[0].data<T>().data();
    const T* scale = context.in(1).data<T>().data();
    const auto data_of = [&](std::size_t i) {
      return context.wants(i) ? context.input_gradients[i].mutable_data<T>().data() : nullptr;
    };
    T *dx = data_of(0), *dscale = data_of(1), *dbias = data_of(2);
    for (std::size_t at = 0; at < x.size(); at += block)
      normalize_back<T>(
          x.subspan(at, block), dy + at, scale,
          [&](std::size_t i) { return parameter(at / block, i); }, centred,
          epsilon_of(context.node), dx == nullptr ? nullptr : dx + at, dscale, dbias);
  });
}

void gradient_instance(const GradientContext& context) {
  const Shape& shape = context.in(0).shape();
  const auto channels = static_cast<std::size_t>(shape[1]);
  if (context.in(0).size() == 0) return;
  const auto area = static_cast<std::size_t>(context.in(0).size()) /
                    (static_cast<std::size_t>(shape[0]) * channels);
  normalize_blocks_back(context, area, true,
                        [&](std::size_t block, std::size_t) { return block % channels; });
}

void gradient_group(const GradientContext& context) {
  const Shape& shape = context.in(0).shape();
  if (context.in(0).size() == 0) return;
  const auto channels = static_cast<std::size_t>(shape[1]),
             groups = static_cast<std::size_t>(groups_of(context.node));
  const std::size_t block = static_cast<std::size_t>(context.in(0).size()) /
                            (static_cast<std::size_t>(shape[0]) * groups);
  const std::size_t plane = block / (channels / groups);
  const bool per_group = context.in(1).shape()[0] != shape[1];
  normalize_blocks_back(context, block, true, [&](std::size_t b, std::size_t i) {
    return per_group ? b % groups : (b * block + i) / plane % channels;
  });
}

template <bool kCentred>
void gradient_layer(const GradientContext& context) {
  const Shape& shape = context.in(0).shape();
  if (context.in(0).size() == 0 || !context.output_gradients[0].defined()) return;
  const Shape normalized(
      shape.begin() + static_cast<std::ptrdiff_t>(first_axis(context.node, shape)), shape.end());
  // Scale and bias may be broadcast each in its own way: only where both are alike is one map
  // enough.
  Tensor places(DType::Int64, context.in(1).shape());
  auto numbers = places.mutable_data<std::int64_t>();
  std::iota(numbers.begin(), numbers.end(), 0);
  Tensor spread_places(DType::Int64, normalized);
  broadcast_copy(places, spread_places);
  const auto place = spread_places.data<std::int64_t>();
  if (context.wants(2) && context.in(2).shape() != context.in(1).shape())
    unsupported("the gradient of a bias that is broadcast otherwise than the scale",
                "Give scale and bias the same shape");
  normalize_blocks_back(context, place.size(), kCentred, [&](std::size_t, std::size_t i) {
    return static_cast<std::size_t>(place[i]);
  });
}

void gradient_lp(const GradientContext& context) {
  if (!context.wants(0)) return;
  const Tensor& in = context.in(0);
  const bool squares = order_of(context.node) == 2;
  const std::size_t axis = first_axis(context.node, in.shape());
  const Lines lines = lines_along(in.shape(), axis, axis + 1);
  visit_float(in.dtype(), [&]<typename T>(T) {
    const T* x = in.data<T>().data();
    const T* y = context.outputs[0].data<T>().data();
    const T* dy = context.output_gradients[0].data<T>().data();
    T* dx = context.input_gradients[0].mutable_data<T>().data();
    for (std::int64_t line = 0; line < lines.count(); ++line) {
      double norm = 0, along = 0;
      for (std::int64_t i = 0; i < lines.length; ++i) {
        const std::int64_t at = lines.at(line, i);
        const auto v = static_cast<double>(x[at]);
        norm += squares ? v * v : std::abs(v);
        along += static_cast<double>(dy[at]) * static_cast<double>(y[at]);
      }
      if (squares) norm = std::sqrt(norm);
      if (norm == 0) continue;
      for (std::int64_t i = 0; i < lines.length; ++i) {
        const std::int64_t at = lines.at(line, i);
        const double direction = squares ? static_cast<double>(y[at])
                                         : static_cast<double>((x[at] > T{0}) - (x[at] < T{0}));
        dx[at] += static_cast<T>((static_cast<double>(dy[at]) - direction * along) / norm);
      }
    }
  });
}

}  // namespace

const OpDef kGroupNormalization{"GroupNormalization", QuantRule::Float, infer_group, run_group,
                                gradient_group};
const OpDef kInstanceNormalization{"InstanceNormalization", QuantRule::Float, infer_instance,
                                   run_instance, gradient_instance};
const OpDef kLayerNormalization{"LayerNormalization", QuantRule::Independent, infer_layer,
                                run_layer<true>, gradient_layer<true>};
const OpDef kLpNormalization{"LpNormalization", QuantRule::Independent, infer_lp, run_lp,
                             gradient_lp};
const OpDef kRMSNormalization{"RMSNormalization", QuantRule::Independent, infer_rms,
                              run_layer<false>, gradient_layer<false>};

}  // namespace espquant::ops
