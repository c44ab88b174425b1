#include "measure/output_noise.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace espquant::measure {
namespace {

// Mean squares: an order of magnitude of the values.
constexpr double kSameSize = 100;

void join(OutputNoise::Part& group, const OutputNoise::Part& part) {
  group.name += group.name.empty() ? part.name : ", " + part.name;
  group.noise.add(part.noise);
  group.elements += part.elements;
  if (part.probabilities) {
    if (!group.probabilities) group.probabilities.emplace();
    group.probabilities->add(*part.probabilities);
  }
}

bool has_signal(const OutputNoise::Part& group) { return group.noise.signal > 0; }

}  // namespace

void OutputNoise::add(const OutputNoise& other) {
  if (parts_.empty()) {
    parts_ = other.parts_;
    return;
  }
  for (std::size_t p = 0; p < parts_.size(); ++p) {
    Part& mine = parts_[p];
    const Part& its = other.parts_.at(p);
    mine.noise.add(its.noise);
    mine.elements += its.elements;
    if (mine.probabilities && its.probabilities) mine.probabilities->add(*its.probabilities);
  }
}

std::vector<std::vector<std::size_t>> OutputNoise::grouping() const {
  std::vector<std::size_t> sorted(parts_.size());
  std::iota(sorted.begin(), sorted.end(), std::size_t{0});
  std::stable_sort(sorted.begin(), sorted.end(), [&](std::size_t i, std::size_t k) {
    const Part &a = parts_[i], &b = parts_[k];
    return a.output != b.output ? a.output < b.output : a.power() < b.power();
  });
  std::vector<std::vector<std::size_t>> groups;
  double smallest = 0;
  for (std::size_t i : sorted) {
    const Part& part = parts_[i];
    const bool first = groups.empty() || parts_[groups.back().front()].output != part.output;
    // What is always zero has no size.
    if (!first && (smallest == 0 || part.power() < kSameSize * smallest)) {
      groups.back().push_back(i);
      if (smallest == 0) smallest = part.power();
      continue;
    }
    groups.push_back({i});
    smallest = part.power();
  }
  return groups;
}

std::vector<OutputNoise::Part> OutputNoise::groups() const {
  std::vector<Part> groups;
  for (const std::vector<std::size_t>& indices : grouping()) {
    Part& group = groups.emplace_back(parts_[indices.front()]);
    for (std::size_t i = 1; i < indices.size(); ++i) join(group, parts_[indices[i]]);
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::size_t output = groups[g].output;
    const bool alone = (g == 0 || groups[g - 1].output != output) &&
                       (g + 1 == groups.size() || groups[g + 1].output != output);
    if (alone) groups[g].name.clear();
  }
  return groups;
}

std::optional<OutputNoise::Part> OutputNoise::worst() const {
  std::optional<Part> worst;
  for (Part& group : groups()) {
    const auto rank = [](const Part& g) { return std::pair(has_signal(g), g.noise.ratio()); };
    if (!worst || rank(group) > rank(*worst)) worst = std::move(group);
  }
  return worst;
}

double OutputNoise::ratio() const {
  const std::optional<Part> group = worst();
  return group ? group->noise.ratio() : 0;
}

double OutputNoise::mean_ratio() const {
  double sum = 0;
  std::size_t count = 0;
  for (const Part& group : groups())
    if (has_signal(group)) {
      sum += group.noise.ratio();
      ++count;
    }
  return count > 0 ? sum / static_cast<double>(count) : ratio();
}

bool OutputNoise::is_below(double share, const OutputNoise& other) const {
  const double mine = ratio(), its = other.ratio();
  if (mine < share * its) return true;
  return mine <= its && mean_ratio() < share * other.mean_ratio();
}

bool OutputNoise::is_finite() const {
  return std::all_of(parts_.begin(), parts_.end(),
                     [](const Part& p) { return std::isfinite(p.noise.noise); });
}

}  // namespace espquant::measure
