#include "strategy/balanced.h"

#include <algorithm>
#include <cmath>

#include "calib/channel_extents.h"
#include "quant/equalization.h"
#include "quant/scaling.h"

namespace espquant::strategy {
namespace {

constexpr std::int64_t kComparedSamples = 16;
// Ranges of channels are taken from this many samples at most.
constexpr std::int64_t kRangeSamples = 256;

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

EqualizedNetwork equalized(const Graph& network, const std::vector<Tensor>& original,
                           const Recipe::Equalization& equalization,
                           const calib::SampleSource& source, bool keep_caps) {
  EqualizedNetwork result;
  result.network = network;
  if (!keep_caps) result.caps_removed = quant::turn_caps_into_relus(result.network);
  result.variant = result.caps_removed > 0 ? "ReLU6 to ReLU" : "caps kept";
  std::vector<Tensor> before = original;
  if (result.caps_removed > 0) {
    before = outputs_on(result.network, source);
    result.conversion_noise = noise_between(before, original);
  }
  quant::ChannelExtents extents;
  {
    const ops::Executor executor(result.network);
    const auto picked = evenly_spread(source.count, kRangeSamples);
    const calib::SampleSource some{static_cast<std::int64_t>(picked.size()), [&](std::int64_t i) {
                                     return source.sample(picked[static_cast<std::size_t>(i)]);
                                   }};
    extents = calib::channel_extents(executor, some);
  }
  quant::unshare_constants(result.network);
  result.groups = quant::equalize(result.network, settings_of(equalization), extents);
  if (equalization.high_bias_absorption) quant::absorb_high_biases(result.network, extents);
  result.equalization_change = largest_change(outputs_on(result.network, source), before);
  return result;
}

}  // namespace

std::vector<EqualizedNetwork> equalized_variants(const Graph& network,
                                                 const Recipe::Equalization& equalization,
                                                 const calib::SampleSource& source) {
  const std::vector<Tensor> original = outputs_on(network, source);
  const bool caps = has_caps(network);
  std::vector<EqualizedNetwork> variants;
  if (caps && equalization.relu6 != Relu6::Keep)
    variants.push_back(equalized(network, original, equalization, source, false));
  if (!caps || equalization.relu6 != Relu6::ToRelu)
    variants.push_back(equalized(network, original, equalization, source, true));
  if (equalization.undo_if_worse) {
    EqualizedNetwork plain;
    plain.network = network;
    plain.variant = "none";
    variants.push_back(std::move(plain));
  }
  return variants;
}

}  // namespace espquant::strategy
