#include "measure/output_comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace espquant::measure {
namespace {

// Along the last axis, as classifiers have it.
bool is_softmax_output(const Graph& network, ValueId v) {
  const NodeId producer = network.value(v).producer;
  if (producer == kNone || network.node(producer).op != "Softmax") return false;
  const auto rank = static_cast<std::int64_t>(network.value(v).shape->size());
  const std::int64_t axis = network.node(producer).attributes.get_int("axis", -1);
  return rank > 0 && (axis == -1 || axis == rank - 1);
}

/// Logarithms of probabilities, around the mean of each row: the scores, around theirs.
std::vector<float> scores_of(const Tensor& probabilities) {
  const auto p = probabilities.data<float>();
  const auto width = static_cast<std::size_t>(probabilities.shape().back());
  std::vector<float> scores(p.size());
  for (std::size_t begin = 0; begin < p.size(); begin += width) {
    double sum = 0;
    for (std::size_t i = begin; i < begin + width; ++i) {
      scores[i] = std::log(std::max(p[i], std::numeric_limits<float>::min()));
      sum += static_cast<double>(scores[i]);
    }
    const auto mean = static_cast<float>(sum / static_cast<double>(width));
    for (std::size_t i = begin; i < begin + width; ++i) scores[i] -= mean;
  }
  return scores;
}

}  // namespace

OutputComparison::OutputComparison(const Graph& network) {
  for (ValueId v : network.outputs()) probabilities_.push_back(is_softmax_output(network, v));
}

void OutputComparison::add(std::span<const Tensor> actual, std::span<const Tensor> expected,
                           Noise& into) const {
  for (std::size_t o = 0; o < actual.size(); ++o) {
    if (probabilities_[o])
      into.add(scores_of(actual[o]), scores_of(expected[o]));
    else
      into.add(actual[o].data<float>(), expected[o].data<float>());
  }
}

}  // namespace espquant::measure
