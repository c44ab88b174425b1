#include "strategy/find_banks.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "base/parallel.h"
#include "quant/weights.h"
#include "schedule/in_place_writes.h"
#include "strategy/bank_borders.h"
#include "strategy/bank_gain.h"
#include "strategy/bank_watch.h"
#include "strategy/stepped_run.h"

namespace espquant::strategy {
namespace {

constexpr std::size_t kFilterInput = 1, kBiasInput = 2;
// Frames whose loudness varies less have nothing to gain from another exponent.
constexpr float kLeastVariation = 2;

std::vector<float> statistics_of(const calib::SampleSource& source, const BankOptions& options) {
  std::vector<float> statistics(static_cast<std::size_t>(source.count));
  parallel_for(source.count, [&](std::int64_t i) {
    statistics[static_cast<std::size_t>(i)] =
        espdl::statistic_of(source.sample(i), options.statistic, options.percentile);
  });
  return statistics;
}

/// How the scaled network is quantized for one bank: it is scaled already, and its filters are
/// those of the model.
quant::Settings settings_for_banks(const QuantizedModel& made, const Target& target) {
  quant::Settings settings = strategy::settings_of(made.recipe, made.scaled, target);
  settings.scale_layers = false;
  settings.round_weights = false;
  settings.reconstruct = false;
  return settings;
}

bool is_filter(const Graph& graph, const Node& n, std::size_t input) {
  return quant::is_weighted(graph, n) && input == kFilterInput;
}

bool is_bias(const Graph& graph, const Node& n, std::size_t input) {
  return quant::is_weighted(graph, n) && input == kBiasInput;
}

/// The model's quantized network with the activations of `drafted`, a bank's: the filters stay, and
/// biases follow, at their float values.
Graph with_activations_of(const Graph& quantized, const Graph& scaled, const Graph& drafted,
                          const std::set<ValueId>& remembered) {
  Graph made = quantized;
  const auto adopt = [&](ValueId v, const Graph& from) {
    const ValueId other = from.find_value(made.value(v).name);
    return other == kNone ? nullptr : &from.value(other);
  };
  for (std::size_t i = 0; i < made.value_count(); ++i) {
    const auto v = static_cast<ValueId>(i);
    Value& value = made.value(v);
    if (value.is_constant() || remembered.contains(v)) continue;
    if (const Value* own = adopt(v, drafted)) {
      value.quant = own->quant;
      value.requant = own->requant;
    }
  }
  for (const NodeId id : made.topological_order()) {
    const Node& n = made.node(id);
    for (std::size_t input = 0; input < n.inputs.size(); ++input) {
      const ValueId v = n.inputs[input];
      if (v == kNone || !made.value(v).is_constant() || is_filter(made, n, input)) continue;
      Value& value = made.value(v);
      if (!is_bias(made, n, input)) {
        if (const Value* own = adopt(v, drafted)) {
          value.constant = own->constant;
          value.quant = own->quant;
        }
        continue;
      }
      if (const Value* own = adopt(v, scaled)) value.constant = own->constant;
    }
  }
  return made;
}

/// The exponents of biases follow those of the inputs, as in the model.
void let_biases_follow(const Graph& own, Graph& bank) {
  for (const NodeId id : bank.topological_order()) {
    const Node& n = bank.node(id);
    const ValueId bias = n.input(kBiasInput);
    if (bias == kNone || !is_bias(bank, n, kBiasInput) || !own.value(bias).quant) continue;
    const auto& before = own.value(n.inputs[0]).quant;
    const auto& after = bank.value(n.inputs[0]).quant;
    if (!before || !after) continue;
    bank.value(bias).quant = own.value(bias).quant;
    for (int& e : bank.value(bias).quant->exponents) e += after->exponent() - before->exponent();
  }
}

/// Activations whose exponent is the model's in every bank, as the runtime remembers it.
std::set<ValueId> remembered_values(const Graph& graph) {
  std::set<ValueId> remembered;
  for (const NodeId id : graph.topological_order()) {
    const Node& n = graph.node(id);
    if (n.inputs.empty() || n.inputs[0] == kNone || !graph.value(n.inputs[0]).quant) continue;
    const auto kind = espdl::remembered_exponents(n.op, graph.value(n.inputs[0]).quant->bits);
    if (kind != espdl::Remembered::Nothing) remembered.insert(n.inputs.begin(), n.inputs.end());
    if (kind == espdl::Remembered::All) remembered.insert(n.outputs.begin(), n.outputs.end());
  }
  return remembered;
}

/// What all banks of a model have in common.
struct Common {
  const QuantizedModel& made;
  const Target& target;
  const calib::SampleSource& source;
  quant::Settings settings;
  lower::Options lowering;
  std::set<ValueId> remembered;
};

/// Tensors of node `n` that have one exponent in the model get one in the bank: the coarsest of
/// theirs. False where they have it.
bool share_exponents(const Common& common, const Node& n, Graph& bank) {
  const Graph& own = common.made.quantized;
  std::vector<ValueId> shared;
  const auto joins = [&](ValueId v) {
    const bool activation = v != kNone && !own.value(v).is_constant() && own.value(v).quant;
    return activation && own.value(v).quant == own.value(n.outputs.front()).quant &&
           !common.lowering.requantized.contains({n.name, own.value(v).name});
  };
  for (const auto* values : {&n.inputs, &n.outputs})
    std::copy_if(values->begin(), values->end(), std::back_inserter(shared), joins);
  int coarsest = std::numeric_limits<int>::min();
  for (const ValueId v : shared) coarsest = std::max(coarsest, bank.value(v).quant->exponent());
  const auto kept = std::find_if(shared.begin(), shared.end(),
                                 [&](ValueId v) { return common.remembered.contains(v); });
  if (kept != shared.end()) coarsest = own.value(*kept).quant->exponent();
  bool changed = false;
  for (const ValueId v : shared) {
    auto& exponents = bank.value(v).quant->exponents;
    changed = changed || exponents.front() != coarsest;
    exponents = {coarsest};
  }
  return changed;
}

/// Takes out of the bank what it would requantize and the model does not. False where there is
/// nothing of the kind, or nothing that helps.
bool share_exponents_as(const Common& common, const std::set<lower::RequantizedInput>& requantized,
                        Graph& bank) {
  bool changed = false;
  for (const NodeId id : bank.topological_order()) {
    const Node& n = bank.node(id);
    const bool extra = std::any_of(requantized.begin(), requantized.end(), [&](const auto& input) {
      return input.first == n.name && !common.lowering.requantized.contains(input);
    });
    if (extra) changed = share_exponents(common, n, bank) || changed;
  }
  return changed;
}

Candidate make_bank(const Common& common, Workbench& bench) {
  Candidate candidate = bench.draft(common.settings);
  candidate.graph = with_activations_of(common.made.quantized, common.made.scaled, candidate.graph,
                                        common.remembered);
  do {
    let_biases_follow(common.made.quantized, candidate.graph);
    candidate.lowered = lower::lower(candidate.graph, common.target, common.lowering);
  } while (share_exponents_as(common, candidate.lowered.requantized, candidate.graph));
  schedule::protect_from_in_place_writes(candidate.lowered.model, common.target, bench.latency());
  return run_in_step(std::move(candidate), bench.plan(), common.target, bench.run(), true);
}

/// The model on inputs that are so many octaves quieter, of a network that is homogeneous.
Candidate make_gain(const Common& common, Workbench& bench, int octaves) {
  Candidate candidate;
  candidate.graph = at_lower_exponents(common.made.quantized, octaves);
  candidate.lowered = lower::lower(candidate.graph, common.target, common.lowering);
  schedule::protect_from_in_place_writes(candidate.lowered.model, common.target, bench.latency());
  candidate.noise = output_noise(sim::Program(candidate.lowered.model, common.target),
                                 common.made.scaled, bench.run());
  return candidate;
}

using MakeBank = std::function<Candidate(Workbench& bench)>;

/// Tries the bank that `make` makes for these samples; adds it to `banks` where it pays.
void try_bank(const Common& common, const std::vector<std::int64_t>& samples, const MakeBank& make,
              TriedBank& tried, espdl::Banks& banks) {
  tried.samples = static_cast<std::int64_t>(samples.size());
  const calib::SampleSource own{tried.samples, [&](std::int64_t i) {
                                  return common.source.sample(samples[static_cast<std::size_t>(i)]);
                                }};
  Workbench bench(common.made.scaled, common.settings, own);
  bench.hold_out();
  tried.single =
      output_noise(sim::Program(common.made.model, common.target), common.made.scaled, bench.run());
  const Candidate bank = make(bench);
  tried.banked = bank.noise;
  if (!bank.noise.is_finite() || !bank.noise.is_below(1, tried.single)) return;
  espdl::add_bank(banks, common.made.model, bank.lowered.model, tried.largest);
  tried.kept = true;
}

std::vector<float> octaves_below(float loudest, float quietest) {
  constexpr int kMostOctaves = 15;
  std::vector<float> borders;
  for (int k = 1; k <= kMostOctaves && loudest * std::exp2(static_cast<float>(-k)) >= quietest; ++k)
    borders.insert(borders.begin(), loudest * std::exp2(static_cast<float>(-k)));
  return borders;
}

void try_all_banks(const QuantizedModel& made, const Target& target,
                   const calib::SampleSource& source, const BankOptions& options,
                   const std::vector<float>& statistics, FoundBanks& found,
                   const StageProgress& progress) {
  Common common{made, target, source, settings_for_banks(made, target), {}, {}};
  common.remembered = remembered_values(made.quantized);
  common.lowering.table_error = common.settings.table_error;
  common.lowering.requantized = lower::lower(made.quantized, target, common.lowering).requantized;
  found.gain = options.count == 0 && is_homogeneous(made.scaled);
  std::vector<float> largest;
  if (found.gain) {
    largest = octaves_below(found.loudest, found.quietest);
  } else {
    const ops::Executor executor(made.scaled);
    const calib::Statistics ranges = calib::scan(executor, source, source.count);
    const quant::Plan plan = quant::make_plan(made.scaled, common.settings, ranges);
    BankBorders borders =
        place_bank_borders(made.scaled, executor, plan, ranges, source, statistics, options.count);
    largest = std::move(borders.largest);
    found.noise_by_count = std::move(borders.noise);
  }
  const auto count = static_cast<std::int64_t>(largest.size());
  for (std::int64_t b = count - 1; b >= 0; --b) {
    if (progress) progress("banks", count - 1 - b, count);
    TriedBank tried;
    tried.largest = largest[static_cast<std::size_t>(b)];
    std::vector<std::int64_t> samples;
    const float quieter =
        b > 0 ? largest[static_cast<std::size_t>(b - 1)] : -std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < statistics.size(); ++i)
      if (statistics[i] > quieter && statistics[i] <= tried.largest)
        samples.push_back(static_cast<std::int64_t>(i));
    if (samples.empty()) continue;
    const auto make = [&](Workbench& bench) {
      return found.gain ? make_gain(common, bench, static_cast<int>(count - b))
                        : make_bank(common, bench);
    };
    try {
      try_bank(common, samples, make, tried, found.banks);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::Internal || error.code() == ErrorCode::Cancelled) throw;
      tried.obstacle = error.what();
    }
    found.tried.insert(found.tried.begin(), std::move(tried));
  }
}

}  // namespace

BankOptions bank_options_of(const recipe::Recipe::Dynamic& dynamic) {
  BankOptions options;
  options.count = dynamic.banks;
  options.statistic = dynamic.statistic == recipe::FrameStatistic::Largest
                          ? espdl::Statistic::Largest
                          : espdl::Statistic::Percentile;
  options.percentile = static_cast<float>(dynamic.percentile);
  options.overlap = static_cast<float>(dynamic.overlap);
  options.watch = dynamic.watch;
  return options;
}

FoundBanks find_banks(const QuantizedModel& made, const Target& target,
                      const calib::SampleSource& source, const BankOptions& options,
                      const StageProgress& progress) {
  FoundBanks found;
  found.banks.statistic = options.statistic;
  found.banks.percentile = options.percentile;
  found.banks.descent = std::exp2(-options.overlap);
  const std::vector<std::string> watched = watched_tensors(made.model, options.watch);
  const std::vector<float> statistics = statistics_of(source, options);
  const auto [least, most] = std::minmax_element(statistics.begin(), statistics.end());
  found.quietest = *least;
  found.loudest = *most;
  if (found.quietest * kLeastVariation < found.loudest)
    try_all_banks(made, target, source, options, statistics, found, progress);
  found.banks.watched =
      clipping_limits(made.model, made.scaled, target, found.banks, watched, source);
  return found;
}

}  // namespace espquant::strategy
