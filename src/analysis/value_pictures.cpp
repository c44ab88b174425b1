#include "analysis/value_pictures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "base/parallel.h"
#include "measure/float_references.h"
#include "measure/simulate.h"

namespace espquant::analysis {
namespace {

// Sums of floating-point numbers are made lane by lane, so that threads do not change them.
constexpr std::int64_t kLanes = 8;

std::size_t bin_of(float value, const ValuePicture& picture) {
  const double span = picture.high - picture.low;
  if (!(span > 0) || !std::isfinite(value)) return 0;
  const double place = (value - picture.low) / span * static_cast<double>(kPictureBins);
  return static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(kPictureBins - 1)));
}

class Pictures {
 public:
  Pictures(const ops::Executor& executor, const sim::Program& program, const lower::Orders& orders,
           const Analysis& analysis)
      : executor_(executor),
        program_(program),
        network_(program, executor.graph()),
        references_(executor.graph(), program, orders) {
    std::unordered_map<std::string, std::size_t> tensors;
    for (std::size_t t = 0; t < program.tensor_count(); ++t)
      tensors.emplace(program.tensor_name(t), t);
    for (const AnalyzedLayer& layer : analysis.layers) {
      const std::size_t t = tensors.at(layer.facts.tensor);
      tensors_.push_back(t);
      channels_.push_back(stored_channels(references_.order_of(t), program.desc(t).shape));
      ValuePicture picture;
      picture.tensor = layer.facts.tensor;
      picture.low = layer.facts.min;
      picture.high = layer.facts.max;
      picture.network.resize(kPictureBins);
      picture.chip.resize(kPictureBins);
      picture.channels.resize(static_cast<std::size_t>(channels_.back().count));
      empty_.push_back(std::move(picture));
    }
  }

  std::vector<ValuePicture> of(const calib::SampleSource& source,
                               std::span<const std::int64_t> samples) const {
    std::array<std::vector<ValuePicture>, kLanes> lanes;
    parallel_for(kLanes, [&](std::int64_t lane) {
      auto& mine = lanes[static_cast<std::size_t>(lane)];
      mine = empty_;
      ops::Executor::Workspace workspace(executor_);
      sim::Program::Frame frame(program_, true);
      measure::FloatReferences::Values expected(program_.tensor_count());
      for (auto i = static_cast<std::size_t>(lane); i < samples.size(); i += kLanes) {
        const std::vector<Tensor> inputs = source.sample(samples[i]);
        executor_.run(inputs, workspace,
                      [&](const ops::Executor::View& view) { references_.keep(view, expected); });
        network_.run(inputs, frame);
        for (std::size_t p = 0; p < mine.size(); ++p) add(expected, frame, p, mine[p]);
      }
    });
    std::vector<ValuePicture> total = empty_;
    for (const auto& lane : lanes)
      for (std::size_t p = 0; p < total.size(); ++p) add(lane[p], total[p]);
    return total;
  }

 private:
  void add(const measure::FloatReferences::Values& expected, sim::Program::Frame& frame,
           std::size_t p, ValuePicture& picture) const {
    const std::size_t t = tensors_[p];
    const std::vector<float>& values = expected[t];
    std::vector<float> chip(values.size());
    measure::load(frame.bytes(t).data(), program_.desc(t), chip);
    const auto count = picture.channels.size();
    const auto inner = static_cast<std::size_t>(channels_[p].inner);
    for (std::size_t i = 0; i < values.size(); ++i) {
      ++picture.network[bin_of(values[i], picture)];
      ++picture.chip[bin_of(chip[i], picture)];
      if (count == 0) continue;
      measure::Noise& channel = picture.channels[i / inner % count];
      const double error = static_cast<double>(chip[i]) - values[i];
      channel.noise += error * error;
      channel.signal += static_cast<double>(values[i]) * values[i];
    }
  }

  static void add(const ValuePicture& part, ValuePicture& total) {
    for (std::size_t b = 0; b < kPictureBins; ++b) {
      total.network[b] += part.network[b];
      total.chip[b] += part.chip[b];
    }
    for (std::size_t c = 0; c < total.channels.size(); ++c) total.channels[c].add(part.channels[c]);
  }

  const ops::Executor& executor_;
  const sim::Program& program_;
  measure::SimulatedNetwork network_;
  measure::FloatReferences references_;
  /// By layer.
  std::vector<std::size_t> tensors_;
  std::vector<StoredChannels> channels_;
  std::vector<ValuePicture> empty_;
};

}  // namespace

StoredChannels stored_channels(const lower::Order& order, const Shape& stored) {
  const auto axis = std::find(order.perm.begin(), order.perm.end(), 1);
  if (axis == order.perm.end() || stored.size() != order.perm.size()) return {};
  const auto position = static_cast<std::size_t>(axis - order.perm.begin());
  StoredChannels channels{stored[position], 1};
  for (std::size_t i = position + 1; i < stored.size(); ++i) channels.inner *= stored[i];
  return channels;
}

std::vector<ValuePicture> value_pictures(const strategy::QuantizedModel& made, const Target& target,
                                         const calib::SampleSource& source,
                                         std::span<const std::int64_t> samples,
                                         const Analysis& analysis) {
  const sim::Program program(made.model, target);
  const lower::Orders orders = lower::lower(made.quantized, target).orders;
  const ops::Executor executor(made.scaled);
  return Pictures(executor, program, orders, analysis).of(source, samples);
}

}  // namespace espquant::analysis
