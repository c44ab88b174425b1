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
Tensor scores_of(const Tensor& probabilities) {
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
  return Tensor::of<float>(probabilities.shape(), std::span<const float>(scores));
}

void add_by_part(std::span<const float> actual, std::span<const float> expected,
                 std::span<const std::uint16_t> part_of, std::span<OutputNoise::Part> parts) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    OutputNoise::Part& part = parts[part_of[i]];
    part.noise.add(actual.subspan(i, 1), expected.subspan(i, 1));
    part.elements += 1;
  }
}

}  // namespace

std::vector<Tensor> compared_values(const Graph& network, std::span<const Tensor> outputs) {
  std::vector<Tensor> values;
  for (std::size_t o = 0; o < outputs.size(); ++o)
    values.push_back(is_softmax_output(network, network.outputs()[o]) ? scores_of(outputs[o])
                                                                      : outputs[o]);
  return values;
}

OutputComparison::OutputComparison(const Graph& network) {
  std::vector<OutputNoise::Part> parts;
  for (ValueId v : network.outputs()) {
    Output output{is_softmax_output(network, v), parts_of_output(network, v), parts.size()};
    OutputNoise::Part part;
    part.output = outputs_.size();
    part.output_name = network.value(v).name;
    if (output.probabilities) {
      // The shares of one whole.
      output.parts = {};
      part.probabilities.emplace();
    }
    if (output.parts.names.empty()) parts.push_back(part);
    for (const std::string& name : output.parts.names) {
      part.name = name;
      parts.push_back(part);
    }
    outputs_.push_back(std::move(output));
  }
  nothing_ = OutputNoise(std::move(parts));
}

void OutputComparison::add(std::span<const Tensor> actual, std::span<const Tensor> expected,
                           OutputNoise& into) const {
  for (std::size_t o = 0; o < actual.size(); ++o) {
    const Output& output = outputs_[o];
    const auto parts = std::span(into.parts()).subspan(output.first_part);
    const auto a = actual[o].data<float>(), e = expected[o].data<float>();
    if (!output.parts.names.empty()) {
      add_by_part(a, e, output.parts.of_element, parts);
      continue;
    }
    OutputNoise::Part& whole = parts.front();
    whole.elements += static_cast<double>(e.size());
    if (!output.probabilities) {
      whole.noise.add(a, e);
      continue;
    }
    whole.probabilities->add(a, e);
    whole.noise.add(scores_of(actual[o]).data<float>(), scores_of(expected[o]).data<float>());
  }
}

void OutputComparison::add_errors(std::span<const Tensor> actual, std::span<const Tensor> expected,
                                  std::span<OutputErrors> into) const {
  for (std::size_t o = 0; o < actual.size(); ++o) {
    const Output& output = outputs_[o];
    const auto a = actual[o].data<float>(), e = expected[o].data<float>();
    const auto& part_of = output.parts.of_element;
    for (std::size_t i = 0; i < e.size(); ++i)
      into[output.first_part + (output.parts.names.empty() ? 0 : part_of[i])].histogram.add(
          static_cast<double>(a[i]) - static_cast<double>(e[i]));
  }
}

std::vector<OutputErrors> OutputComparison::no_errors() const {
  std::vector<OutputErrors> errors;
  for (const OutputNoise::Part& part : nothing_.parts())
    errors.push_back({part.output_name, part.name, {}});
  return errors;
}

OutputNoise OutputComparison::of(std::span<const Tensor> actual,
                                 std::span<const Tensor> expected) const {
  OutputNoise noise = nothing_;
  add(actual, expected, noise);
  return noise;
}

OutputNoise OutputComparison::of_all(std::span<const std::vector<Tensor>> actual,
                                     std::span<const std::vector<Tensor>> expected) const {
  OutputNoise noise = nothing_;
  for (std::size_t s = 0; s < actual.size(); ++s) add(actual[s], expected[s], noise);
  return noise;
}

}  // namespace espquant::measure
