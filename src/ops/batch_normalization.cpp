#include <fmt/format.h>

#include <cmath>

#include "ops/operators.h"
#include "ops/visit.h"

/// BatchNormalization of X (N,C,...) with scale, B, mean, variance (C); in training mode the
/// batch's own statistics, and the running ones as outputs 1 and 2.
namespace espquant::ops {
namespace {

bool is_training(const Node& node) { return node.attributes.get_int("training_mode", 0) != 0; }

void infer_batch_normalization(const InferContext& context) {
  require_float(context, 0);
  const Shape& x = context.shape(0);
  if (x.empty()) malformed("BatchNormalization of a scalar");
  const std::int64_t channels = x.size() > 1 ? x[1] : 1;
  if (context.node.attributes.get_int("spatial", 1) == 0)
    unsupported("BatchNormalization with spatial=0",
                "Export the network with an opset of at least 9");
  constexpr std::array<std::string_view, 5> kNames{"", "the scale", "B", "the mean",
                                                   "the variance"};
  for (std::size_t i = 1; i < 5; ++i) {
    require_float(context, i);
    require_shape(context, i, {channels}, kNames[i]);
  }
  infer_map(context);
  if (!is_training(context.node)) return;
  if (element_count(x) == 0) bad_data("statistics of an empty batch");
  set_output(context, 1, context.dtype(3), {channels});
  set_output(context, 2, context.dtype(4), {channels});
}

struct BatchNormalizationMoments {
  double mean, variance;
};

/// Calls f(span of the elements) for each image's plane of one channel.
template <typename T, typename F>
void for_each_plane(std::span<T> data, std::int64_t batch, std::int64_t channels,
                    std::int64_t channel, F f) {
  if (data.empty()) return;
  const std::size_t area = data.size() / static_cast<std::size_t>(batch * channels);
  for (std::int64_t n = 0; n < batch; ++n)
    f(data.subspan(static_cast<std::size_t>(n * channels + channel) * area, area));
}

template <typename T>
BatchNormalizationMoments batch_normalization_moments_of(std::span<const T> data,
                                                         std::int64_t batch, std::int64_t channels,
                                                         std::int64_t channel) {
  double sum = 0, squares = 0;
  const double count = static_cast<double>(data.size()) / static_cast<double>(channels);
  for_each_plane(data, batch, channels, channel, [&](std::span<const T> plane) {
    for (T x : plane) sum += static_cast<double>(x);
  });
  const double mean = sum / count;
  for_each_plane(data, batch, channels, channel, [&](std::span<const T> plane) {
    for (T x : plane) squares += (static_cast<double>(x) - mean) * (static_cast<double>(x) - mean);
  });
  return {mean, squares / count};
}

void run_batch_normalization(const RunContext& context) {
  const Shape& shape = context.in(0).shape();
  const std::int64_t batch = shape[0], channels = shape.size() > 1 ? shape[1] : 1;
  const double epsilon = static_cast<double>(context.node.attributes.get_float("epsilon", 1e-5F));
  const double momentum = static_cast<double>(context.node.attributes.get_float("momentum", 0.9F));
  std::array<Tensor, 5> parameters;
  for (std::size_t i = 1; i < 5; ++i) parameters[i] = context.in(i).cast(DType::Float64);
  const auto parameter = [&](std::size_t i, std::int64_t c) {
    return parameters[i].data<double>()[static_cast<std::size_t>(c)];
  };
  const auto update = [&](std::size_t output, std::int64_t c, double running, double current) {
    if (output >= context.outputs.size()) return;
    const double value = running * momentum + current * (1 - momentum);
    visit_float(context.outputs[output].dtype(), [&]<typename T>(T) {
      context.outputs[output].mutable_data<T>()[static_cast<std::size_t>(c)] =
          static_cast<T>(value);
    });
  };
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    const auto x = context.in(0).data<T>();
    auto y = context.outputs[0].mutable_data<T>();
    std::copy(x.begin(), x.end(), y.begin());
    for (std::int64_t c = 0; c < channels; ++c) {
      BatchNormalizationMoments moments{parameter(3, c), parameter(4, c)};
      if (is_training(context.node)) {
        moments = batch_normalization_moments_of(x, batch, channels, c);
        update(1, c, parameter(3, c), moments.mean);
        update(2, c, parameter(4, c), moments.variance);
      }
      const double factor = parameter(1, c) / std::sqrt(moments.variance + epsilon);
      const double offset = parameter(2, c) - moments.mean * factor;
      for_each_plane(y, batch, channels, c, [&](std::span<T> plane) {
        for (T& v : plane) v = static_cast<T>(static_cast<double>(v) * factor + offset);
      });
    }
  });
}

void gradient_batch_normalization(const GradientContext& context) {
  if (is_training(context.node))
    unsupported("the gradient of BatchNormalization by the batch's own statistics",
                "Export the network in evaluation mode");
  const Shape& shape = context.in(0).shape();
  const std::int64_t batch = shape[0], channels = shape.size() > 1 ? shape[1] : 1;
  const double epsilon = static_cast<double>(context.node.attributes.get_float("epsilon", 1e-5F));
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    const auto x = context.in(0).data<T>(), dy = context.output_gradients[0].data<T>();
    const std::size_t area = x.empty() ? 0 : x.size() / static_cast<std::size_t>(batch * channels);
    const auto add = [&](std::size_t input, std::size_t at, double value) {
      if (context.wants(input))
        context.input_gradients[input].mutable_data<T>()[at] += static_cast<T>(value);
    };
    const auto parameter = [&](std::size_t input, std::size_t c) {
      return static_cast<double>(context.in(input).cast(DType::Float64).data<double>()[c]);
    };
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      const double inverse = 1 / std::sqrt(parameter(4, c) + epsilon), scale = parameter(1, c);
      double sum = 0, along = 0;
      for (std::size_t n = 0; n < static_cast<std::size_t>(batch); ++n)
        for (std::size_t i = 0; i < area; ++i) {
          const std::size_t at = (n * static_cast<std::size_t>(channels) + c) * area + i;
          sum += static_cast<double>(dy[at]);
          along += static_cast<double>(dy[at]) * (static_cast<double>(x[at]) - parameter(3, c));
          add(0, at, static_cast<double>(dy[at]) * scale * inverse);
        }
      add(1, c, along * inverse);
      add(2, c, sum);
      add(3, c, -sum * scale * inverse);
      add(4, c, -0.5 * along * scale * inverse * inverse * inverse);
    }
  });
}

}  // namespace

const OpDef kBatchNormalization{"BatchNormalization", QuantRule::Float, infer_batch_normalization,
                                run_batch_normalization, gradient_batch_normalization};

}  // namespace espquant::ops
