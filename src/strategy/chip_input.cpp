#include "strategy/chip_input.h"

#include <algorithm>
#include <array>

#include "base/fixed_point.h"
#include "base/parallel.h"
#include "measure/simulate.h"

namespace espquant::strategy {
namespace {

// Elements whose sums over all samples are made together: they stay in the cache.
constexpr std::size_t kSumBlock = 4096;

/// Calls visit(integers) with a tensor's elements in their own type.
template <typename F>
void visit_integers(std::span<const std::byte> stored, DType dtype, F&& visit) {
  if (dtype == DType::Int8)
    visit(reinterpret_cast<const std::int8_t*>(stored.data()));
  else
    visit(reinterpret_cast<const std::int16_t*>(stored.data()));
}

}  // namespace

std::optional<ChipInput> ChipInput::of(const Graph& graph, const Node& layer, lower::Order order,
                                       const sim::Program& program) {
  const std::size_t tensor = program.tensor_index(order.tensor);
  const DType dtype = program.desc(tensor).dtype;
  if (dtype != DType::Int8 && dtype != DType::Int16) return std::nullopt;
  return ChipInput(graph, layer, std::move(order), program, tensor);
}

std::vector<float> ChipInput::mean(std::deque<sim::Program::Frame>& frames) const {
  const sim::TensorDesc& desc = program_.desc(tensor_);
  const float scale = pow2(desc.exponent()) / static_cast<float>(frames.size());
  std::vector<float> mean(static_cast<std::size_t>(element_count(desc.shape)));
  const std::size_t blocks = (mean.size() + kSumBlock - 1) / kSumBlock;
  parallel_for(static_cast<std::int64_t>(blocks), [&](std::int64_t block) {
    const std::size_t first = static_cast<std::size_t>(block) * kSumBlock;
    const std::size_t count = std::min(kSumBlock, mean.size() - first);
    std::array<std::int32_t, kSumBlock> sums{};
    for (sim::Program::Frame& frame : frames)
      visit_integers(frame.bytes(tensor_), desc.dtype, [&](const auto* q) {
        for (std::size_t i = 0; i < count; ++i) sums[i] += q[first + i];
      });
    for (std::size_t i = 0; i < count; ++i) mean[first + i] = static_cast<float>(sums[i]) * scale;
  });
  return mean;
}

std::vector<double> ChipInput::mean_under_weights(std::deque<sim::Program::Frame>& frames) const {
  const std::vector<float> mean = this->mean(frames);
  const bool channels_last = order_.is_channels_last(shape());
  if (channels_last || order_.is_natural())
    return quant::mean_under_weights(graph_, layer_, mean, channels_last);
  const Tensor plain = order_.network(mean, shape());
  return quant::mean_under_weights(graph_, layer_, plain.data<float>(), false);
}

quant::LayerEvidence ChipInput::evidence(std::deque<sim::Program::Frame>& frames,
                                         const calib::OutputSamples& outputs, float factor) const {
  const sim::TensorDesc& desc = program_.desc(tensor_);
  const calib::Patches patches(graph_, layer_);
  const auto samples = static_cast<std::int64_t>(frames.size());
  const std::int64_t each = outputs.choice.per_sample, width = patches.width();
  quant::LayerEvidence evidence;
  evidence.positions = samples * each;
  evidence.first_half = (samples + 1) / 2 * each;
  evidence.taps = patches.taps();
  evidence.channels = patches.channels();
  evidence.inputs.resize(static_cast<std::size_t>(evidence.positions * width));
  evidence.outputs.resize(static_cast<std::size_t>(evidence.positions * outputs.channels));
  const bool channels_last = order_.is_channels_last(shape());
  const bool readable = channels_last || order_.is_natural();
  const float step = pow2(desc.exponent());
  parallel_for(samples, [&](std::int64_t s) {
    const std::span<const std::byte> stored = frames[static_cast<std::size_t>(s)].bytes(tensor_);
    Tensor plain;
    if (!readable) {
      std::vector<float> values(static_cast<std::size_t>(element_count(desc.shape)));
      measure::load(stored.data(), desc, values);
      plain = order_.network(values, shape());
    }
    const std::int64_t slot = (s % 2 == 0 ? s / 2 : (samples + 1) / 2 + s / 2) * each;
    for (std::int64_t i = 0; i < each; ++i) {
      const std::int64_t position = outputs.choice.position(i, s);
      float* x = evidence.inputs.data() + (slot + i) * width;
      if (readable) {
        visit_integers(stored, desc.dtype,
                       [&](const auto* q) { patches.copy(q, channels_last, position, x); });
        std::transform(x, x + width, x, [&](float q) { return q * step; });
      } else {
        patches.copy(plain.data<float>().data(), false, position, x);
      }
    }
    const float* y = outputs.at(s, 0);
    std::transform(y, y + each * outputs.channels,
                   evidence.outputs.begin() + slot * outputs.channels,
                   [&](float v) { return v * factor; });
  });
  return evidence;
}

}  // namespace espquant::strategy
