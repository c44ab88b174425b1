#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// ONNX files from nothing but the wire format of protocol buffers: for networks that no exporter
/// would write.
namespace espquant::test {

inline std::string varint(std::uint64_t v) {
  std::string bytes;
  for (; v >= 0x80; v >>= 7) bytes += static_cast<char>(v | 0x80);
  return bytes += static_cast<char>(v);
}

inline std::string number_field(unsigned field, std::uint64_t v) {
  return varint(field << 3) + varint(v);
}

inline std::string bytes_field(unsigned field, std::string_view content) {
  return varint(field << 3 | 2) + varint(content.size()) + std::string(content);
}

inline std::string float_bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

/// ValueInfoProto of a float tensor.
inline std::string onnx_value(std::string_view name, const std::vector<std::uint64_t>& shape) {
  std::string dims;
  for (const std::uint64_t extent : shape) dims += bytes_field(1, number_field(1, extent));
  const std::string tensor = number_field(1, 1) + bytes_field(2, dims);
  return bytes_field(1, name) + bytes_field(2, bytes_field(1, tensor));
}

/// y = op(x, w) with x and y of shape batch x2x4x4 and w of shape 2x2x1x1: a Conv, by its shapes.
inline std::string onnx_model(std::string_view op, const std::vector<float>& w,
                              std::uint64_t batch = 1) {
  std::string weights;
  for (const std::uint64_t extent : {2, 2, 1, 1}) weights += number_field(1, extent);
  weights += number_field(2, 1) + bytes_field(8, "w") + bytes_field(9, float_bytes(w));
  const std::string node = bytes_field(1, "x") + bytes_field(1, "w") + bytes_field(2, "y") +
                           bytes_field(3, "the_node") + bytes_field(4, op);
  const std::string graph = bytes_field(1, node) + bytes_field(2, "g") + bytes_field(5, weights) +
                            bytes_field(11, onnx_value("x", {batch, 2, 4, 4})) +
                            bytes_field(12, onnx_value("y", {batch, 2, 4, 4}));
  return number_field(1, 8) + bytes_field(7, graph) + bytes_field(8, number_field(2, 17));
}

}  // namespace espquant::test
