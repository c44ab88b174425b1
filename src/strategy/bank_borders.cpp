#include "strategy/bank_borders.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/error.h"
#include "strategy/workbench.h"

namespace espquant::strategy {
namespace {

// Of a class, so many samples tell its errors well enough.
constexpr std::int64_t kClassSamples = 48;
// A class of fewer is joined to the next louder one.
constexpr std::size_t kLeastClassSamples = 8;
constexpr int kClassesPerOctave = 2;
constexpr std::size_t kMostBanks = 8;
// What another bank must lower the noise to.
constexpr double kPays = 0.9;
// Exponents below that of the loudest frames that are tried: 2^-15 of their range.
constexpr int kOctaves = 15;

/// Samples of about the same loudness.
struct LoudnessClass {
  float largest = 0;
  std::vector<std::int64_t> samples;
};

std::vector<LoudnessClass> classes_of(std::span<const float> statistics) {
  constexpr int kSilent = std::numeric_limits<int>::min();
  std::map<int, LoudnessClass> by_octave;
  for (std::size_t i = 0; i < statistics.size(); ++i) {
    const float s = statistics[i];
    const int octave =
        s > 0 ? static_cast<int>(std::floor(kClassesPerOctave * std::log2(s))) : kSilent;
    LoudnessClass& of = by_octave[octave];
    of.largest = std::max(of.largest, s);
    of.samples.push_back(static_cast<std::int64_t>(i));
  }
  std::vector<LoudnessClass> classes;
  LoudnessClass gathered;
  for (auto& [octave, next] : by_octave) {
    gathered.largest = next.largest;
    gathered.samples.insert(gathered.samples.end(), next.samples.begin(), next.samples.end());
    if (gathered.samples.size() < kLeastClassSamples) continue;
    classes.push_back(std::move(gathered));
    gathered = {};
  }
  if (gathered.samples.empty()) return classes;
  if (classes.empty()) return {std::move(gathered)};
  classes.back().largest = gathered.largest;
  classes.back().samples.insert(classes.back().samples.end(), gathered.samples.begin(),
                                gathered.samples.end());
  return classes;
}

/// For every tensor that is rounded, all exponents that any bank may give it.
std::vector<calib::Request> requests_of(const Graph& network, const quant::Plan& plan,
                                        const calib::Statistics& ranges) {
  std::vector<calib::Request> requests(network.value_count());
  for (std::size_t v = 0; v < requests.size(); ++v) {
    const float largest = ranges.values[v].extent.abs_max();
    if (!plan.rounded[v] || plan.requests[v].steps.empty() || !(largest > 0)) continue;
    const int top = std::ilogb(largest / static_cast<float>(requests[v].max_q)) + 1;
    for (int below = 0; below <= kOctaves; ++below)
      requests[v].steps.push_back(std::ldexp(1.0F, top - below));
  }
  return requests;
}

/// By class, tensor and step: the error of the class's samples, over their signal, times their
/// number.
using ClassErrors = std::vector<std::vector<std::vector<double>>>;

ClassErrors errors_of(const ops::Executor& executor, const std::vector<calib::Request>& requests,
                      const calib::SampleSource& source,
                      const std::vector<LoudnessClass>& classes) {
  ClassErrors errors;
  for (const LoudnessClass& own : classes) {
    std::vector<std::int64_t> samples;
    for (const std::int64_t i :
         evenly_spread(static_cast<std::int64_t>(own.samples.size()), kClassSamples))
      samples.push_back(own.samples[static_cast<std::size_t>(i)]);
    const calib::SampleSource part{static_cast<std::int64_t>(samples.size()), [&](std::int64_t i) {
                                     return source.sample(samples[static_cast<std::size_t>(i)]);
                                   }};
    const calib::Statistics gathered = calib::gather(executor, part, requests);
    auto& of_class = errors.emplace_back();
    for (const calib::ValueStatistics& value : gathered.values) {
      if (value.errors.empty()) continue;
      auto& of_tensor = of_class.emplace_back(value.errors);
      const double weight =
          value.sum_squares > 0 ? static_cast<double>(own.samples.size()) / value.sum_squares : 0;
      for (double& e : of_tensor) e *= weight;
    }
  }
  return errors;
}

/// Of classes [first, last) at the exponents that are best for them together.
double error_of_range(const ClassErrors& errors, std::size_t first, std::size_t last) {
  double sum = 0;
  for (std::size_t t = 0; t < errors[first].size(); ++t) {
    double least = std::numeric_limits<double>::max();
    for (std::size_t step = 0; step < errors[first][t].size(); ++step) {
      double error = 0;
      for (std::size_t c = first; c < last; ++c) error += errors[c][t][step];
      least = std::min(least, error);
    }
    sum += least;
  }
  return sum;
}

/// Of the first c classes divided among b banks: the least error, and where the last bank begins.
struct Division {
  double error = std::numeric_limits<double>::max();
  std::size_t begin = 0;
};

std::vector<std::vector<Division>> best_divisions(const ClassErrors& errors, std::size_t most) {
  const std::size_t classes = errors.size();
  std::vector<std::vector<Division>> best(most + 1, std::vector<Division>(classes + 1));
  best[0][0].error = 0;
  for (std::size_t last = 1; last <= classes; ++last)
    for (std::size_t first = 0; first < last; ++first) {
      const double own = error_of_range(errors, first, last);
      for (std::size_t banks = 1; banks <= most; ++banks) {
        const double before = best[banks - 1][first].error;
        if (before == std::numeric_limits<double>::max()) continue;
        if (before + own < best[banks][last].error) best[banks][last] = {before + own, first};
      }
    }
  return best;
}

}  // namespace

BankBorders place_bank_borders(const Graph& network, const ops::Executor& executor,
                               const quant::Plan& plan, const calib::Statistics& ranges,
                               const calib::SampleSource& source, std::span<const float> statistics,
                               int count) {
  ESPQUANT_ASSERT(static_cast<std::int64_t>(statistics.size()) == source.count,
                  "a statistic for every sample");
  const std::vector<LoudnessClass> classes = classes_of(statistics);
  const std::vector<calib::Request> requests = requests_of(network, plan, ranges);
  const ClassErrors errors = errors_of(executor, requests, source, classes);
  const std::size_t most =
      std::min(count > 0 ? static_cast<std::size_t>(count) : kMostBanks, classes.size());
  const auto best = best_divisions(errors, most);

  BankBorders borders;
  const double terms = static_cast<double>(statistics.size()) *
                       static_cast<double>(std::max<std::size_t>(errors.front().size(), 1));
  for (std::size_t banks = 1; banks <= most; ++banks)
    borders.noise.push_back(best[banks][classes.size()].error / terms);
  std::size_t banks = most;
  if (count == 0) {
    banks = 1;
    while (banks < most && borders.noise[banks] <= kPays * borders.noise[banks - 1]) ++banks;
  }
  std::size_t end = classes.size();
  for (; banks > 1; --banks) {
    end = best[banks][end].begin;
    borders.largest.insert(borders.largest.begin(), classes[end - 1].largest);
  }
  return borders;
}

}  // namespace espquant::strategy
