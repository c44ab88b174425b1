#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/program.h"

/// Between the arrays that users have and the tensors that a chip holds.
namespace espquant::job {

/// The outside of one input or output of a program.
struct Port {
  std::string name;
  sim::TensorDesc desc;
  /// Stored axis i is axis perm[i] of the network; nothing where the file does not say.
  std::optional<std::vector<std::int64_t>> perm;
};

Port port_of(const sim::Program& program, std::size_t tensor);

/// Stored axis i is that axis of the network: by the port's layout, else as N,H,W,C stores N,C,H,W.
std::vector<std::int64_t> order_of(const Port& port);

/// The network's shape of the port: by its layout, else N,C,H,W (or N,C,L) for N,H,W,C.
Shape network_shape(const Port& port);

/// Cuts an array into frames, each of the port's type and stored shape. The array is one frame, or
/// holds several as calibration data do (data::open_dataset).
/// An array of the port's own type is taken as it is, in the file's layout or, where only that
/// fits, the network's; another float type is quantized as the chip does it, and the network's
/// layout is preferred where the file states it. Throws Error(BadData) for other types and shapes,
/// and for NaN.
std::vector<Tensor> frames_of(const Port& port, const Tensor& array, const Target& target);

/// The same before an exponent is chosen: what a port of integers takes, as real numbers in the
/// stored layout; else as frames_of(). Integers count at the port's own exponent.
std::vector<Tensor> real_frames_of(const Port& port, const Tensor& array, const Target& target);

/// Of real numbers in the port's stored layout, rounded as the chip does. Throws Error(BadData) for
/// NaN and infinities.
Tensor quantized(const Port& port, const Tensor& values, const Target& target);

/// One frame from the chip's own bytes.
std::vector<Tensor> frames_of_bytes(const Port& port, std::span<const std::byte> bytes);

/// Integers times 2^exponent as float32, axes in the network's order where the file states it.
/// Bools, int64 and floats keep their type.
Tensor dequantized(const Port& port, const Tensor& stored);

/// Frames of one shape along the first axis, or along one more where the first is not of extent 1.
Tensor joined(const std::vector<Tensor>& frames);

}  // namespace espquant::job
