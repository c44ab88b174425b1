#include "strategy/preparation.h"

#include <algorithm>

#include "strategy/confirmation.h"

namespace espquant::strategy {
namespace {

// Beside the network as it is, less of a gain by equalization may be chance.
constexpr double kConfirmedGain = 0.95;

quant::Settings with_wide_weights(quant::Settings settings) {
  settings.weight_bits = 16;
  settings.layer_weight_bits.clear();
  return settings;
}

/// Whether equalization keeps what it promised: calibrated on all samples as it will be, beside the
/// network as it was.
bool is_worth_keeping(Workbench& equalized, Workbench& plain, const quant::Settings& settings,
                      Means means) {
  const Candidate& with = equalized.judged(settings, means);
  const Candidate& without = plain.judged(settings, means);
  return with.noise.is_below(kConfirmedGain, without.noise) &&
         is_confirmed(plain, with, without, kConfirmedGain);
}

}  // namespace

const Preparation::Simplified& Preparation::simplified(
    const std::vector<std::string>& disabled_passes, const std::vector<std::string>& unrolled) {
  for (const Simplified& known : simplified_)
    if (known.disabled_passes == disabled_passes && known.unrolled == unrolled) return known;
  Simplified made{disabled_passes, unrolled, {}, {}};
  passes::PassOptions options;
  options.disabled = disabled_passes;
  Graph graph = imported_;
  for (const NodeId id : graph.topological_order())
    if (std::find(unrolled.begin(), unrolled.end(), graph.node(id).name) != unrolled.end())
      graph.node(id).attributes.set("unroll", std::int64_t{1});
  made.network = passes::simplify(std::move(graph), options, &made.passes);
  return simplified_.emplace_back(std::move(made));
}

std::shared_ptr<Workbench> Preparation::workbench(const Simplified& network,
                                                  const quant::Settings& settings,
                                                  const StageProgress& progress) {
  const quant::Settings seen = with_wide_weights(settings);
  const auto known = std::find_if(benches_.begin(), benches_.end(), [&](const Bench& b) {
    return b.network == &network && b.bench->settings() == seen;
  });
  if (known != benches_.end()) {
    std::rotate(known, known + 1, benches_.end());
    return benches_.back().bench;
  }
  auto made = std::make_shared<Workbench>(network.network, seen, source_, labels_, progress);
  benches_.push_back({&network, made});
  return made;
}

const Preparation::Equalized& Preparation::equalized(
    const std::shared_ptr<Workbench>& plain, const quant::Settings& settings,
    const recipe::Recipe::Equalization& equalization, Means means, Stopwatch& watch) {
  const bool no_choice = !equalization.undo_if_worse && !equalization.even_activations &&
                         equalization.relu6 != recipe::Relu6::Auto;
  const quant::Settings seen = no_choice ? with_wide_weights(settings) : settings;
  const auto known =
      std::find_if(equalized_.begin(), equalized_.end(), [&](const EqualizedBench& e) {
        return e.plain == plain && e.settings == seen && e.equalization == equalization &&
               e.means == means;
      });
  if (known != equalized_.end()) {
    std::rotate(known, known + 1, equalized_.end());
    return equalized_.back().made;
  }
  BalancedNetwork balanced = watch.run(
      "equalize", [&] { return balance(*plain, settings, equalization, means, watch.progress()); });
  Equalized made{plain, balanced.trials};
  if (balanced.kept().way != EqualizationWay::None) {
    const auto again = watch.run("calibrate again", [&] {
      return std::make_shared<Workbench>(std::move(balanced.network), plain->settings(), source_,
                                         labels_, watch.progress());
    });
    again->estimate_with(plain->latency());
    if (!equalization.undo_if_worse ||
        watch.run("confirm", [&] { return is_worth_keeping(*again, *plain, settings, means); }))
      made.bench = again;
    else
      for (EqualizationTrial& trial : made.trials) trial.kept = trial.way == EqualizationWay::None;
  }
  return equalized_.emplace_back(EqualizedBench{plain, seen, equalization, means, std::move(made)})
      .made;
}

void Preparation::keep_benches(std::size_t count) {
  while (benches_.size() > count) benches_.pop_front();
  while (equalized_.size() > count) equalized_.pop_front();
}

}  // namespace espquant::strategy
