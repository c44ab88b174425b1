#include "job/frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/fixed_point.h"
#include "data/dataset.h"
#include "data/npz_frames.h"
#include "job/port_metadata.h"

namespace espquant::job {
namespace {

using Perm = std::vector<std::int64_t>;

Perm identity(std::size_t rank) {
  Perm perm(rank);
  std::iota(perm.begin(), perm.end(), std::int64_t{0});
  return perm;
}

/// N,C,spatial... stored as N,spatial...,C.
Perm channels_last(std::size_t rank) {
  Perm perm = identity(rank);
  if (rank >= 3) std::rotate(perm.begin() + 1, perm.begin() + 2, perm.end());
  return perm;
}

/// The frames of shape `frame` that an array holds: itself, or as calibration data are read.
std::vector<Tensor> split(const Tensor& array, const Shape& frame) {
  if (array.shape() == frame) return {array};
  if (!frame.empty() && frame[0] == 1 && array.shape() == Shape(frame.begin() + 1, frame.end()))
    return {array.reshaped(frame)};
  std::vector<Tensor> frames;
  const auto axis = data::sample_axis(array.shape(), frame);
  if (!axis) return frames;
  for (std::int64_t i = 0; i < array.shape()[*axis]; ++i)
    frames.push_back(data::sample_of(array, *axis, static_cast<std::size_t>(i), frame));
  return frames;
}

Error wrong_shape(const Port& port, const Tensor& array) {
  const Shape& stored = port.desc.shape;
  const Shape network = network_shape(port);
  const std::string other =
      network == stored ? "" : fmt::format(", or {} in the file's layout", to_string(stored));
  return Error(ErrorCode::BadData, fmt::format("the array has shape {}, the input takes {}{}",
                                               to_string(array.shape()), to_string(network), other))
      .tensor(port.name)
      .remedy("Several frames go along the first axis");
}

}  // namespace

Port port_of(const sim::Program& program, std::size_t tensor) {
  const std::string& name = program.tensor_name(tensor);
  const auto& desc = program.desc(tensor);
  return {name, desc, layout_of(program.model(), name, desc.shape.size())};
}

std::vector<std::int64_t> order_of(const Port& port) {
  return port.perm.value_or(channels_last(port.desc.shape.size()));
}

Shape network_shape(const Port& port) { return network_shape(port.desc.shape, order_of(port)); }

std::vector<Tensor> frames_of(const Port& port, const Tensor& array, const Target& target) {
  const Shape& stored = port.desc.shape;
  const bool as_stored = array.dtype() == port.desc.dtype;
  if (!as_stored && !is_float(array.dtype()))
    throw Error(ErrorCode::BadData,
                fmt::format("the array is {}, the input takes {}", to_string(array.dtype()),
                            to_string(port.desc.dtype)))
        .tensor(port.name)
        .remedy("Give floats, which are quantized, or the input's own integers");

  const Perm as_file = identity(stored.size());
  const Perm as_network = order_of(port);
  const bool network_first = port.perm.has_value() && is_float(array.dtype());
  for (const Perm& perm :
       network_first ? std::array{as_network, as_file} : std::array{as_file, as_network}) {
    std::vector<Tensor> frames = split(array, network_shape(stored, perm));
    for (Tensor& frame : frames) {
      frame = frame.transposed(perm);
      if (!as_stored) frame = quantized(port, frame.cast(DType::Float32), target);
    }
    if (!frames.empty()) return frames;
  }
  throw wrong_shape(port, array);
}

Tensor quantized(const Port& port, const Tensor& values, const Target& target) {
  for (const float v : values.data<float>())
    if (!std::isfinite(v))
      throw Error(ErrorCode::BadData, "the input holds NaN or an infinity").tensor(port.name);
  Tensor result(port.desc.dtype, port.desc.shape);
  sim::assign({DType::Float32, port.desc.shape, {0}}, values.bytes().data(), port.desc,
              result.mutable_bytes().data(), target);
  return result;
}

std::vector<Tensor> real_frames_of(const Port& port, const Tensor& array, const Target& target) {
  if (!sim::is_quantized(port.desc.dtype)) return frames_of(port, array, target);
  std::vector<Tensor> frames;
  if (array.dtype() != port.desc.dtype) {
    Port real = port;
    real.desc.dtype = DType::Float32;
    real.desc.exponents = {};
    return frames_of(real, is_float(array.dtype()) ? array.cast(DType::Float32) : array, target);
  }
  Port stored = port;
  stored.perm.reset();  // the layout stays
  for (const Tensor& frame : frames_of(port, array, target))
    frames.push_back(dequantized(stored, frame));
  return frames;
}

std::vector<Tensor> frames_of_bytes(const Port& port, std::span<const std::byte> bytes) {
  const std::size_t size = port.desc.byte_size();
  if (size == 0 || bytes.empty() || bytes.size() % size != 0)
    throw Error(ErrorCode::BadData,
                fmt::format("{} bytes; the input takes {} ({} {})", bytes.size(), size,
                            to_string(port.desc.dtype), to_string(port.desc.shape)))
        .tensor(port.name)
        .remedy("A raw file holds one or more whole frames");
  std::vector<Tensor> frames;
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    Tensor frame(port.desc.dtype, port.desc.shape);
    std::memcpy(frame.mutable_bytes().data(), bytes.data() + at, size);
    frames.push_back(std::move(frame));
  }
  return frames;
}

Tensor dequantized(const Port& port, const Tensor& stored) {
  Tensor values = stored;
  const DType dtype = stored.dtype();
  if (!is_float(dtype) && dtype != DType::Bool && dtype != DType::Int64) {
    const float scale = pow2(port.desc.exponent());
    values = stored.cast(DType::Float32);
    for (float& v : values.mutable_data<float>()) v *= scale;
  }
  if (!port.perm) return values;
  Perm inverse(port.perm->size());
  for (std::size_t i = 0; i < inverse.size(); ++i)
    inverse[static_cast<std::size_t>((*port.perm)[i])] = static_cast<std::int64_t>(i);
  return values.transposed(inverse);
}

Tensor joined(const std::vector<Tensor>& frames) {
  ESPQUANT_ASSERT(!frames.empty(), "there is no frame to join");
  const Tensor& first = frames.front();
  if (frames.size() == 1) return first;
  Tensor whole(first.dtype(),
               data::shape_of_frames(first.shape(), static_cast<std::int64_t>(frames.size())));
  auto* out = whole.mutable_bytes().data();
  for (const Tensor& frame : frames)
    out = std::copy(frame.bytes().begin(), frame.bytes().end(), out);
  return whole;
}

}  // namespace espquant::job
