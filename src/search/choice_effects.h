#pragma once

#include <map>
#include <vector>

#include "search/searcher.h"

namespace espquant::search {

/// What the values of choices did to the noise: the mean change of its logarithm over all pairs of
/// trials that differ in one choice alone, one of them with the choice's first value.
class ChoiceEffects {
 public:
  /// `looked`: outcomes of looks by what they saw. All three must outlive it.
  ChoiceEffects(const Field& field, const std::vector<Tried>& tried,
                const std::map<Config, Outcome>& looked);

  /// How much lower the noise's logarithm is expected to be with this value: by pairs of trials,
  /// else by looks, else a guess below 1 that puts training last.
  double promise_of(std::size_t choice, std::size_t value) const;

  /// The largest change first.
  std::vector<Findings::Importance> importance() const;

 private:
  struct Change {
    double sum = 0;
    int pairs = 0;
    double mean() const { return sum / pairs; }
  };

  double promise_by_looks(std::size_t choice, std::size_t value) const;

  const Field& field_;
  const std::map<Config, Outcome>& looked_;
  /// By choice and value.
  std::map<std::pair<std::size_t, std::size_t>, Change> changes_;
};

}  // namespace espquant::search
