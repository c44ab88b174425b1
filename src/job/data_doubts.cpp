#include "job/data_doubts.h"

#include <fmt/format.h>

#include <cmath>

#include "strategy/workbench.h"

namespace espquant::job {
namespace {

/// Enough to see what is wrong with all, and soon read.
constexpr std::size_t kLookedAt = 64;

std::vector<std::size_t> some_of(const Data& data) {
  std::vector<std::size_t> some;
  for (const std::size_t at : data::pick(data.chosen.size(), kLookedAt))
    some.push_back(data.chosen[at]);
  return some;
}

/// What an input can hold, and how much of the data lies beyond.
struct Reach {
  double low = 0, high = 0;
  std::int64_t values = 0, beyond = 0;
  double least = 0, most = 0;

  void add(std::span<const float> data) {
    for (const float v : data) {
      ++values;
      beyond += v < low || v > high ? 1 : 0;
      least = std::min<double>(least, v);
      most = std::max<double>(most, v);
    }
  }
};

}  // namespace

void question_data(const Data& data, const DataOptions& options, const Graph& network) {
  tell_all(data.tell, data.dataset->warnings());
  const bool given = !options.preprocess.empty() || !options.preprocess_file.empty();
  if (data.dataset->holds_pictures())
    tell_all(data.tell, data::doubts(data.preprocess));
  else if (given)
    data.tell(
        fmt::format("{} holds inputs as they are: --preprocess changes nothing in them, and is "
                    "only written into "
                    "the file for pictures",
                    options.path.string()));
  for (const auto& text :
       data::suspicious_values(*data.dataset, input_specs(network), some_of(data)))
    data.tell(fmt::format("{}: {}", options.path.string(), text));
}

void question_calibration(const Data& data, const DataOptions& options, const Graph& network) {
  question_data(data, options, network);
  const auto samples = static_cast<std::int64_t>(data.chosen.size());
  if (samples < strategy::kLeastReconstructionSamples)
    data.tell(
        fmt::format("{} samples to calibrate on are few: weights are not fitted below {}, and "
                    "ranges are a guess",
                    samples, strategy::kLeastReconstructionSamples));
  else if (samples < 2 * strategy::kLeastJudgedSamples)
    data.tell(fmt::format(
        "{} samples to calibrate on: below {}, what is tried is judged on the samples that it was "
        "fitted to",
        samples, 2 * strategy::kLeastJudgedSamples));
}

void question_ranges(const Data& data, const espdl::Model& model) {
  constexpr double kWorthANote = 0.05;
  std::vector<Reach> reaches;
  for (const std::string& name : model.inputs) {
    const auto* value = model.find_value(name);
    Reach& reach = reaches.emplace_back();
    const bool quantized = value->dtype == DType::Int8 || value->dtype == DType::Int16;
    const double steps = value->dtype == DType::Int8 ? 128 : 32768;
    const int exponent = value->exponents.empty() ? 0 : value->exponents.front();
    // One step of tolerance: the largest pixel may be one more than the largest integer.
    reach.high = quantized ? std::ldexp(steps, exponent) : INFINITY;
    reach.low = quantized ? std::ldexp(-steps - 1, exponent) : -INFINITY;
  }
  for (const std::size_t sample : some_of(data)) {
    const std::vector<Tensor> tensors = data.dataset->sample(sample);
    for (std::size_t i = 0; i < std::min(tensors.size(), reaches.size()); ++i)
      reaches[i].add(tensors[i].data<float>());
  }
  for (std::size_t i = 0; i < reaches.size(); ++i) {
    const Reach& r = reaches[i];
    const double share =
        static_cast<double>(r.beyond) / static_cast<double>(std::max<std::int64_t>(r.values, 1));
    if (share > kWorthANote)
      data.tell(fmt::format(
          "input '{}': {:.0f} % of the values lie beyond {:.4g} to {:.4g}, which the model can "
          "take; "
          "they reach from {:.4g} to {:.4g}: are they scaled as those it was calibrated on?",
          model.inputs[i], 100 * share, r.low, r.high, r.least, r.most));
  }
}

}  // namespace espquant::job
