#include "strategy/output_weights.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace espquant::strategy {

OutputWeights::OutputWeights(const measure::OutputNoise& signals, std::size_t samples) {
  const auto signal_of = [&](const std::vector<std::size_t>& group) {
    double sum = 0;
    for (std::size_t p : group) sum += signals.parts()[p].noise.signal;
    return sum;
  };
  groups_ = signals.grouping();
  const auto silent = [&](const auto& group) { return signal_of(group) <= 0; };
  if (!std::all_of(groups_.begin(), groups_.end(), silent))
    groups_.erase(std::remove_if(groups_.begin(), groups_.end(), silent), groups_.end());
  for (const auto& group : groups_) {
    const double signal = signal_of(group) / static_cast<double>(samples);
    signals_.push_back(signal > 0 ? signal : 1);
  }
  const double each = groups_.empty() ? 0 : 1 / static_cast<double>(groups_.size());
  weights_.assign(groups_.size(), each);
}

std::vector<double> OutputWeights::ratios(const measure::OutputNoise& noise,
                                          std::size_t samples) const {
  std::vector<double> ratios;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    double sum = 0;
    for (std::size_t p : groups_[g]) sum += noise.parts()[p].noise.noise;
    ratios.push_back(sum / (signals_[g] * static_cast<double>(samples)));
  }
  return ratios;
}

void OutputWeights::weigh(std::span<const double> total) {
  const double largest = total.empty() ? 0 : *std::max_element(total.begin(), total.end());
  if (largest <= 0 || !std::isfinite(largest)) return;
  // Relative to the largest, so that squares neither vanish nor overflow.
  for (std::size_t g = 0; g < weights_.size(); ++g)
    weights_[g] = total[g] / largest * (total[g] / largest);
  const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  for (double& weight : weights_) weight /= sum;
}

double OutputWeights::of(std::span<const double> ratios) const {
  return std::inner_product(ratios.begin(), ratios.end(), weights_.begin(), 0.0);
}

}  // namespace espquant::strategy
