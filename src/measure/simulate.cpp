#include "measure/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "base/fixed_point.h"
#include "lower/lower.h"

namespace espquant::measure {
namespace {

std::vector<std::int64_t> parse_order(std::string_view text) {
  std::vector<std::int64_t> order;
  for (const char* at = text.data(); at < text.data() + text.size();) {
    std::int64_t axis = 0;
    const auto [end, error] = std::from_chars(at, text.data() + text.size(), axis);
    if (error != std::errc{}) return {};
    order.push_back(axis);
    at = end + 1;
  }
  return order;
}

bool is_order_of(const std::vector<std::int64_t>& order, std::size_t rank) {
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::int64_t> natural(rank);
  std::iota(natural.begin(), natural.end(), std::int64_t{0});
  return sorted == natural;
}

}  // namespace

std::vector<std::int64_t> stored_order(const sim::Program& program, std::size_t tensor,
                                       const Shape& shape) {
  const Shape& stored = program.desc(tensor).shape;
  std::vector<std::int64_t> natural(shape.size());
  std::iota(natural.begin(), natural.end(), std::int64_t{0});
  const auto written =
      parse_order(program.model().metadata_value(lower::layout_key(program.tensor_name(tensor))));
  if (is_order_of(written, shape.size()) && permuted(shape, written) == stored) return written;
  std::vector<std::int64_t> channels_last = natural;
  if (shape.size() >= 3)
    std::rotate(channels_last.begin() + 1, channels_last.begin() + 2, channels_last.end());
  if (permuted(shape, channels_last) == stored) return channels_last;
  // ESP-DL has no tensors without axes.
  if (shape == stored || (shape.empty() && stored == Shape{1})) return natural;
  throw Error(ErrorCode::BadData, fmt::format("has shape {} in the .espdl but {} in the network",
                                              to_string(stored), to_string(shape)))
      .tensor(program.tensor_name(tensor))
      .remedy("Give the network that the .espdl was made from");
}

void store(std::span<const float> real, const sim::TensorDesc& desc, const Target& target,
           std::byte* into) {
  const float inverse = pow2(-desc.exponent());
  const auto quantize_all = [&](auto* out) {
    quantize_values(real.data(), real.size(), inverse, target.rounding, out);
  };
  switch (desc.dtype) {
    case DType::Int8:
      return quantize_all(reinterpret_cast<std::int8_t*>(into));
    case DType::Int16:
      return quantize_all(reinterpret_cast<std::int16_t*>(into));
    case DType::Float32:
      std::copy(real.begin(), real.end(), reinterpret_cast<float*>(into));
      return;
    case DType::Bool:
      std::ranges::transform(real, reinterpret_cast<std::uint8_t*>(into),
                             [](float x) { return static_cast<std::uint8_t>(x != 0); });
      return;
    default:
      break;
  }
  throw Error(ErrorCode::Unsupported, "an input of type " + std::string(to_string(desc.dtype)) +
                                          " cannot take real values");
}

void load(const std::byte* stored, const sim::TensorDesc& desc, std::span<float> into) {
  const float scale = pow2(desc.exponent());
  const auto dequantize_all = [&](const auto* in) {
    for (std::size_t i = 0; i < into.size(); ++i) into[i] = static_cast<float>(in[i]) * scale;
  };
  switch (desc.dtype) {
    case DType::Int8:
      return dequantize_all(reinterpret_cast<const std::int8_t*>(stored));
    case DType::Int16:
      return dequantize_all(reinterpret_cast<const std::int16_t*>(stored));
    case DType::Float32:
      return dequantize_all(reinterpret_cast<const float*>(stored));
    case DType::Bool:
      return dequantize_all(reinterpret_cast<const std::uint8_t*>(stored));
    default:
      break;
  }
  throw Error(ErrorCode::Unsupported,
              "an output of type " + std::string(to_string(desc.dtype)) + " has no real values");
}

SimulatedNetwork::SimulatedNetwork(const sim::Program& program, const Graph& network)
    : program_(program) {
  const auto match = [&](std::span<const ValueId> values, std::span<const std::size_t> tensors,
                         std::vector<Port>& ports, std::string_view what) {
    if (values.size() != tensors.size())
      throw Error(ErrorCode::BadData, fmt::format("the .espdl has {} {}, the network {}",
                                                  tensors.size(), what, values.size()))
          .remedy("Give the network that the .espdl was made from");
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Value& value = network.value(values[i]);
      const auto named = std::find_if(tensors.begin(), tensors.end(), [&](std::size_t t) {
        return program.tensor_name(t) == value.name;
      });
      const std::size_t tensor = named != tensors.end() ? *named : tensors[i];
      ports.push_back({tensor, *value.shape, stored_order(program, tensor, *value.shape)});
    }
  };
  given_inputs_ = network.inputs().size();
  std::vector<ValueId> kept(network.inputs().begin(), network.inputs().end());
  if (kept.size() != program.inputs().size())
    for (ValueId unread : lower::unread_inputs(network)) std::erase(kept, unread);
  match(kept, program.inputs(), inputs_, "inputs");
  for (ValueId v : kept)
    positions_.push_back(static_cast<std::size_t>(
        std::find(network.inputs().begin(), network.inputs().end(), v) - network.inputs().begin()));
  match(network.outputs(), program.outputs(), outputs_, "outputs");
}

void SimulatedNetwork::feed(std::span<const Tensor> inputs, sim::Program::Frame& frame) const {
  ESPQUANT_ASSERT(inputs.size() == given_inputs_, "one tensor per input");
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const Port& port = inputs_[i];
    const Tensor& given = inputs[positions_[i]];
    const bool natural = std::is_sorted(port.order.begin(), port.order.end());
    const Tensor ordered = natural ? given : given.transposed(port.order);
    store(ordered.data<float>(), program_.desc(port.tensor), program_.target(),
          frame.bytes(port.tensor).data());
  }
}

std::vector<Tensor> SimulatedNetwork::run(std::span<const Tensor> inputs,
                                          sim::Program::Frame& frame) const {
  feed(inputs, frame);
  frame.run();
  return read(frame);
}

std::vector<Tensor> SimulatedNetwork::read(sim::Program::Frame& frame) const {
  std::vector<Tensor> results;
  for (const Port& port : outputs_) {
    Tensor real(DType::Float32, program_.desc(port.tensor).shape);
    load(frame.bytes(port.tensor).data(), program_.desc(port.tensor), real.mutable_data<float>());
    std::vector<std::int64_t> back(port.order.size());
    for (std::size_t k = 0; k < back.size(); ++k)
      back[static_cast<std::size_t>(port.order[k])] = static_cast<std::int64_t>(k);
    results.push_back(std::is_sorted(back.begin(), back.end()) ? real.reshaped(port.shape)
                                                               : real.transposed(back));
  }
  return results;
}

}  // namespace espquant::measure
