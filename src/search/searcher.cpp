#include "search/searcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "search/choice_effects.h"
#include "search/moves.h"
#include "search/other_orders.h"
#include "search/worth.h"

namespace espquant::search {
namespace {

using strategy::LayerWidth;

/// Steps of a way from 8 to 16 bits that are looked at, for each price.
constexpr std::size_t kRungs = 12;
/// Another value of a choice is taken up where it makes this much less noise in a look.
constexpr double kFamilyWorthwhile = 0.97;
/// Looks for each trial of a generation.
constexpr std::size_t kLooksPerTrial = 3;
/// Generations that find nothing before the search ends.
constexpr int kIdleGenerations = 3;

class Searcher {
 public:
  Searcher(const Space& space, const Plan& plan, const recipe::Recipe& plain, Desk& desk)
      : plan_(plan), desk_(desk) {
    field_.space = space;
    field_.plain = plain;
  }

  Findings run(const std::vector<recipe::Recipe>& starts) {
    try_starts(starts);
    if (!desk_.over() && learn_layers()) {
      if (plan_.order == Order::Best)
        search();
      else
        go_through();
    }
    if (found_.end.empty()) found_.end = desk_.over() ? "budget" : "nothing is left";
    if (!field_.layers.empty() || !looked_.empty())
      found_.importance = ChoiceEffects(field_, found_.tried, looked_).importance();
    return std::move(found_);
  }

 private:
  /// A look or trial to be asked for.
  struct Proposal {
    Config config;
    std::string reason;
    double score = 0;
  };

  void try_starts(const std::vector<recipe::Recipe>& starts) {
    std::vector<Tried> trials;
    for (const recipe::Recipe& recipe : starts)
      trials.push_back({{Work::Kind::Trial, recipe, ""}, {}, std::nullopt, "start"});
    take(std::move(trials));
  }

  bool learn_layers() {
    const Work work{Work::Kind::Layers, field_.plain, ""};
    const auto outcome = desk_.ask(std::span(&work, 1)).front();
    if (!outcome) return false;
    if (!outcome->refusal.empty()) {
      found_.end = outcome->refusal;
      return false;
    }
    field_.layers = outcome->layers;
    field_.has_caps = outcome->has_caps;
    tensors_ = outcome->tensors;
    if (!field_.space.wide && !field_.space.w8a16) {
      field_.layers.clear();
      tensors_.clear();
    }
    // Where the recipes that were tried first lie, as far as they lie in the space.
    for (Tried& t : found_.tried) {
      if (!t.outcome.refusal.empty()) continue;
      if (t.work.recipe == field_.plain) t.config = field_.start();
      if (t.outcome.wide_layers.empty()) continue;
      Config config = field_.with_widths(t.outcome.wide_layers, t.outcome.narrow_weights);
      if (const auto refine = choice_named("refine"); refine && values_of(*refine) > 1)
        config.values[*refine] = t.work.recipe.quantization.refine_exponents ? 1 : 0;
      if (field_.makes_sense(config)) t.config = std::move(config);
    }
    for (const Tried& t : found_.tried)
      if (t.config) known_.insert(*t.config);
    return true;
  }

  std::optional<std::size_t> choice_named(std::string_view name) const {
    for (std::size_t c = 0; c < field_.space.choices.size(); ++c)
      if (field_.space.choices[c].name == name) return c;
    return std::nullopt;
  }
  std::size_t values_of(std::size_t choice) const {
    return field_.space.choices[choice].values.size();
  }

  // --- asking ---

  std::vector<std::optional<Outcome>> look(const std::vector<Config>& configs) {
    std::vector<Work> works;
    for (const Config& config : configs)
      works.push_back({Work::Kind::Look, field_.recipe_of(config), ""});
    auto outcomes = desk_.ask(works);
    for (std::size_t i = 0; i < configs.size(); ++i)
      if (outcomes[i] && outcomes[i]->refusal.empty()) looked_.emplace(configs[i], *outcomes[i]);
    return outcomes;
  }

  /// Asks for the outcomes of `trials`, and keeps those that have one.
  void take(std::vector<Tried> trials) {
    std::vector<Work> works;
    for (const Tried& t : trials) works.push_back(t.work);
    const auto outcomes = desk_.ask(works);
    for (std::size_t i = 0; i < trials.size(); ++i) {
      if (trials[i].config) known_.insert(*trials[i].config);
      if (!outcomes[i]) continue;
      trials[i].outcome = *outcomes[i];
      found_.tried.push_back(std::move(trials[i]));
    }
  }

  void try_all(const std::vector<Proposal>& proposals) {
    std::vector<Tried> trials;
    for (const Proposal& p : proposals)
      trials.push_back(
          {{Work::Kind::Trial, field_.recipe_of(p.config), ""}, {}, p.config, p.reason});
    take(std::move(trials));
  }

  bool is_new(const Config& config) const { return !known_.contains(config); }

  // --- the front ---

  struct Measured {
    std::vector<std::size_t> tried;  ///< indices into found_.tried
    std::vector<Merit> merits;
  };

  Measured measured() const {
    Measured all;
    for (const std::size_t i : found_.measured()) {
      all.tried.push_back(i);
      all.merits.push_back(found_.tried[i].outcome.merit());
    }
    return all;
  }

  double worth_of(const Merit& merit, const Measured& all) const {
    return search::worth_of(merit, all.merits, plan_.goals, plan_.minimized);
  }

  // --- the phases ---

  void search() {
    choose_family();
    if (!desk_.over()) climb_ladders();
    int idle = 0;
    while (!desk_.over()) {
      const double before = best_worth_;
      if (!next_generation()) {
        found_.end = "nothing is left that promises more than the measurement varies by";
        return;
      }
      idle = best_worth_ > before ? 0 : idle + 1;
      best_worth_ = 0;
      if (idle < kIdleGenerations) continue;
      found_.end = fmt::format("{} generations in a row gained less than the measurement varies by",
                               kIdleGenerations);
      return;
    }
  }

  /// Every other value of every choice that needs a new look at the data, and then the best of each
  /// together.
  void choose_family() {
    const Config start = field_.start();
    std::vector<Config> configs{start};
    for (const Move& move : choice_moves(field_, start))
      if (field_.space.choices[move.choice].cost == Cost::Calibration) configs.push_back(move.to);
    const auto outcomes = look(configs);
    family_ = start;
    if (!outcomes[0] || !outcomes[0]->refusal.empty()) return;
    const double plain = outcomes[0]->judged;
    std::map<std::size_t, std::pair<double, std::size_t>> best;  // by choice: noise, value
    for (std::size_t i = 1; i < configs.size(); ++i) {
      if (!outcomes[i] || !outcomes[i]->refusal.empty()) continue;
      for (std::size_t c = 0; c < start.values.size(); ++c) {
        if (configs[i].values[c] == start.values[c]) continue;
        const double noise = outcomes[i]->judged;
        if (noise >= kFamilyWorthwhile * plain) continue;
        const auto it = best.find(c);
        if (it == best.end() || noise < it->second.first) best[c] = {noise, configs[i].values[c]};
      }
    }
    if (best.empty()) return;
    // One by itself, and all together: what each gains need not add up.
    const auto first = std::min_element(best.begin(), best.end(), [](const auto& a, const auto& b) {
      return a.second.first < b.second.first;
    });
    Config single = start, together = start;
    single.values[first->first] = first->second.second;
    for (const auto& [choice, value] : best) together.values[choice] = value.second;
    double least = first->second.first;
    family_ = single;
    if (together != single && field_.makes_sense(together)) {
      const auto looked = look({together}).front();
      if (looked && looked->refusal.empty() && looked->judged < least) family_ = together;
    }
    std::vector<Proposal> proposals{{family_, "family", 0}};
    try_all(proposals);
  }

  /// Looks at steps of the ways from 8 to 16 bits, of the family as it was and of the better one,
  /// and tries the best of them.
  void climb_ladders() {
    if (field_.layers.empty()) return;
    model_ = WidthModel::measure(field_, family_, tensors_, desk_);
    if (!model_) return;
    for (std::size_t l = 0; l < field_.layers.size(); ++l)
      found_.layer_noises.emplace_back(field_.layers[l].name, model_->alone()[l]);
    std::vector<Config> configs;
    for (const auto price : {WidthModel::Price::Milliseconds, WidthModel::Price::Bytes}) {
      const auto way = model_->greedy_way(field_, price);
      for (const std::size_t i : rungs_of(way)) {
        Config config = family_;
        config.widths = way[i];
        if (std::find(configs.begin(), configs.end(), config) == configs.end())
          configs.push_back(std::move(config));
      }
    }
    const auto outcomes = look(configs);
    const double scale = trial_per_look();
    Measured all = measured();
    std::vector<Proposal> proposals;
    std::vector<Merit> merits;
    for (std::size_t i = 0; i < configs.size(); ++i) {
      if (!outcomes[i] || !outcomes[i]->refusal.empty()) continue;
      proposals.push_back({configs[i], "ladder", 0});
      merits.push_back(expected(*outcomes[i], scale, all));
    }
    // The best beside what is known already, one after the other.
    try_all(best_of(std::move(proposals), std::move(merits), all, 2 * plan_.generation));
  }

  /// Evenly spread over the logarithm of what the model expects.
  std::vector<std::size_t> rungs_of(const std::vector<std::vector<LayerWidth>>& way) const {
    std::vector<std::size_t> rungs;
    if (way.empty()) return rungs;
    std::vector<double> noises;
    for (const auto& widths : way) noises.push_back(std::log(model_->of(widths).noise + 1e-12));
    const double first = noises.front(), last = noises.back();
    std::size_t next = 0;
    for (std::size_t r = 0; r < kRungs; ++r) {
      const double wanted =
          first + (last - first) * static_cast<double>(r) / static_cast<double>(kRungs - 1);
      while (next + 1 < noises.size() && noises[next] > wanted) ++next;
      if (rungs.empty() || rungs.back() != next) rungs.push_back(next);
    }
    return rungs;
  }

  /// How much more noise a trial shows than a look, by those that had both.
  double trial_per_look() const {
    double sum = 0;
    int count = 0;
    for (const Tried& t : found_.tried) {
      if (!t.config || !t.outcome.refusal.empty()) continue;
      const auto it = looked_.find(looked_config(*t.config));
      if (it == looked_.end() || it->second.judged <= 0 || t.outcome.noise <= 0) continue;
      sum += std::log(t.outcome.noise / it->second.judged);
      ++count;
    }
    return count > 0 ? std::exp(sum / count) : 1;
  }

  Merit expected(const Outcome& look, double scale, const Measured& all) const {
    Merit merit{look.judged * scale, look.milliseconds, look.flash, look.ram, std::nullopt};
    merit.accuracy_drop = likely_drop(merit.noise, all.merits);
    return merit;
  }

  /// The `most` that are worth most, each beside those that were taken before it.
  std::vector<Proposal> best_of(std::vector<Proposal> proposals, std::vector<Merit> merits,
                                Measured all, std::size_t most) const {
    std::vector<Proposal> best;
    std::vector<bool> used(proposals.size(), false);
    while (best.size() < most) {
      std::optional<std::size_t> next;
      double worth = 0;
      for (std::size_t i = 0; i < proposals.size(); ++i) {
        if (used[i] || !is_new(proposals[i].config)) continue;
        const double mine = worth_of(merits[i], all);
        if (mine <= worth) continue;
        worth = mine;
        next = i;
      }
      if (!next) break;
      used[*next] = true;
      all.merits.push_back(merits[*next]);
      best.push_back(std::move(proposals[*next]));
      best.back().score = worth;
    }
    return best;
  }

  /// Candidates beside those of the front: looks first, then the best as trials. False where
  /// nothing promises enough.
  bool next_generation() {
    const Measured all = measured();
    const std::vector<std::size_t> parents = parents_of(all);
    if (parents.empty()) return false;
    std::vector<Proposal> wanted;
    std::vector<Merit> merits;
    for (const std::size_t parent : parents) propose_widths(parent, all, wanted, merits);
    const std::vector<Proposal> looks =
        best_of(std::move(wanted), std::move(merits), all, kLooksPerTrial * plan_.generation);

    std::vector<Config> configs;
    for (const Proposal& p : looks) configs.push_back(looked_config(p.config));
    const auto outcomes = look(configs);
    if (desk_.over()) return true;
    const double scale = trial_per_look();
    std::vector<Proposal> proposals;
    std::vector<Merit> seen;
    for (std::size_t i = 0; i < looks.size(); ++i) {
      if (!outcomes[i] || !outcomes[i]->refusal.empty()) continue;
      proposals.push_back(looks[i]);
      seen.push_back(expected(*outcomes[i], scale, all));
    }
    const std::vector<Proposal> others = propose_choices(parents);
    const std::size_t room = plan_.generation - std::min(others.size(), plan_.generation / 2);
    std::vector<Proposal> next = best_of(std::move(proposals), std::move(seen), all, room);
    for (const Proposal& other : others)
      if (std::none_of(next.begin(), next.end(),
                       [&](const Proposal& p) { return p.config == other.config; }))
        next.push_back(other);
    if (next.empty()) return false;
    const std::size_t before = found_.tried.size();
    try_all(next);
    for (std::size_t i = before; i < found_.tried.size(); ++i) {
      const Outcome& outcome = found_.tried[i].outcome;
      if (!outcome.refusal.empty()) continue;
      const double worth = worth_of(outcome.merit(), all);
      if (worth > spread_beside(outcome, all)) best_worth_ = std::max(best_worth_, worth);
    }
    return true;
  }

  /// Without what a look does not see.
  Config looked_config(const Config& config) const {
    Config looked = field_.family_of(config);
    looked.widths = config.widths;
    return looked;
  }

  double spread_beside(const Outcome& outcome, const Measured& all) const {
    const auto best = recommended_of(all.merits, plan_.goals, plan_.minimized);
    return best ? spread_between(outcome, found_.tried[all.tried[*best]].outcome) : 0;
  }

  /// The one that is recommended, and of the front those that were parents least often.
  std::vector<std::size_t> parents_of(const Measured& all) {
    std::vector<std::size_t> candidates;
    for (const std::size_t i : front_of(all.merits))
      if (found_.tried[all.tried[i]].config) candidates.push_back(all.tried[i]);
    std::stable_sort(candidates.begin(), candidates.end(), [&](std::size_t a, std::size_t b) {
      return times_parent_[a] < times_parent_[b];
    });
    std::vector<std::size_t> parents;
    if (const auto best = recommended_of(all.merits, plan_.goals, plan_.minimized))
      if (found_.tried[all.tried[*best]].config) parents.push_back(all.tried[*best]);
    constexpr std::size_t kParents = 4;
    for (const std::size_t c : candidates)
      if (parents.size() < kParents &&
          std::find(parents.begin(), parents.end(), c) == parents.end())
        parents.push_back(c);
    for (const std::size_t p : parents) ++times_parent_[p];
    return parents;
  }

  void propose_widths(std::size_t parent, const Measured& all, std::vector<Proposal>& proposals,
                      std::vector<Merit>& merits) const {
    if (!model_) return;
    const Tried& from = found_.tried[parent];
    for (Move& move : width_moves(field_, *model_, *from.config)) {
      if (!is_new(move.to) || !field_.makes_sense(move.to)) continue;
      Merit merit = from.outcome.merit();
      merit.noise *= move.noise_factor;
      merit.milliseconds += move.milliseconds;
      merit.flash += static_cast<std::int64_t>(move.flash);
      merit.accuracy_drop = likely_drop(merit.noise, all.merits);
      proposals.push_back({std::move(move.to), "widths", 0});
      merits.push_back(merit);
    }
  }

  /// Other values of choices, those first that were tried least, and of these the ones that helped
  /// elsewhere; training last.
  std::vector<Proposal> propose_choices(const std::vector<std::size_t>& parents) {
    struct Option {
      Proposal proposal;
      double promise;
    };
    std::vector<Option> options;
    const ChoiceEffects effects(field_, found_.tried, looked_);
    for (const std::size_t parent : parents)
      for (Move& move : choice_moves(field_, *found_.tried[parent].config)) {
        if (!is_new(move.to)) continue;
        const Choice& choice = field_.space.choices[move.choice];
        const std::size_t value = move.to.values[move.choice];
        const double promise = effects.promise_of(move.choice, value);
        options.push_back({{std::move(move.to), choice.name, 0}, promise});
      }
    std::stable_sort(options.begin(), options.end(),
                     [](const Option& a, const Option& b) { return a.promise > b.promise; });
    std::vector<Proposal> proposals;
    std::set<Config> chosen;
    for (Option& option : options) {
      if (proposals.size() == std::max<std::size_t>(plan_.generation / 4, 1)) break;
      if (option.promise <= 0 || !chosen.insert(option.proposal.config).second) continue;
      proposals.push_back(std::move(option.proposal));
    }
    return proposals;
  }

  /// The other orders, a generation at a time.
  void go_through() {
    const auto configs =
        plan_.order == Order::Random ? random_order(field_, plan_.seed) : exhaustive_order(field_);
    std::vector<Proposal> next;
    while (!desk_.over()) {
      next.clear();
      while (next.size() < plan_.generation) {
        const std::optional<Config> config = configs();
        if (!config) break;
        if (is_new(*config)) next.push_back({*config, "order", 0});
      }
      if (next.empty()) return;
      try_all(next);
    }
  }

  const Plan& plan_;
  Desk& desk_;
  Field field_;
  std::vector<TensorInfo> tensors_;
  Findings found_;
  /// Configs that were tried, or asked for.
  std::set<Config> known_;
  std::map<Config, Outcome> looked_;
  Config family_;
  std::optional<WidthModel> model_;
  std::map<std::size_t, int> times_parent_;
  /// Of the trials of this generation, where that is beyond chance.
  double best_worth_ = 0;
};

}  // namespace

std::vector<std::size_t> Findings::measured() const {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < tried.size(); ++i)
    if (tried[i].outcome.refusal.empty()) indices.push_back(i);
  return indices;
}

double spread_between(const Outcome& a, const Outcome& b) {
  const std::size_t n = std::min(a.part_noises.size(), b.part_noises.size());
  if (n < 2) return 0;
  std::vector<double> logs;
  for (std::size_t i = 0; i < n; ++i)
    if (a.part_noises[i] > 0 && b.part_noises[i] > 0)
      logs.push_back(std::log(a.part_noises[i] / b.part_noises[i]));
  if (logs.size() < 2) return 0;
  const auto count = static_cast<double>(logs.size());
  double mean = 0, squares = 0;
  for (const double x : logs) mean += x / count;
  for (const double x : logs) squares += (x - mean) * (x - mean);
  return std::sqrt(squares / (count - 1) / count);
}

Findings run_search(const Space& space, const Plan& plan, const recipe::Recipe& plain,
                    const std::vector<recipe::Recipe>& starts, Desk& desk) {
  return Searcher(space, plan, plain, desk).run(starts);
}

}  // namespace espquant::search
