#include "strategy/balanced.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "calib/channel_extents.h"
#include "quant/equalization.h"
#include "quant/scaling.h"

namespace espquant::strategy {
namespace {

// For the change of the float outputs.
constexpr std::int64_t kComparedSamples = 16;
// Beside the network as it is, a smaller gain may be chance.
constexpr double kWorthwhile = 0.9;

quant::EqualizationSettings settings_of(const Recipe::Equalization& e) {
  quant::EqualizationSettings s;
  s.iterations = e.iterations;
  s.value_threshold = static_cast<float>(e.value_threshold);
  s.through_adds = e.level >= 2;
  s.include_bias = e.include_bias;
  s.bias_multiplier = static_cast<float>(e.bias_multiplier);
  s.include_activation = e.include_activation;
  s.activation_multiplier = static_cast<float>(e.activation_multiplier);
  return s;
}

std::vector<Tensor> outputs_on(const Graph& network, const calib::SampleSource& source) {
  const ops::Executor executor(network, {.observe_all = false});
  ops::Executor::Workspace workspace(executor);
  std::vector<Tensor> outputs;
  for (std::int64_t i : evenly_spread(source.count, kComparedSamples))
    for (Tensor& t : executor.run(source.sample(i), workspace)) outputs.push_back(std::move(t));
  return outputs;
}

Noise noise_between(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  Noise noise;
  for (std::size_t i = 0; i < actual.size(); ++i)
    noise.add(actual[i].data<float>(), expected[i].data<float>());
  return noise;
}

double largest_change(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  double change = 0, largest = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const auto a = actual[i].data<float>(), e = expected[i].data<float>();
    for (std::size_t k = 0; k < a.size(); ++k) {
      change = std::max(change, std::abs(static_cast<double>(a[k]) - static_cast<double>(e[k])));
      largest = std::max(largest, std::abs(static_cast<double>(e[k])));
    }
  }
  return largest > 0 ? change / largest : change;
}

bool has_caps(const Graph& network) {
  Graph copy = network;
  return quant::turn_caps_into_relus(copy) > 0;
}

/// Ways of equalizing.
enum class Way : std::uint8_t { CapsKept, Activations, ToRelu };

std::string_view name_of(Way way) {
  switch (way) {
    case Way::CapsKept:
      return "caps kept";
    case Way::Activations:
      return "activations";
    case Way::ToRelu:
      return "ReLU6 to ReLU";
  }
  return "";
}

/// Compares ways on the samples of a bench of the network as it is.
class Judge {
 public:
  Judge(Workbench& plain, Means means) : plain_(plain), means_(means) {
    plain.hold_out();
    original_ = outputs_on(plain.network(), plain.source());
    extents_ = calib::channel_extents(ops::Executor(plain.network()), plain.source());
  }
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  EqualizedNetwork equalized(const Recipe::Equalization& equalization, Way way) const {
    EqualizedNetwork result;
    result.network = plain_.network();
    result.variant = name_of(way);
    std::vector<Tensor> before = original_;
    quant::ChannelExtents extents = extents_;
    if (way == Way::ToRelu) {
      result.caps_removed = quant::turn_caps_into_relus(result.network);
      before = outputs_on(result.network, plain_.source());
      result.conversion_noise = noise_between(before, original_);
      extents = calib::channel_extents(ops::Executor(result.network), plain_.source());
    }
    quant::unshare_constants(result.network);
    const quant::EqualizationSettings settings = settings_of(equalization);
    result.groups = way == Way::Activations
                        ? quant::even_activations(result.network, settings.through_adds, extents)
                        : quant::equalize(result.network, settings, extents);
    if (equalization.high_bias_absorption) quant::absorb_high_biases(result.network, extents);
    result.equalization_change =
        largest_change(outputs_on(result.network, plain_.source()), before);
    return result;
  }

  Noise noise_as_it_is() const { return plain_.judged(plain_.settings(), means_).noise; }

  Noise noise_of(const EqualizedNetwork& made) const {
    Workbench bench(made.network, plain_);
    return bench.judged(bench.settings(), means_).noise;
  }

 private:
  Workbench& plain_;
  Means means_;
  std::vector<Tensor> original_;
  quant::ChannelExtents extents_;
};

EqualizedNetwork as_it_is(const Graph& network) {
  EqualizedNetwork plain;
  plain.network = network;
  plain.variant = kNotEqualized;
  return plain;
}

}  // namespace

BalancedNetwork balance(Workbench& plain, const Recipe::Equalization& equalization, Means means,
                        const StageProgress& progress) {
  const Judge judge(plain, means);
  BalancedNetwork result;
  double least = std::numeric_limits<double>::infinity();
  std::size_t best = 0;
  const auto consider = [&](EqualizedNetwork made, std::optional<Noise> noise) {
    const double needed = result.kept.variant == kNotEqualized ? kWorthwhile * least : least;
    result.trials.push_back({made.variant, made.groups, made.caps_removed, made.conversion_noise,
                             made.equalization_change, noise, false});
    if (!noise || noise->ratio() >= needed) return;
    least = noise->ratio();
    best = result.trials.size() - 1;
    result.kept = std::move(made);
  };
  const auto try_way = [&](Way way) {
    if (progress) progress("judge", static_cast<std::int64_t>(result.trials.size()), 0);
    EqualizedNetwork made = judge.equalized(equalization, way);
    std::optional<Noise> noise;
    if (made.conversion_noise.ratio() < least) noise = judge.noise_of(made);
    consider(std::move(made), noise);
  };

  const bool caps = has_caps(plain.network());
  if (equalization.undo_if_worse) consider(as_it_is(plain.network()), judge.noise_as_it_is());
  if (!caps || equalization.relu6 != Relu6::ToRelu) try_way(Way::CapsKept);
  if (equalization.even_activations && !(caps && equalization.relu6 == Relu6::ToRelu))
    try_way(Way::Activations);
  if (caps && equalization.relu6 != Relu6::Keep) try_way(Way::ToRelu);
  result.trials[best].kept = true;
  return result;
}

}  // namespace espquant::strategy
