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

struct Attempt {
  Graph network;
  EqualizationTrial trial;
};

/// Tries ways on the samples of a bench of the network as it is.
class Judge {
 public:
  Judge(Workbench& plain, const Recipe::Equalization& equalization, Means means)
      : plain_(plain), equalization_(equalization), means_(means) {
    plain.hold_out();
    const FloatRun& run = plain.run();
    samples_ = {static_cast<std::int64_t>(run.inputs.size()),
                [&run](std::int64_t i) { return run.inputs[static_cast<std::size_t>(i)]; }};
    original_ = outputs_on(plain.network(), samples_);
    extents_ = calib::channel_extents(ops::Executor(plain.network()), samples_);
  }
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  Attempt as_it_is() const {
    Attempt none{plain_.network(), {}};
    none.trial.noise = plain_.judged(plain_.settings(), means_).noise;
    return none;
  }

  /// Not simulated where turning caps into ReLUs alone makes `least` noise to signal or more.
  Attempt equalized(EqualizationWay way, double least) const {
    Attempt made{plain_.network(), {}};
    EqualizationTrial& trial = made.trial;
    trial.way = way;
    std::vector<Tensor> before = original_;
    quant::ChannelExtents extents = extents_;
    if (way == EqualizationWay::ToRelu) {
      trial.caps_removed = quant::turn_caps_into_relus(made.network);
      before = outputs_on(made.network, samples_);
      trial.conversion_noise = noise_between(before, original_);
      if (trial.conversion_noise.ratio() >= least) return made;
      extents = calib::channel_extents(ops::Executor(made.network), samples_);
    }
    quant::unshare_constants(made.network);
    const quant::EqualizationSettings settings = settings_of(equalization_);
    trial.groups = way == EqualizationWay::Activations
                       ? quant::even_activations(made.network, settings.through_adds, extents)
                       : quant::equalize(made.network, settings, extents);
    if (equalization_.high_bias_absorption) quant::absorb_high_biases(made.network, extents);
    trial.equalization_change = largest_change(outputs_on(made.network, samples_), before);
    Workbench bench(made.network, plain_);
    trial.noise = bench.judged(bench.settings(), means_).noise;
    return made;
  }

 private:
  Workbench& plain_;
  const Recipe::Equalization& equalization_;
  Means means_;
  calib::SampleSource samples_;
  std::vector<Tensor> original_;
  quant::ChannelExtents extents_;
};

}  // namespace

std::string_view name_of(EqualizationWay way) {
  switch (way) {
    case EqualizationWay::None:
      return "none";
    case EqualizationWay::CapsKept:
      return "caps kept";
    case EqualizationWay::Activations:
      return "activations";
    case EqualizationWay::ToRelu:
      return "ReLU6 to ReLU";
  }
  return "";
}

const EqualizationTrial& BalancedNetwork::kept() const {
  return *std::find_if(trials.begin(), trials.end(),
                       [](const EqualizationTrial& trial) { return trial.kept; });
}

BalancedNetwork balance(Workbench& plain, const Recipe::Equalization& equalization, Means means,
                        const StageProgress& progress) {
  const Judge judge(plain, equalization, means);
  BalancedNetwork result;
  double least = std::numeric_limits<double>::infinity();
  std::size_t best = 0;
  const auto consider = [&](Attempt made) {
    result.trials.push_back(made.trial);
    const bool beside_none =
        best < result.trials.size() - 1 && result.trials[best].way == EqualizationWay::None;
    const double needed = beside_none ? kWorthwhile * least : least;
    if (!made.trial.noise || made.trial.noise->ratio() >= needed) return;
    least = made.trial.noise->ratio();
    best = result.trials.size() - 1;
    result.network = std::move(made.network);
  };
  const auto try_way = [&](EqualizationWay way) {
    if (progress) progress("judge", static_cast<std::int64_t>(result.trials.size()), 0);
    consider(judge.equalized(way, least));
  };

  const bool caps = has_caps(plain.network());
  if (equalization.undo_if_worse) consider(judge.as_it_is());
  if (!caps || equalization.relu6 != Relu6::ToRelu) try_way(EqualizationWay::CapsKept);
  if (equalization.even_activations && !(caps && equalization.relu6 == Relu6::ToRelu))
    try_way(EqualizationWay::Activations);
  if (caps && equalization.relu6 != Relu6::Keep) try_way(EqualizationWay::ToRelu);
  result.trials[best].kept = true;
  return result;
}

}  // namespace espquant::strategy
