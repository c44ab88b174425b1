#include "search/choice_effects.h"

#include <algorithm>
#include <cmath>

namespace espquant::search {

ChoiceEffects::ChoiceEffects(const Field& field, const std::vector<Tried>& tried,
                             const std::map<Config, Outcome>& looked)
    : field_(field), looked_(looked) {
  std::map<Config, double> noises;
  for (const Tried& t : tried)
    if (t.config && t.outcome.refusal.empty() && t.outcome.noise > 0)
      noises.emplace(*t.config, t.outcome.noise);
  for (const auto& [config, noise] : noises)
    for (std::size_t c = 0; c < config.values.size(); ++c) {
      if (config.values[c] == 0) continue;
      Config first = config;
      first.values[c] = 0;
      const auto it = noises.find(first);
      if (it == noises.end()) continue;
      Change& change = changes_[{c, config.values[c]}];
      change.sum += std::log(noise / it->second);
      ++change.pairs;
    }
}

double ChoiceEffects::promise_of(std::size_t choice, std::size_t value) const {
  if (const auto it = changes_.find({choice, value}); it != changes_.end())
    return -it->second.mean();
  const Cost cost = field_.space.choices[choice].cost;
  if (cost == Cost::Training) return 0.25;
  if (cost == Cost::Calibration) return promise_by_looks(choice, value);
  return 0.5;
}

double ChoiceEffects::promise_by_looks(std::size_t choice, std::size_t value) const {
  const Config start = field_.start();
  Config changed = start;
  changed.values[choice] = value;
  const auto a = looked_.find(start), b = looked_.find(changed);
  if (a == looked_.end() || b == looked_.end() || b->second.judged <= 0) return 0;
  return std::log(a->second.judged / b->second.judged);
}

std::vector<Findings::Importance> ChoiceEffects::importance() const {
  std::vector<Findings::Importance> all;
  for (const auto& [of, change] : changes_) {
    const Choice& choice = field_.space.choices[of.first];
    all.push_back({choice.name, choice.values[of.second].name, change.mean(), change.pairs});
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::abs(a.change) > std::abs(b.change);
  });
  return all;
}

}  // namespace espquant::search
