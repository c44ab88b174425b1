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
// On which ranges of channels are taken, and ways calibrated and compared.
constexpr std::int64_t kJudgedSamples = 128;

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
  quant::ChannelExtents extents = calib::channel_extents(ops::Executor(result.network), source);
  quant::unshare_constants(result.network);
  result.groups = quant::equalize(result.network, settings_of(equalization), extents);
  if (equalization.high_bias_absorption) quant::absorb_high_biases(result.network, extents);
  result.equalization_change = largest_change(outputs_on(result.network, source), before);
  return result;
}

/// Samples that the ways are compared on.
class Judge {
 public:
  Judge(const Graph& network, const quant::Settings& settings, Means means,
        const calib::SampleSource& source)
      : settings_(settings), means_(means), picked_(evenly_spread(source.count, kJudgedSamples)) {
    source_ = {static_cast<std::int64_t>(picked_.size()), [this, &source](std::int64_t i) {
                 return source.sample(picked_[static_cast<std::size_t>(i)]);
               }};
    reference_.emplace(network, ops::Executor::Options{.observe_all = false});
  }
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  const calib::SampleSource& source() const { return source_; }

  Noise noise_of(const Graph& network) {
    const Workbench bench(network, settings_, source_);
    if (expected_.empty()) expected_ = float_outputs(*reference_, bench.run().inputs);
    const Candidate candidate = bench.make(settings_, means_);
    return output_noise(sim::Program(candidate.lowered.model, *settings_.target), candidate.graph,
                        bench.run(), expected_);
  }

 private:
  const quant::Settings& settings_;
  Means means_;
  std::vector<std::int64_t> picked_;
  calib::SampleSource source_;
  std::optional<ops::Executor> reference_;
  std::vector<std::vector<Tensor>> expected_;
};

EqualizedNetwork as_it_is(const Graph& network) {
  EqualizedNetwork plain;
  plain.network = network;
  plain.variant = kNotEqualized;
  return plain;
}

}  // namespace

BalancedNetwork balance(const Graph& network, const Recipe::Equalization& equalization,
                        const quant::Settings& settings, Means means,
                        const calib::SampleSource& source, const StageProgress& progress) {
  Judge judge(network, settings, means, source);
  const std::vector<Tensor> original = outputs_on(network, judge.source());
  BalancedNetwork result;
  double least = std::numeric_limits<double>::infinity();
  std::size_t best = 0;
  const auto measure = [&](EqualizedNetwork made) {
    if (progress) progress("judge", static_cast<std::int64_t>(result.trials.size()), 0);
    EqualizationTrial trial{made.variant,
                            made.groups,
                            made.caps_removed,
                            made.conversion_noise,
                            made.equalization_change,
                            std::nullopt,
                            false};
    if (made.conversion_noise.ratio() < least) {
      const Noise noise = judge.noise_of(made.network);
      trial.noise = noise;
      if (noise.ratio() < least) {
        least = noise.ratio();
        best = result.trials.size();
        result.kept = std::move(made);
      }
    }
    result.trials.push_back(std::move(trial));
  };

  const bool caps = has_caps(network);
  if (equalization.undo_if_worse) measure(as_it_is(network));
  if (!caps || equalization.relu6 != Relu6::ToRelu)
    measure(equalized(network, original, equalization, judge.source(), true));
  if (caps && equalization.relu6 != Relu6::Keep)
    measure(equalized(network, original, equalization, judge.source(), false));
  result.trials[best].kept = true;
  return result;
}

}  // namespace espquant::strategy
