#include "quant/clipping.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/fixed_point.h"

namespace espquant::quant {
namespace {

constexpr std::array kMethods = {Method::MinMax, Method::Percentile, Method::Entropy,
                                 Method::Mse,    Method::Sqnr,       Method::Auto};
constexpr std::array<std::string_view, 6> kNames = {"minmax", "percentile", "entropy",
                                                    "mse",    "sqnr",       "auto"};

// Finest place at which distributions are compared, as a part of the histogram's range.
constexpr double kPlacesPerRange = 4096;

/// A stretch of the histogram.
struct Place {
  double begin, end, mass;
  double middle() const { return (begin + end) / 2; }
  double width() const { return end - begin; }
};

double finest_place(const calib::Histogram& magnitudes) {
  return magnitudes.edge(calib::Histogram::kBins) / kPlacesPerRange;
}

// Occupied ones, ascending. Bins narrower than the finest place never cross its borders: both are
// powers of two.
std::vector<Place> places_of(const calib::Histogram& magnitudes) {
  const double finest = finest_place(magnitudes);
  const auto counts = magnitudes.counts();
  std::vector<Place> places;
  for (int i = 0; i < static_cast<int>(counts.size()); ++i) {
    const auto mass = static_cast<double>(counts[static_cast<std::size_t>(i)]);
    if (mass == 0) continue;
    Place place{magnitudes.edge(i), magnitudes.edge(i + 1), mass};
    if (place.width() < finest) {
      place.begin = std::floor(place.begin / finest) * finest;
      place.end = place.begin + finest;
      if (!places.empty() && places.back().begin == place.begin) {
        places.back().mass += mass;
        continue;
      }
    }
    places.push_back(place);
  }
  return places;
}

double least_error_threshold(const calib::ValueStatistics& s, const std::vector<double>& errors,
                             float factor) {
  double best = std::numeric_limits<double>::infinity(), threshold = 0;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const double wanted = std::log2(static_cast<double>(s.steps[i]) * static_cast<double>(factor));
    const double exponent = std::round(wanted);
    if (std::abs(wanted - exponent) > 0.02) continue;
    const double candidate = s.max_q * std::exp2(exponent) / static_cast<double>(factor);
    if (!(errors[i] <= best) || (errors[i] == best && candidate < threshold)) continue;
    best = errors[i];
    threshold = candidate;
  }
  return threshold;
}

double entropy_threshold(const calib::ValueStatistics& s, int max_q, float factor) {
  const float abs_max = s.extent.abs_max();
  const int covering = covering_exponent(abs_max * factor, max_q);
  const auto step_at = [&](int e) { return std::ldexp(1.0, e) / static_cast<double>(factor); };
  int best = covering;
  double least = entropy_loss(s.histogram, step_at(best), max_q);
  // Finer steps are not told from exact.
  for (int e = covering - 1; step_at(e) >= 2 * finest_place(s.histogram); --e) {
    const double loss = entropy_loss(s.histogram, step_at(e), max_q);
    if (loss < least) {
      least = loss;
      best = e;
    }
  }
  return best == covering ? static_cast<double>(abs_max) : max_q * step_at(best);
}

}  // namespace

std::span<const Method> all_methods() { return kMethods; }

std::string_view name_of(Method method) { return kNames.at(static_cast<std::size_t>(method)); }

Method method_of(std::string_view name) {
  if (name == "kl") return Method::Entropy;
  for (Method method : kMethods)
    if (name_of(method) == name) return method;
  throw Error(ErrorCode::Usage, fmt::format("no calibration method is called '{}'", name))
      .remedy(fmt::format("Choose one of {}", fmt::join(kNames, ", ")));
}

void check_percentile(double percentile) {
  if (percentile >= 50 && percentile <= 100) return;
  throw Error(ErrorCode::Usage, fmt::format("a percentile of {} makes no sense", percentile))
      .remedy("Give the share of values that are not clipped in percent, such as 99.99");
}

void add_needs(Method method, calib::Request& request) {
  if (method == Method::Percentile || method == Method::Entropy) request.histogram = true;
  if (method == Method::Sqnr) request.weighted_errors = true;
}

std::vector<double> relative_errors(Method method, const calib::ValueStatistics& s) {
  if (s.sum_squares <= 0) return {};
  const auto over = [](std::vector<double> errors, double signal) {
    for (double& e : errors) e /= signal;
    return errors;
  };
  if (method == Method::Sqnr && s.weighted_sum_squares > 0)
    return over(s.weighted_errors, s.weighted_sum_squares);
  if (method == Method::Mse || method == Method::Auto) return over(s.errors, s.sum_squares);
  return {};
}

double threshold(Method method, const calib::ValueStatistics& s, int max_q, double percentile,
                 float factor) {
  const auto abs_max = static_cast<double>(s.extent.abs_max());
  if (!(abs_max > 0) || method == Method::MinMax) return abs_max;
  if (method == Method::Percentile || method == Method::Entropy) {
    // Subnormal numbers only.
    if (s.histogram.counts().empty()) return abs_max;
    if (method == Method::Entropy) return entropy_threshold(s, max_q, factor);
    check_percentile(percentile);
    return std::min(abs_max, s.histogram.quantile(percentile / 100));
  }
  const std::vector<double> errors =
      max_q == s.max_q ? relative_errors(method, s) : std::vector<double>{};
  const double found = least_error_threshold(s, errors, factor);
  return found > 0 ? found : abs_max;
}

int clipping_exponent(Method method, const calib::ValueStatistics& s, int max_q, double percentile,
                      float factor) {
  const double scaled =
      threshold(method, s, max_q, percentile, factor) * static_cast<double>(factor);
  return covering_exponent(static_cast<float>(scaled), max_q);
}

double entropy_loss(const calib::Histogram& magnitudes, double step, int max_q) {
  const std::vector<Place> places = places_of(magnitudes);
  const double limit = step * (max_q + 0.5);
  const auto clipped = std::find_if(places.begin(), places.end(),
                                    [&](const Place& p) { return p.middle() > limit; });
  const auto kept = static_cast<std::size_t>(clipped - places.begin());
  double total = 0, outliers = 0;
  for (std::size_t i = 0; i < places.size(); ++i) (i < kept ? total : outliers) += places[i].mass;
  if (kept == 0) return std::numeric_limits<double>::infinity();
  total += outliers;

  // Of p * log(p / q), with q relative to what is kept.
  double loss = 0;
  std::size_t integers = 0;
  const double scale = (total - outliers) / total;
  for (std::size_t begin = 0, end; begin < kept; begin = end) {
    const auto integer_of = [&](const Place& p) { return std::round(p.middle() / step); };
    double mass = 0, width = 0;
    for (end = begin; end < kept; ++end) {
      const bool exact = places[end].width() >= step;
      if (end > begin && (exact || integer_of(places[end]) != integer_of(places[begin]))) break;
      mass += places[end].mass;
      width += places[end].width();
    }
    ++integers;
    for (std::size_t i = begin; i < end; ++i) {
      const double p = places[i].mass + (i + 1 == kept ? outliers : 0.0);
      const double q = mass * places[i].width() / width / scale;
      loss += p / total * std::log(p / q);
    }
  }
  return loss - static_cast<double>(kept - integers) / (2 * total);
}

}  // namespace espquant::quant
