#include <cstring>
#include <vector>

#include "base/error.h"
#include "deploy/templates/main/banks.hpp"
#include "espdl/banks.h"
#include "espdl/bytes.h"
#include "espdl/writer.h"
#include "tests/deploy/standin/seen_model.h"

using namespace espquant;

namespace {

template <typename T>
espdl::Constant constant_of(const char* name, const std::vector<T>& elements, int exponent) {
  const auto count = static_cast<std::int64_t>(elements.size());
  return {name, Tensor::of<T>({count}, std::span<const T>(elements)), {exponent}, ""};
}

/// A Gemm and a table, for the ESP32-S3.
espdl::Model small_model() {
  espdl::Model model;
  model.name = "small";
  model.metadata = {{"espquant.target", "esp32s3"}};
  espdl::Node gemm, table;
  gemm.name = gemm.op = "Gemm";
  gemm.inputs = {"x", "w", "b"};
  gemm.outputs = {"h"};
  gemm.attributes["quant_type"] = std::string("S8");
  table.name = table.op = "Sigmoid";
  table.inputs = {"h"};
  table.outputs = {"y"};
  table.attributes["quant_type"] = std::string("S8");
  table.attributes["lut"] = std::string("t");
  model.nodes = {gemm, table};
  model.inputs = {"x"};
  model.outputs = {"y"};
  model.values = {{"x", DType::Int8, {1, 2}, {-4}},
                  {"h", DType::Int8, {1, 3}, {-3}},
                  {"y", DType::Int8, {1, 3}, {-7}}};
  espdl::Constant w = constant_of<std::int8_t>("w", {1, 2, 3, 4, 5, 6}, -7);
  w.data = w.data.reshaped({1, 1, 2, 3});
  model.initializers = {w, constant_of<std::int32_t>("b", {100, -7, 3}, -11),
                        constant_of<std::int8_t>("t", std::vector<std::int8_t>(256, 5), -7)};
  return model;
}

/// Where ESP-DL wants a file.
struct alignas(16) Block {
  std::byte bytes[16];
};

std::vector<Block> aligned(const std::vector<std::byte>& bytes) {
  std::vector<Block> blocks((bytes.size() + 15) / 16);
  std::memcpy(blocks.data(), bytes.data(), bytes.size());
  return blocks;
}

}  // namespace

/// Any bytes are refused or read, by the program and by the code on the device; what the program
/// reads the device takes, and both make the same models of it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const espdl::Model model = small_model();
  static const std::vector<std::byte> file = espdl::write_model(model);
  static const std::vector<Block> flash = aligned(file);
  constexpr std::size_t kFixed = 24;
  // What comes before the contents is made right: nothing else would ever get behind it.
  std::vector<std::byte> bytes(kFixed + size);
  espdl::Banks none;
  const auto head = espdl::write_banks(none, model, file, find_target("esp32s3"));
  std::memcpy(bytes.data(), head.data(), kFixed);
  if (size > 0) std::memcpy(bytes.data() + kFixed, data, size);
  espdl::store_u32(bytes, 8, static_cast<std::uint32_t>(bytes.size()));
  espdl::store_u32(bytes, 12, firmware::bank_checksum(bytes.data() + 16, bytes.size() - 16));

  std::optional<espdl::Banks> read;
  try {
    read = espdl::read_banks(bytes, model, file);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::Internal) __builtin_trap();
  }
  dl::Model on_chip(reinterpret_cast<const char*>(flash.data()));
  firmware::Banks banks(&on_chip, bytes.data(), bytes.size());
  if (!read) return 0;
  if (banks.error() != nullptr) __builtin_trap();
  for (std::size_t b = 0; b <= read->banks.size(); ++b) {
    banks.use(b);
    const espdl::Model stands = dl::seen_model(on_chip).as_it_stands();
    const espdl::Model expected = espdl::with_bank(model, *read, b);
    if (stands.values != expected.values) __builtin_trap();
  }
  return 0;
}
