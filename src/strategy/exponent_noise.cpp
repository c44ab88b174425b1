#include "strategy/exponent_noise.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "base/fixed_point.h"
#include "base/parallel.h"
#include "base/per_worker.h"
#include "measure/output_comparison.h"
#include "strategy/channel_means.h"
#include "strategy/output_weights.h"

namespace espquant::strategy {
namespace {

// For a first look at every group, and at the most for those in doubt.
constexpr std::size_t kNoiseLookSamples = 4, kNoiseSamples = 32;
// What all of it may cost, in passes of the whole float network: less than a third of what else is
// done with a network and a few hundred samples.
constexpr double kNoisePasses = 600;
// Groups that make no more than this part of all noise, together, are not worth looking at: less
// than rounding them otherwise would change it by chance.
constexpr double kNegligibleNoise = 0.02;
// A rival that makes more noise than so many times the best is out of the question, and so is one
// that is worse by so many standard errors of the difference, sample by sample.
constexpr double kHopeless = 3, kSureErrors = 3;
constexpr std::size_t kSpreadLooks = 16;
// Means of a few samples would take what is peculiar to them for a shift that biases make up for.
constexpr std::size_t kMeanLooks = 16;
// Without clipping, a step twice as large makes four times the error: less says that it clips less.
constexpr double kNothingClipped = 3.5;
// From the first choice.
constexpr int kMostOctavesDown = 8, kMostOctavesUp = 2;

/// What one sample shows of an exponent.
struct Look {
  /// At the outputs, by group of OutputWeights; empty until it has been looked at.
  std::vector<double> noise;
  /// Of each member: mean square of its own error, and what rounding does to its means, until that
  /// is part of the choice's.
  std::vector<double> errors;
  std::vector<ChannelMeans> means;
};

struct Choice {
  int exponent = 0;
  /// Whether more samples are to look at it.
  bool open = true;
  /// Clearly worse than another on the same samples. What few samples showed of it is not
  /// comparable with what more have shown of others.
  bool out = false;
  /// By sample, in the order of the search: the values are looked at on more samples than the
  /// outputs, on so many.
  std::vector<Look> looks;
  std::size_t at_outputs = 0;
  /// Where those begin that were added last.
  std::size_t fresh = 0;
  /// Of each member over all looks.
  std::vector<ChannelMeans> means;
};

/// Values that share an exponent, those of them that are rounded.
struct Rounded {
  ValueId group = kNone;
  std::vector<ValueId> members;
  double factor = 1;
  int first_choice = 0;
  /// Part of the network behind it, nearly.
  double part = 1;
  std::vector<Choice> choices;

  double step(int exponent) const { return std::ldexp(1.0, exponent) / factor; }
  bool has(int exponent) const {
    return std::any_of(choices.begin(), choices.end(),
                       [&](const Choice& c) { return c.exponent == exponent; });
  }
  void open(int exponent) {
    Choice& choice = choices.emplace_back();
    choice.exponent = exponent;
    choice.means.resize(members.size());
  }
  void close() {
    for (Choice& c : choices) c.open = false;
  }
  std::int64_t open_choices() const {
    return std::count_if(choices.begin(), choices.end(), [](const Choice& c) { return c.open; });
  }
};

/// At most `count` of them, evenly spread, the last among them.
std::vector<std::size_t> spread_to_last(const std::vector<std::size_t>& all, std::size_t count) {
  count = std::min(all.size(), count);
  std::vector<std::size_t> picked;
  for (std::size_t i = 0; i < count; ++i) picked.push_back(all[(i + 1) * all.size() / count - 1]);
  return picked;
}

/// The order in which samples are looked at, and where each round of looks ends.
struct LookOrder {
  std::vector<std::size_t> samples, ends;
};

/// Each round doubles the samples; those of every round are of all magnitudes of inputs, the
/// largest in the first.
LookOrder order_of_looks(std::span<const std::vector<Tensor>> samples) {
  std::vector<float> largest;
  for (const std::vector<Tensor>& inputs : samples) {
    float& most = largest.emplace_back(0.0F);
    for (const Tensor& t : inputs)
      if (t.dtype() == DType::Float32)
        most = std::max(most, calib::extent_of(t.data<float>()).abs_max());
  }
  std::vector<std::size_t> sorted(samples.size());
  std::iota(sorted.begin(), sorted.end(), std::size_t{0});
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](std::size_t a, std::size_t b) { return largest[a] < largest[b]; });
  LookOrder order;
  const std::size_t most = std::min(samples.size(), kNoiseSamples);
  for (std::size_t count = kNoiseLookSamples; order.samples.size() < most; count *= 2) {
    for (std::size_t s : spread_to_last(sorted, std::min(count, most)))
      if (std::find(order.samples.begin(), order.samples.end(), s) == order.samples.end())
        order.samples.push_back(s);
    order.ends.push_back(order.samples.size());
  }
  return order;
}

class NoiseSearch {
 public:
  NoiseSearch(const Graph& network, const quant::Plan& plan, const quant::Settings& settings,
              std::span<const std::vector<Tensor>> samples, const quant::Calibration& calibration)
      : network_(network),
        plan_(plan),
        settings_(settings),
        samples_(samples),
        calibration_(calibration),
        executor_(network, {.keep_all = true}),
        comparison_(network),
        group_of_(network.value_count(), kNoGroup),
        channels_(network.value_count()) {
    find_groups();
    if (settings.bias_correction) made_up_for_ = means_made_up_for(network);
    made_up_for_.resize(network.value_count(), false);
  }

  std::map<ValueId, calib::StepNoise> run() {
    std::map<ValueId, calib::StepNoise> found;
    order_ = order_of_looks(samples_);
    if (groups_.empty() || order_.samples.empty()) return found;
    for (Rounded& g : groups_) g.open(g.first_choice);
    measure(order_.ends.front());
    for (std::size_t g : worth_a_look()) {
      groups_[g].open(groups_[g].first_choice - 1);
      if (clips(groups_[g])) groups_[g].open(groups_[g].first_choice + 1);
    }
    for (std::size_t round = 0; round < order_.ends.size(); ++round) {
      do measure(order_.ends[round]);
      while (open_next());
      if (round + 1 == order_.ends.size() || !keep_doubtful(order_.ends[round + 1])) break;
    }
    for (const Rounded& g : groups_)
      if (g.choices.size() > 1)
        for (const Choice& c : g.choices)
          if (!c.out) found[g.group].set(g.step(c.exponent), noise_of(g, c));
    return found;
  }

 private:
  static constexpr std::size_t kNoGroup = std::numeric_limits<std::size_t>::max();

  void find_groups() {
    Graph graph = network_;
    const std::vector<float> factors =
        quant::quantize_activations(graph, plan_, calibration_, settings_);
    const quant::Widths widths(network_, plan_.exponents, settings_, plan_.wide);
    std::map<ValueId, std::size_t> index;
    std::size_t position = 0;
    const std::vector<NodeId> order = network_.topological_order();
    const auto see = [&](ValueId v) {
      if (v == kNone) return;
      const auto i = static_cast<std::size_t>(v);
      const auto& quant = graph.value(v).quant;
      if (!plan_.rounded[i] || plan_.methods[i] != quant::Method::Auto || plan_.results[i] ||
          widths.of(v) != 8 || !quant || calibration_.statistics.of(v).sum_squares <= 0)
        return;
      const ValueId group = plan_.exponents.find(v);
      const auto [it, fresh] = index.emplace(group, groups_.size());
      if (fresh) {
        Rounded& g = groups_.emplace_back();
        g.group = group;
        g.factor =
            static_cast<double>(factors[static_cast<std::size_t>(plan_.scales.sets.find(v))]);
        g.first_choice = quant->exponent();
        g.part = 1 - static_cast<double>(position) / static_cast<double>(order.size() + 1);
      }
      groups_[it->second].members.push_back(v);
      group_of_[i] = it->second;
    };
    for (ValueId v : network_.inputs()) see(v);
    for (NodeId id : order) {
      ++position;
      for (ValueId v : network_.node(id).outputs) see(v);
    }
  }

  /// Mean square of what rounding `v` changes, over all calibration samples; negative where that
  /// was not gathered.
  double own_error(ValueId v, double step) const {
    const calib::ValueStatistics& s = calibration_.statistics.of(v);
    for (std::size_t i = 0; i < s.errors.size(); ++i)
      if (std::abs(step / static_cast<double>(s.steps[i]) - 1) < 0.01)
        return s.errors[i] / static_cast<double>(s.count);
    return -1;
  }

  /// Whether a larger step might pay.
  bool clips(const Rounded& g) const {
    return std::any_of(g.members.begin(), g.members.end(), [&](ValueId v) {
      const double now = own_error(v, g.step(g.first_choice));
      const double above = own_error(v, g.step(g.first_choice + 1));
      return now > 0 && above >= 0 && above < kNothingClipped * now;
    });
  }

  /// Shows all open exponents to the samples before `end` that have not looked at them.
  void measure(std::size_t end) {
    const std::size_t values_end = std::min(order_.samples.size(), std::max(end, kMeanLooks));
    std::size_t first_value = values_end, first = end;
    for (Rounded& g : groups_)
      for (Choice& c : g.choices) {
        c.fresh = c.looks.size();
        if (!c.open) continue;
        first_value = std::min(first_value, c.fresh);
        first = std::min(first, c.at_outputs);
        spent_ += g.part * static_cast<double>(end - c.at_outputs);
        const std::size_t members = g.members.size();
        c.looks.resize(std::max(values_end, c.fresh),
                       {{}, std::vector<double>(members), std::vector<ChannelMeans>(members)});
      }
    spent_ += static_cast<double>(values_end - first_value);
    look_at_values(first_value, values_end);
    for (Rounded& g : groups_)
      for (Choice& c : g.choices) settle_means(c);
    for_each_look(first, end, [&](std::size_t look, ops::Executor::Workspace& workspace) {
      look_at_outputs(look, workspace);
    });
    for (Rounded& g : groups_)
      for (Choice& c : g.choices)
        if (c.open) c.at_outputs = std::max(c.at_outputs, end);
    weigh_outputs();
  }

  void for_each_look(std::size_t first, std::size_t end,
                     const std::function<void(std::size_t, ops::Executor::Workspace&)>& visit) {
    PerWorker<ops::Executor::Workspace> workspaces(executor_);
    parallel_for(static_cast<std::int64_t>(end - first), [&](std::int64_t i) {
      ops::Executor::Workspace& workspace = workspaces.mine();
      visit(first + static_cast<std::size_t>(i), workspace);
    });
  }

  const std::vector<Tensor>& sample(std::size_t look) const {
    return samples_[order_.samples[look]];
  }

  /// The values' own errors and means and, the first time, the signals at the outputs.
  void look_at_values(std::size_t first, std::size_t end) {
    std::vector<measure::OutputNoise> signals(end - first);
    for_each_look(first, end, [&](std::size_t look, ops::Executor::Workspace& workspace) {
      const std::vector<Tensor> outputs =
          executor_.run(sample(look), workspace,
                        [&](const ops::Executor::View& view) { look_at_value(view, look); });
      signals[look - first] = comparison_.of(outputs, outputs);
    });
    if (weights_) return;
    measure::OutputNoise signal = comparison_.nothing();
    for (const measure::OutputNoise& of_look : signals) signal.add(of_look);
    weights_.emplace(signal, signals.size());
  }

  void look_at_value(const ops::Executor::View& view, std::size_t look) {
    const auto v = static_cast<std::size_t>(view.value);
    if (group_of_[v] == kNoGroup) return;
    Rounded& group = groups_[group_of_[v]];
    const Channels channels = Channels::of(view);
    if (look == 0) channels_[v] = channels;
    const auto member = static_cast<std::size_t>(
        std::find(group.members.begin(), group.members.end(), view.value) - group.members.begin());
    std::vector<float> rounded(view.data.size());
    for (Choice& c : group.choices) {
      if (look < c.fresh || look >= c.looks.size()) continue;
      calib::round_to_step(view.data, static_cast<float>(group.step(c.exponent)),
                           quant::max_q_of(8), rounded);
      c.looks[look].errors[member] =
          calib::squared_difference(rounded, view.data) / static_cast<double>(rounded.size());
      if (made_up_for_[v])
        c.looks[look].means[member] = mean_difference(channels, rounded, view.data);
    }
  }

  static void settle_means(Choice& c) {
    for (std::size_t look = c.fresh; look < c.looks.size(); ++look) {
      const auto weight = 1 / static_cast<float>(look + 1);
      for (std::size_t m = 0; m < c.means.size(); ++m) {
        const ChannelMeans& seen = c.looks[look].means[m];
        c.means[m].resize(seen.size());
        for (std::size_t k = 0; k < seen.size(); ++k)
          c.means[m][k] += (seen[k] - c.means[m][k]) * weight;
      }
      c.looks[look].means = {};
    }
  }

  void look_at_outputs(std::size_t look, ops::Executor::Workspace& workspace) {
    const std::vector<Tensor> exact = executor_.run(sample(look), workspace);
    // From the last to the first: what one group has altered, the next one alters anyway.
    for (auto g = groups_.rbegin(); g != groups_.rend(); ++g)
      for (Choice& c : g->choices) {
        if (!c.open || look < c.at_outputs) continue;
        const auto step = static_cast<float>(g->step(c.exponent));
        const auto round = [&](ValueId v, std::span<float> values) {
          calib::round_to_step(values, step, quant::max_q_of(8), values);
          const auto i = static_cast<std::size_t>(v);
          const auto m = std::find(g->members.begin(), g->members.end(), v) - g->members.begin();
          if (made_up_for_[i])
            subtract_means(channels_[i], c.means[static_cast<std::size_t>(m)], values);
        };
        c.looks[look].noise = weights_->ratios(
            comparison_.of(executor_.run_altered(g->members, round, workspace), exact));
      }
  }

  /// How much larger the values' own errors are over all calibration samples than in the looks, as
  /// far as the outputs feel it: their errors grow more slowly than those of outliers.
  double rarity(const Rounded& group, const Choice& c) const {
    double here = 0, everywhere = 0;
    for (std::size_t m = 0; m < group.members.size(); ++m) {
      const ValueId v = group.members[m];
      const double all = own_error(v, group.step(c.exponent));
      double some = 0;
      for (std::size_t look = 0; look < c.at_outputs; ++look) some += c.looks[look].errors[m];
      some /= static_cast<double>(c.at_outputs);
      const double signal = calibration_.statistics.of(v).sum_squares /
                            static_cast<double>(calibration_.statistics.of(v).count);
      here += some / signal;
      everywhere += (all >= 0 ? all : some) / signal;
    }
    if (here > 0) return std::sqrt(everywhere / here);
    return everywhere > 0 ? std::numeric_limits<double>::infinity() : 1;
  }

  /// Of all samples, estimated, by group of outputs.
  std::vector<double> noises_of(const Rounded& group, const Choice& c) const {
    const double scale = rarity(group, c) / static_cast<double>(c.at_outputs);
    std::vector<double> sums(c.looks.front().noise.size());
    for (std::size_t look = 0; look < c.at_outputs; ++look)
      std::transform(sums.begin(), sums.end(), c.looks[look].noise.begin(), sums.begin(),
                     std::plus<>());
    // Without errors among the looks, it is not known what those of others would do.
    for (double& sum : sums) sum = std::isfinite(scale) ? sum * scale : scale;
    return sums;
  }
  double noise_of(const Rounded& group, const Choice& c) const {
    return weights_->of(noises_of(group, c));
  }

  const Choice& best_of(const Rounded& group) const {
    const Choice* best = nullptr;
    double least = 0;
    for (const Choice& c : group.choices) {
      if (c.out) continue;
      const double noise = noise_of(group, c);
      if (best != nullptr && noise >= least) continue;
      best = &c;
      least = noise;
    }
    ESPQUANT_ASSERT(best != nullptr, "the best of a group is never out");
    return *best;
  }

  void weigh_outputs() {
    std::vector<double> total;
    for (const Rounded& g : groups_) {
      const std::vector<double> noises = noises_of(g, best_of(g));
      total.resize(noises.size());
      for (std::size_t o = 0; o < total.size(); ++o)
        if (std::isfinite(noises[o])) total[o] += noises[o];
    }
    weights_->weigh(total);
  }

  /// Groups whose noise is worth a look, the noisiest for their price first.
  std::vector<std::size_t> worth_a_look() const {
    std::vector<double> noises;
    std::vector<std::size_t> order(groups_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    double left = 0;
    for (const Rounded& g : groups_) {
      noises.push_back(noise_of(g, best_of(g)));
      if (std::isfinite(noises.back())) left += noises.back();
    }
    left *= kNegligibleNoise;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return noises[a] < noises[b]; });
    std::size_t negligible = 0;
    while (negligible < order.size() && noises[order[negligible]] <= left)
      left -= noises[order[negligible++]];
    order.erase(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(negligible));
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return noises[a] / groups_[a].part > noises[b] / groups_[b].part;
    });
    return order;
  }

  /// Whether a rival is clearly worse, by what the same samples show of both.
  bool is_out(const Rounded& group, const Choice& rival, const Choice& best) const {
    const double its = rarity(group, rival), mine = rarity(group, best);
    const std::size_t count = std::min(rival.at_outputs, best.at_outputs);
    const auto n = static_cast<double>(count);
    double rivals = 0, least = 0, sum = 0, squares = 0;
    for (std::size_t look = 0; look < count; ++look) {
      const double a = weights_->of(rival.looks[look].noise);
      const double b = weights_->of(best.looks[look].noise);
      rivals += a;
      least += b;
      const double difference = its * a - mine * b;
      sum += difference;
      squares += difference * difference;
    }
    // How rare the errors are is known less well than what the samples show: both have to say so.
    if (rivals > kHopeless * least && noise_of(group, rival) > kHopeless * noise_of(group, best))
      return true;
    // The spread of few says little.
    if (count < kSpreadLooks || !std::isfinite(sum)) return false;
    const double variance = std::max(squares - sum * sum / n, 0.0) / (n - 1);
    return sum > 0 && sum / n > kSureErrors * std::sqrt(variance / n);
  }

  /// Leaves open what more samples may tell apart, as far as they are affordable, the noisiest
  /// groups first. False where that is nothing.
  bool keep_doubtful(std::size_t next_end) {
    for (Rounded& g : groups_) {
      const Choice& best = best_of(g);
      for (Choice& c : g.choices) {
        c.out = c.out || (&c != &best && is_out(g, c, best));
        c.open = c.open && !c.out;
      }
      if (g.open_choices() < 2) g.close();
    }
    std::vector<bool> kept(groups_.size(), false);
    double cost = 0;
    for (std::size_t g : worth_a_look()) {
      double price = 0;
      for (const Choice& c : groups_[g].choices)
        if (c.open) price += groups_[g].part * static_cast<double>(next_end - c.at_outputs);
      if (price == 0 || spent_ + cost + price > kNoisePasses) continue;
      cost += price;
      kept[g] = true;
    }
    for (std::size_t g = 0; g < groups_.size(); ++g)
      if (!kept[g]) groups_[g].close();
    return cost > 0;
  }

  /// Goes on where an exponent at the edge is the best.
  bool open_next() {
    bool any = false;
    for (Rounded& g : groups_) {
      if (g.choices.size() < 2) continue;
      const int best = best_of(g).exponent;
      for (int next : {best - 1, best + 1})
        if (best != g.first_choice && !g.has(next) && next >= g.first_choice - kMostOctavesDown &&
            next <= g.first_choice + kMostOctavesUp) {
          g.open(next);
          any = true;
        }
    }
    return any;
  }

  const Graph& network_;
  const quant::Plan& plan_;
  const quant::Settings& settings_;
  std::span<const std::vector<Tensor>> samples_;
  const quant::Calibration& calibration_;
  ops::Executor executor_;
  measure::OutputComparison comparison_;
  LookOrder order_;
  /// From the first look on.
  std::optional<OutputWeights> weights_;
  /// In the order of computation.
  std::vector<Rounded> groups_;
  /// By ValueId.
  std::vector<std::size_t> group_of_;
  std::vector<Channels> channels_;
  std::vector<bool> made_up_for_;
  /// Passes of the whole network, nearly.
  double spent_ = 0;
};

}  // namespace

void measure_step_noise(const Graph& network, const quant::Plan& plan,
                        const quant::Settings& settings,
                        std::span<const std::vector<Tensor>> samples,
                        quant::Calibration& calibration) {
  calibration.statistics.step_noise =
      NoiseSearch(network, plan, settings, samples, calibration).run();
}

}  // namespace espquant::strategy
