#include "strategy/preparation.h"

#include <algorithm>

namespace espquant::strategy {

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
  for (const Bench& known : benches_)
    if (known.network == &network && known.bench->settings() == settings) return known.bench;
  auto made = std::make_shared<Workbench>(network.network, settings, source_, labels_, progress);
  benches_.push_back({&network, made});
  return made;
}

}  // namespace espquant::strategy
