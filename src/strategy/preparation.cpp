#include "strategy/preparation.h"

namespace espquant::strategy {

const Preparation::Simplified& Preparation::simplified(
    const std::vector<std::string>& disabled_passes) {
  for (const Simplified& known : simplified_)
    if (known.disabled_passes == disabled_passes) return known;
  Simplified made{disabled_passes, {}, {}};
  passes::PassOptions options;
  options.disabled = disabled_passes;
  made.network = passes::simplify(imported_, options, &made.passes);
  return simplified_.emplace_back(std::move(made));
}

std::shared_ptr<Workbench> Preparation::workbench(const Simplified& network,
                                                  const quant::Settings& settings,
                                                  const StageProgress& progress) {
  for (const Bench& known : benches_)
    if (known.network == &network && known.bench->settings() == settings) return known.bench;
  auto made = std::make_shared<Workbench>(network.network, settings, source_, labels_, progress);
  benches_.push_back({&network, made});
  return made;
}

}  // namespace espquant::strategy
