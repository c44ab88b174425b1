#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "base/tensor.h"

namespace espquant::onnx_schema {
class Tensor;
}

namespace espquant::onnx {

/// A serialized ONNX TensorProto (the input_0.pb of ONNX's own test data). Every element type of
/// DType but String is read, whichever field it is stored in; external data are refused. Throws
/// Error(Malformed) on damaged bytes or data that do not fill the shape, Error(Unsupported) on
/// other types.
Tensor read_tensor_proto(std::span<const std::byte> bytes);

/// As above for a parsed message. External data are read from `folder`, and from nowhere outside
/// it: an absolute path, "..", or a symbolic link that leads out is refused with Error(BadData), as
/// is an empty `folder`.
Tensor tensor_from_message(const onnx_schema::Tensor& message, const std::filesystem::path& folder);

/// Raw little-endian bytes under `name`.
void tensor_to_message(const Tensor& tensor, const std::string& name, onnx_schema::Tensor& message);

/// The element type of that number, Undefined for one that we do not handle.
DType dtype_from_onnx(std::int32_t number);

}  // namespace espquant::onnx
