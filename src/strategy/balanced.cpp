#include "strategy/balanced.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "calib/channel_extents.h"
#include "measure/output_comparison.h"
#include "quant/equalization.h"
#include "quant/scaling.h"

namespace espquant::strategy {
namespace {

// For the change of the float outputs.
constexpr std::int64_t kComparedSamples = 16;
// Beside the network as it is, a smaller gain may be chance.
constexpr double kBalancedWorthwhile = 0.9;

quant::EqualizationSettings settings_of(const recipe::Recipe::Equalization& e) {
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

/// Per sample.
using Outputs = std::vector<std::vector<Tensor>>;

Outputs outputs_on(const Graph& network, const calib::SampleSource& source) {
  const ops::Executor executor(network, {.observe_all = false});
  ops::Executor::Workspace workspace(executor);
  Outputs outputs;
  for (std::int64_t i : evenly_spread(source.count, kComparedSamples))
    outputs.push_back(executor.run(source.sample(i), workspace));
  return outputs;
}

double largest_change(const Outputs& actual, const Outputs& expected) {
  double change = 0, largest = 0;
  for (std::size_t s = 0; s < actual.size(); ++s)
    for (std::size_t o = 0; o < actual[s].size(); ++o) {
      const auto a = actual[s][o].data<float>(), e = expected[s][o].data<float>();
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

/// Tries ways, calibrated and judged on the samples of a bench of the network as it is.
class Judge {
 public:
  Judge(Workbench& plain, const quant::Settings& settings,
        const recipe::Recipe::Equalization& equalization, Means means)
      : plain_(plain), settings_(settings), equalization_(equalization), means_(means) {
    plain.hold_out();
    original_ = outputs_on(plain.network(), plain.source());
    extents_ = calib::channel_extents(ops::Executor(plain.network()), plain.source());
  }
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;

  Attempt as_it_is() const {
    Attempt none{plain_.network(), {}};
    none.trial.noise = plain_.judged(settings_, means_).noise;
    return none;
  }

  /// Not simulated where turning caps into ReLUs alone makes `most` noise to signal or more.
  Attempt equalized(EqualizationWay way, double most) const {
    Attempt made{plain_.network(), {}};
    EqualizationTrial& trial = made.trial;
    trial.way = way;
    Outputs before = original_;
    quant::ChannelExtents extents = extents_;
    if (way == EqualizationWay::ToRelu) {
      trial.caps_removed = quant::turn_caps_into_relus(made.network);
      before = outputs_on(made.network, plain_.source());
      trial.conversion_noise = measure::OutputComparison(made.network).of_all(before, original_);
      if (trial.conversion_noise.ratio() >= most) return made;
      extents = calib::channel_extents(ops::Executor(made.network), plain_.source());
    }
    quant::unshare_constants(made.network);
    const quant::EqualizationSettings how = settings_of(equalization_);
    trial.groups = way == EqualizationWay::Activations
                       ? quant::even_activations(made.network, how.through_adds, extents)
                       : quant::equalize(made.network, how, extents);
    if (equalization_.high_bias_absorption) quant::absorb_high_biases(made.network, extents);
    trial.equalization_change = largest_change(outputs_on(made.network, plain_.source()), before);
    Workbench bench(made.network, plain_);
    trial.noise = bench.judged(settings_, means_).noise;
    return made;
  }

 private:
  Workbench& plain_;
  const quant::Settings& settings_;
  const recipe::Recipe::Equalization& equalization_;
  Means means_;
  Outputs original_;
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
  const auto found = std::find_if(trials.begin(), trials.end(),
                                  [](const EqualizationTrial& trial) { return trial.kept; });
  ESPQUANT_ASSERT(found != trials.end(), "one of the ways is kept");
  return *found;
}

BalancedNetwork balance(Workbench& plain, const quant::Settings& settings,
                        const recipe::Recipe::Equalization& equalization, Means means,
                        const StageProgress& progress) {
  const Judge judge(plain, settings, equalization, means);
  BalancedNetwork result;
  // What a way has to stay below.
  double bar = std::numeric_limits<double>::infinity();
  std::size_t best = 0;
  const auto consider = [&](Attempt made) {
    const EqualizationTrial& trial = result.trials.emplace_back(made.trial);
    if (!trial.noise || trial.noise->ratio() >= bar) return;
    bar = trial.noise->ratio() * (trial.way == EqualizationWay::None ? kBalancedWorthwhile : 1);
    best = result.trials.size() - 1;
    result.network = std::move(made.network);
  };
  const auto try_way = [&](EqualizationWay way) {
    if (progress) progress("judge", static_cast<std::int64_t>(result.trials.size()), 0);
    consider(judge.equalized(way, bar));
  };

  const bool caps = has_caps(plain.network());
  if (equalization.undo_if_worse) consider(judge.as_it_is());
  if (!caps || equalization.relu6 != recipe::Relu6::ToRelu) try_way(EqualizationWay::CapsKept);
  if (equalization.even_activations && !(caps && equalization.relu6 == recipe::Relu6::ToRelu))
    try_way(EqualizationWay::Activations);
  if (caps && equalization.relu6 != recipe::Relu6::Keep) try_way(EqualizationWay::ToRelu);
  result.trials[best].kept = true;
  return result;
}

}  // namespace espquant::strategy
