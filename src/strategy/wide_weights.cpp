#include "strategy/wide_weights.h"

#include <algorithm>

#include "quant/widths.h"
#include "strategy/trials.h"

namespace espquant::strategy {
namespace {

// Samples to fit to, and to judge on.
constexpr std::int64_t kWeightSamples = 16;
// Weights that make a smaller share of the noise are left as they are.
constexpr double kWideWorthwhile = 0.005;

struct NarrowFilter {
  std::string layer;
  /// At 8 bits; 16 take as many again.
  double bytes = 0;
  double noise = 0;

  double noise_per_byte() const { return noise / bytes; }
};

std::vector<NarrowFilter> narrow_filters(const Workbench& bench, const quant::Settings& settings) {
  const Graph& graph = bench.network();
  const quant::Widths widths(graph, bench.plan().exponents, settings, bench.plan().wide);
  std::vector<NarrowFilter> filters;
  for (NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (!quant::has_w8a16(graph, n) || widths.of(graph, n) != 16 ||
        widths.of_weights(graph, n) != 8 || settings.layer_weight_bits.contains(n.name))
      continue;
    // Groups that are dissolved take the zeros between them along.
    const std::int64_t groups = n.op == "Conv" ? n.attributes.get_int("group", 1) : 1;
    const std::int64_t weights = graph.value(n.inputs[1]).constant.size() * groups;
    if (weights > 0) filters.push_back({n.name, static_cast<double>(weights), 0});
  }
  return filters;
}

void measure_each(Workbench& bench, const quant::Settings& settings, Means means,
                  const StageProgress& progress, std::vector<NarrowFilter>& filters) {
  bench.hold_out();
  quant::Settings all_wide = settings;
  for (const NarrowFilter& f : filters) all_wide.layer_weight_bits[f.layer] = 16;
  std::vector<quant::Settings> one_narrow(filters.size() + 1, all_wide);
  for (std::size_t i = 0; i < filters.size(); ++i)
    one_narrow[i].layer_weight_bits.erase(filters[i].layer);
  const FloatRun part = bench.part_of_run(kWeightSamples);
  Trials trials(bench, all_wide, means, part);
  std::vector<double> noises;
  trials.make_each(one_narrow, [&](std::size_t, const Candidate& candidate) {
    noises.push_back(candidate.noise.ratio());
    if (progress)
      progress("search", static_cast<std::int64_t>(noises.size()),
               static_cast<std::int64_t>(one_narrow.size()));
  });
  for (std::size_t i = 0; i < filters.size(); ++i)
    filters[i].noise = std::max(noises[i] - noises.back(), 0.0);
}

}  // namespace

WideWeights choose_wide_weights(Workbench& bench, double share, const quant::Settings& settings,
                                Means means, const StageProgress& progress) {
  WideWeights result{settings, {}};
  std::vector<NarrowFilter> filters = narrow_filters(bench, settings);
  double left = 0, total_noise = 0;
  for (const NarrowFilter& f : filters) left += share * f.bytes;
  const bool any_fits = std::any_of(filters.begin(), filters.end(),
                                    [&](const NarrowFilter& f) { return f.bytes <= left; });
  if (!any_fits) return result;
  measure_each(bench, settings, means, progress, filters);
  for (const NarrowFilter& f : filters) total_noise += f.noise;
  std::stable_sort(filters.begin(), filters.end(), [](const auto& a, const auto& b) {
    return a.noise_per_byte() > b.noise_per_byte();
  });
  for (const NarrowFilter& f : filters) {
    if (f.bytes > left || f.noise <= kWideWorthwhile * total_noise) continue;
    left -= f.bytes;
    result.settings.layer_weight_bits[f.layer] = 16;
    result.layers.push_back(f.layer);
  }
  return result;
}

}  // namespace espquant::strategy
