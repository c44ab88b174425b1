#include "tests/fuzz/targets/banked_model.h"

namespace espquant::test {
namespace {

// A whole vector and a rest, which the ESP32-S3 packs otherwise.
constexpr std::int64_t kOutputs = 20;

template <typename T>
espdl::Constant constant_of(const char* name, const std::vector<T>& elements, int exponent) {
  const auto count = static_cast<std::int64_t>(elements.size());
  return {name, Tensor::of<T>({count}, std::span<const T>(elements)), {exponent}, ""};
}

}  // namespace

espdl::Model banked_model() {
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
                  {"h", DType::Int8, {1, kOutputs}, {-3}},
                  {"y", DType::Int8, {1, kOutputs}, {-7}}};
  espdl::Constant w = constant_of("w", std::vector<std::int8_t>(2 * kOutputs, 3), -7);
  w.data = w.data.reshaped({1, 1, 2, kOutputs});
  model.initializers = {w, constant_of("b", std::vector<std::int32_t>(kOutputs, -70), -11),
                        constant_of<std::int8_t>("t", std::vector<std::int8_t>(256, 5), -7)};
  return model;
}

}  // namespace espquant::test
