#include "strategy/exponent_noise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <numeric>

#include "base/fixed_point.h"
#include "base/parallel.h"
#include "measure/output_comparison.h"
#include "ops/op.h"

namespace espquant::strategy {
namespace {

// For a first look at every group, and at the most for those in doubt.
constexpr std::size_t kNoiseLookSamples = 4, kNoiseSamples = 32;
// What all of it may cost, in passes of the whole float network: less than a third of what else is
// done with a network and a few hundred samples.
constexpr double kNoisePasses = 600;
// A rival that makes more noise than so many times the first choice is out of the question.
constexpr double kHopeless = 3;
// Without clipping, a step twice as large makes four times the error: less says that it clips less.
constexpr double kNothingClipped = 3.5;
// From the first choice.
constexpr int kMostOctavesDown = 8, kMostOctavesUp = 2;

struct Choice {
  int exponent = 0;
  double noise = 0;
};

/// Values that share an exponent, those of them that are rounded.
struct Rounded {
  ValueId group = kNone;
  std::vector<ValueId> members;
  double factor = 1;
  int first_choice = 0;
  /// Part of the network behind it, nearly.
  double part = 1;
  std::vector<Choice> measured;
  /// Exponents to measure in this round.
  std::vector<int> open;

  double step(int exponent) const { return std::ldexp(1.0, exponent) / factor; }
  const Choice& best() const {
    return *std::min_element(measured.begin(), measured.end(),
                             [](const Choice& a, const Choice& b) { return a.noise < b.noise; });
  }
  bool has(int exponent) const {
    return std::any_of(measured.begin(), measured.end(),
                       [&](const Choice& c) { return c.exponent == exponent; });
  }
};

/// Where the channels (axis 1) of a value stand in memory.
struct Channels {
  std::size_t count = 1, inner = 1;

  static Channels of(const ops::Executor::View& view) {
    if (view.shape.size() < 2) return {};
    const auto count = static_cast<std::size_t>(view.shape[1]);
    const std::size_t outer = view.channels_last ? view.data.size() : count;
    return {count, view.channels_last ? 1 : view.data.size() / std::max<std::size_t>(outer, 1)};
  }
  /// Calls visit(channel, first, end) for runs of elements; channels-last, where there is one of
  /// each, visit(0, first, end) for all channels at once.
  template <typename F>
  void each_row(std::size_t size, F&& visit) const {
    const std::size_t row = inner == 1 ? count : inner;
    for (std::size_t first = 0, channel = 0; first < size; first += row) {
      visit(channel, first, std::min(first + row, size));
      if (inner > 1) channel = channel + 1 == count ? 0 : channel + 1;
    }
  }
};

using ChannelMeans = std::vector<float>;

ChannelMeans mean_difference(const Channels& channels, std::span<const float> a,
                             std::span<const float> b) {
  ChannelMeans sums(channels.count, 0.0F);
  channels.each_row(a.size(), [&](std::size_t channel, std::size_t first, std::size_t end) {
    if (channels.inner == 1) {
      for (std::size_t k = first; k < end; ++k) sums[k - first] += a[k] - b[k];
    } else {
      float sum = 0;
      for (std::size_t k = first; k < end; ++k) sum += a[k] - b[k];
      sums[channel] += sum;
    }
  });
  const auto each = static_cast<float>(
      std::max<std::size_t>(a.size() / std::max<std::size_t>(channels.count, 1), 1));
  for (float& sum : sums) sum /= each;
  return sums;
}

void subtract_means(const Channels& channels, const ChannelMeans& means, std::span<float> values) {
  channels.each_row(values.size(), [&](std::size_t channel, std::size_t first, std::size_t end) {
    if (channels.inner == 1)
      for (std::size_t k = first; k < end; ++k) values[k] -= means[k - first];
    else
      for (std::size_t k = first; k < end; ++k) values[k] -= means[channel];
  });
}

/// By ValueId: whether weighted layers read the value, be it added up, averaged or moved before,
/// and nothing else does. Their biases make up for its mean.
std::vector<bool> means_made_up_for(const Graph& graph) {
  const auto is_linear = [](const Node& n) {
    return ops::follows(n, ops::QuantRule::PassThrough) || n.op == "AveragePool" ||
           n.op == "GlobalAveragePool" || n.op == "ReduceMean" || n.op == "Add" || n.op == "Sub" ||
           n.op == "Concat";
  };
  std::vector<bool> found(graph.value_count(), false);
  const auto settle = [&](ValueId v) {
    if (v == kNone || graph.is_output(v)) return;
    const auto& readers = graph.value(v).consumers;
    found[static_cast<std::size_t>(v)] =
        std::all_of(readers.begin(), readers.end(), [&](NodeId id) {
          const Node& n = graph.node(id);
          return (quant::is_weighted(graph, n) && quant::has_correctable_bias(graph, n)) ||
                 (is_linear(n) && n.outputs[0] != kNone &&
                  found[static_cast<std::size_t>(n.outputs[0])]);
        });
  };
  const std::vector<NodeId> order = graph.topological_order();
  for (auto id = order.rbegin(); id != order.rend(); ++id)
    for (ValueId v : graph.node(*id).outputs) settle(v);
  for (ValueId v : graph.inputs()) settle(v);
  return found;
}

/// At most `count` of them, evenly spread, the last among them.
std::vector<std::size_t> spread_to_last(const std::vector<std::size_t>& all, std::size_t count) {
  count = std::min(all.size(), count);
  std::vector<std::size_t> picked;
  for (std::size_t i = 0; i < count; ++i) picked.push_back(all[(i + 1) * all.size() / count - 1]);
  return picked;
}

/// Samples of all magnitudes of inputs, the largest among them.
std::vector<std::size_t> pick_samples(std::span<const std::vector<Tensor>> samples) {
  std::vector<float> largest;
  for (const std::vector<Tensor>& inputs : samples) {
    float& most = largest.emplace_back(0.0F);
    for (const Tensor& t : inputs)
      if (t.dtype() == DType::Float32)
        most = std::max(most, calib::extent_of(t.data<float>()).abs_max());
  }
  std::vector<std::size_t> order(samples.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return largest[a] < largest[b]; });
  return spread_to_last(order, kNoiseSamples);
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
    const std::vector<std::size_t> picked = pick_samples(samples_);
    if (groups_.empty() || picked.empty()) return found;
    for (Rounded& g : groups_) {
      g.open = {g.first_choice, g.first_choice - 1};
      if (clips(g)) g.open.push_back(g.first_choice + 1);
    }
    measure(spread_to_last(picked, kNoiseLookSamples));
    keep_doubtful();
    const std::vector<std::size_t> many = affordable(picked);
    for (measure(many); open_next(); measure(many)) {
    }
    for (const Rounded& g : groups_)
      if (g.measured.size() > 1)
        for (const Choice& c : g.measured) found[g.group].set(g.step(c.exponent), c.noise);
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

  /// What one sample shows of every group's open exponents.
  struct Seen {
    /// [group][exponent]
    std::vector<std::vector<measure::OutputNoise>> noise;
    /// [value][exponent]: mean square of its own error, and its mean in every channel.
    std::vector<std::vector<double>> error;
    std::vector<std::vector<ChannelMeans>> mean;
  };

  void look_at_values(const std::vector<Tensor>& inputs, ops::Executor::Workspace& workspace,
                      Seen& seen, bool first) {
    seen.error.resize(network_.value_count());
    seen.mean.resize(network_.value_count());
    std::vector<float> rounded;
    (void)executor_.run(inputs, workspace, [&](const ops::Executor::View& view) {
      const auto v = static_cast<std::size_t>(view.value);
      if (group_of_[v] == kNoGroup) return;
      const Channels channels = Channels::of(view);
      if (first) channels_[v] = channels;
      rounded.resize(view.data.size());
      for (int exponent : groups_[group_of_[v]].open) {
        calib::round_to_step(view.data, static_cast<float>(groups_[group_of_[v]].step(exponent)),
                             quant::max_q_of(8), rounded);
        seen.error[v].push_back(calib::squared_difference(rounded, view.data) /
                                static_cast<double>(rounded.size()));
        if (made_up_for_[v]) seen.mean[v].push_back(mean_difference(channels, rounded, view.data));
      }
    });
  }

  /// Means over samples, by value and exponent.
  std::vector<std::vector<ChannelMeans>> means_over(const std::vector<Seen>& seen) const {
    std::vector<std::vector<ChannelMeans>> means = seen.front().mean;
    for (std::size_t s = 1; s < seen.size(); ++s)
      for (std::size_t v = 0; v < means.size(); ++v)
        for (std::size_t c = 0; c < means[v].size(); ++c)
          calib::add_to(seen[s].mean[v][c], means[v][c]);
    for (auto& of_value : means)
      for (ChannelMeans& of_exponent : of_value)
        for (float& m : of_exponent) m /= static_cast<float>(seen.size());
    return means;
  }

  /// Measures all open exponents on these samples.
  void measure(std::span<const std::size_t> picked) {
    std::vector<Seen> seen(picked.size());
    const auto each =
        [&](const std::function<void(std::size_t, ops::Executor::Workspace&)>& visit) {
          std::vector<std::unique_ptr<ops::Executor::Workspace>> workspaces(
              static_cast<std::size_t>(thread_count()));
          parallel_for(static_cast<std::int64_t>(picked.size()), [&](std::int64_t i) {
            auto& workspace = workspaces.at(static_cast<std::size_t>(worker_index()));
            if (!workspace) workspace = std::make_unique<ops::Executor::Workspace>(executor_);
            visit(static_cast<std::size_t>(i), *workspace);
          });
        };
    each([&](std::size_t i, ops::Executor::Workspace& workspace) {
      look_at_values(samples_[picked[i]], workspace, seen[i], i == 0);
    });
    const auto means = means_over(seen);
    each([&](std::size_t i, ops::Executor::Workspace& workspace) {
      seen[i].noise = noise_of_sample(samples_[picked[i]], means, workspace);
    });
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      for (std::size_t c = 0; c < groups_[g].open.size(); ++c) {
        spent_ += groups_[g].part * static_cast<double>(picked.size());
        take(groups_[g], c, g, seen);
      }
      groups_[g].open.clear();
    }
  }

  std::vector<std::vector<measure::OutputNoise>> noise_of_sample(
      const std::vector<Tensor>& inputs, const std::vector<std::vector<ChannelMeans>>& means,
      ops::Executor::Workspace& workspace) const {
    std::vector<std::vector<measure::OutputNoise>> noise(groups_.size());
    const std::vector<Tensor> exact = executor_.run(inputs, workspace);
    // From the last to the first: what one group has altered, the next one alters anyway.
    for (std::size_t g = groups_.size(); g-- > 0;) {
      const Rounded& group = groups_[g];
      for (std::size_t c = 0; c < group.open.size(); ++c) {
        const auto step = static_cast<float>(group.step(group.open[c]));
        const auto round = [&](ValueId v, std::span<float> values) {
          calib::round_to_step(values, step, quant::max_q_of(8), values);
          const auto i = static_cast<std::size_t>(v);
          if (made_up_for_[i]) subtract_means(channels_[i], means[i][c], values);
        };
        noise[g].push_back(
            comparison_.of(executor_.run_altered(group.members, round, workspace), exact));
      }
    }
    return noise;
  }

  /// Notes what the samples say of a group's open exponent `c`.
  void take(Rounded& group, std::size_t c, std::size_t g, const std::vector<Seen>& seen) {
    measure::OutputNoise sum = comparison_.nothing();
    for (const Seen& sample : seen) sum.add(sample.noise[g][c]);
    // As much as adds up over groups.
    const double noise = sum.mean_ratio();
    double here = 0, everywhere = 0;
    for (ValueId v : group.members) {
      const double all = own_error(v, group.step(group.open[c]));
      double some = 0;
      for (const Seen& sample : seen)
        some += sample.error[static_cast<std::size_t>(v)][c] / static_cast<double>(seen.size());
      const double signal = calibration_.statistics.of(v).sum_squares /
                            static_cast<double>(calibration_.statistics.of(v).count);
      here += some / signal;
      everywhere += (all >= 0 ? all : some) / signal;
    }
    // The outputs' errors grow more slowly than those of outliers.
    double scale = 1;
    if (here > 0)
      scale = std::sqrt(everywhere / here);
    else if (everywhere > 0)
      scale = std::numeric_limits<double>::infinity();
    // Without noise, it is not known what the errors of others would do.
    const double ratio = noise > 0 || std::isfinite(scale) ? noise * scale : scale;
    const auto known = std::find_if(group.measured.begin(), group.measured.end(),
                                    [&](const Choice& m) { return m.exponent == group.open[c]; });
    if (known != group.measured.end())
      known->noise = ratio;
    else
      group.measured.push_back({group.open[c], ratio});
  }

  /// Groups of which an exponent may be better than the first choice: these are measured again.
  void keep_doubtful() {
    for (Rounded& g : groups_) {
      const double bar = kHopeless * g.measured.front().noise;
      std::vector<Choice> rivals;
      for (const Choice& c : g.measured)
        if (c.exponent == g.first_choice || c.noise < bar) rivals.push_back(c);
      g.measured = std::move(rivals);
      if (g.measured.size() > 1)
        for (const Choice& c : g.measured) g.open.push_back(c.exponent);
    }
  }

  /// As many samples as the rest of the passes allow.
  std::vector<std::size_t> affordable(const std::vector<std::size_t>& picked) const {
    double cost = 0;
    for (const Rounded& g : groups_) cost += g.part * static_cast<double>(g.open.size());
    const double most = cost > 0 ? (kNoisePasses - spent_) / cost : 0;
    const double count = std::clamp(most, static_cast<double>(kNoiseLookSamples),
                                    static_cast<double>(kNoiseSamples));
    return spread_to_last(picked, static_cast<std::size_t>(count));
  }

  /// Goes on where an exponent at the edge is the best.
  bool open_next() {
    bool any = false;
    for (Rounded& g : groups_) {
      if (g.measured.size() < 2) continue;
      const int best = g.best().exponent;
      for (int next : {best - 1, best + 1})
        if (best != g.first_choice && !g.has(next) && next >= g.first_choice - kMostOctavesDown &&
            next <= g.first_choice + kMostOctavesUp) {
          g.open.push_back(next);
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
