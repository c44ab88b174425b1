#include "onnx/tensor_proto.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

#include "onnx/external_data.h"
#include "onnx_schema.pb.h"

namespace espquant::onnx {
namespace {

static_assert(std::endian::native == std::endian::little,
              "raw_data is little-endian and copied as it is");

constexpr int kExternal = 1;

DType dtype_of_message(const onnx_schema::Tensor& message) {
  const DType dtype = dtype_from_onnx(message.data_type());
  if (size_of(dtype) != 0) return dtype;
  if (dtype == DType::String)
    throw Error(ErrorCode::Unsupported, "a tensor of strings")
        .remedy("remove text processing from the model");
  throw Error(ErrorCode::Unsupported, fmt::format("element type number {}", message.data_type()))
      .remedy("export the model in float32");
}

Shape shape_of_message(const onnx_schema::Tensor& message) {
  Shape shape(message.dims().begin(), message.dims().end());
  for (std::int64_t extent : shape)
    if (extent < 0)
      throw Error(ErrorCode::Malformed, "negative extent in shape " + to_string(shape));
  return shape;
}

std::uint64_t bytes_needed(DType dtype, const Shape& shape) {
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(element_count(shape)),
                             std::uint64_t{size_of(dtype)}, &bytes) ||
      bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    throw Error(ErrorCode::Malformed, "shape " + to_string(shape) + " does not fit in memory");
  return bytes;
}

std::uint64_t parse_number(const std::string& key, const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error(ErrorCode::Malformed,
                fmt::format("external data: {} '{}' is not a number", key, text));
  return number;
}

ExternalLocation location_of(const onnx_schema::Tensor& message) {
  ExternalLocation location;
  for (const auto& entry : message.external_data()) {
    if (entry.key() == "location") location.file = entry.value();
    if (entry.key() == "offset") location.offset = parse_number("offset", entry.value());
    if (entry.key() == "length") location.length = parse_number("length", entry.value());
  }
  return location;
}

Tensor read_external(const onnx_schema::Tensor& message, DType dtype, Shape shape,
                     const std::filesystem::path& folder) {
  const std::uint64_t bytes = bytes_needed(dtype, shape);
  const ExternalFile file(folder, location_of(message));
  file.check_holds(bytes);
  Tensor tensor(dtype, std::move(shape));
  file.read(tensor.mutable_bytes());
  return tensor;
}

Tensor read_raw(const onnx_schema::Tensor& message, DType dtype, Shape shape) {
  const std::uint64_t bytes = bytes_needed(dtype, shape);
  if (message.raw_data().size() != bytes)
    throw Error(ErrorCode::Malformed,
                fmt::format("{} bytes of data, shape {} of {} asks for {}",
                            message.raw_data().size(), to_string(shape), to_string(dtype), bytes));
  Tensor tensor(dtype, std::move(shape));
  if (bytes != 0) std::memcpy(tensor.mutable_bytes().data(), message.raw_data().data(), bytes);
  return tensor;
}

/// Elements that ONNX stores one by one in a wider field: `Stored` is the type in memory.
template <typename Stored, typename Field>
Tensor read_field(const Field& field, DType dtype, Shape shape) {
  const std::int64_t count = element_count(shape);
  if (field.size() != count)
    throw Error(ErrorCode::Malformed,
                fmt::format("{} elements of data, shape {} of {} asks for {}", field.size(),
                            to_string(shape), to_string(dtype), count));
  Tensor tensor(dtype, std::move(shape));
  std::byte* out = tensor.mutable_bytes().data();
  for (const auto element : field) {
    const auto value = static_cast<Stored>(element);
    std::memcpy(out, &value, sizeof value);
    out += sizeof value;
  }
  return tensor;
}

Tensor read_typed(const onnx_schema::Tensor& message, DType dtype, Shape shape) {
  switch (dtype) {
    case DType::Float32:
      return read_field<float>(message.float_data(), dtype, std::move(shape));
    case DType::Float64:
      return read_field<double>(message.double_data(), dtype, std::move(shape));
    case DType::Int64:
      return read_field<std::int64_t>(message.int64_data(), dtype, std::move(shape));
    case DType::UInt64:
      return read_field<std::uint64_t>(message.uint64_data(), dtype, std::move(shape));
    case DType::UInt32:
      return read_field<std::uint32_t>(message.uint64_data(), dtype, std::move(shape));
    case DType::Int32:
      return read_field<std::int32_t>(message.int32_data(), dtype, std::move(shape));
    case DType::Int16:
      return read_field<std::int16_t>(message.int32_data(), dtype, std::move(shape));
    case DType::Int8:
      return read_field<std::int8_t>(message.int32_data(), dtype, std::move(shape));
    case DType::UInt8:
      return read_field<std::uint8_t>(message.int32_data(), dtype, std::move(shape));
    case DType::Bool:
      return read_field<bool>(message.int32_data(), dtype, std::move(shape));
    case DType::UInt16:
    case DType::Float16:
    case DType::BFloat16:
      return read_field<std::uint16_t>(message.int32_data(), dtype, std::move(shape));
    case DType::Undefined:
    case DType::String:
      break;
  }
  internal_error("element type without a field", __FILE__, __LINE__);
}

/// A bool is any non-zero byte in a file, but only 0 or 1 in memory.
void normalize_bools(Tensor& tensor) {
  if (tensor.dtype() != DType::Bool) return;
  for (std::byte& b : tensor.mutable_bytes()) b = b == std::byte{0} ? std::byte{0} : std::byte{1};
}

}  // namespace

DType dtype_from_onnx(std::int32_t number) {
  const bool known = (number >= 1 && number <= 13) || number == static_cast<int>(DType::BFloat16);
  return known ? static_cast<DType>(number) : DType::Undefined;
}

Tensor tensor_from_message(const onnx_schema::Tensor& message,
                           const std::filesystem::path& folder) {
  const DType dtype = dtype_of_message(message);
  Shape shape = shape_of_message(message);
  Tensor tensor = message.data_location() == kExternal
                      ? read_external(message, dtype, std::move(shape), folder)
                  : message.has_raw_data() ? read_raw(message, dtype, std::move(shape))
                                           : read_typed(message, dtype, std::move(shape));
  normalize_bools(tensor);
  return tensor;
}

void tensor_to_message(const Tensor& tensor, const std::string& name,
                       onnx_schema::Tensor& message) {
  message.set_name(name);
  message.set_data_type(static_cast<std::int32_t>(tensor.dtype()));
  for (std::int64_t extent : tensor.shape()) message.add_dims(extent);
  message.set_raw_data(tensor.bytes().data(), tensor.byte_size());
}

Tensor read_tensor_proto(std::span<const std::byte> bytes) {
  onnx_schema::Tensor message;
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw Error(ErrorCode::Malformed, "is not an ONNX tensor, or is damaged");
  return tensor_from_message(message, {});
}

}  // namespace espquant::onnx
