#include "report/compile_request.h"

#include <gtest/gtest.h>

#include "tests/cost/small_model.h"

namespace espquant::report {
namespace {

using Names = std::set<std::string>;

struct Layer {
  std::int64_t kernel = 1, in = 16, out = 16;
  DType input = DType::Int8, weights = DType::Int8;
  bool bias = true, relu = false, depthwise = false, per_channel = false;
};

espdl::Model model_of(const Layer& l) {
  test::SmallModel model;
  model.input("x", {1, 8, 8, l.in}, l.input)
      .constant("w", l.weights, {l.kernel, l.kernel, l.in, l.depthwise ? 1 : l.out},
                l.per_channel ? std::vector<int>(static_cast<std::size_t>(l.out), -7)
                              : std::vector<int>{-7})
      .constant("b", DType::Int32, {l.out})
      .node("Conv",
            l.bias ? std::vector<std::string>{"x", "w", "b"} : std::vector<std::string>{"x", "w"},
            "y", {1, 8, 8, l.out}, l.input)
      .attribute("activation", std::string(l.relu ? "Relu" : "Linear"))
      .attribute("group", std::int64_t{l.depthwise ? l.in : 1})
      .output("y");
  return model.model();
}

Names kernels(const char* target, const Layer& layer) {
  return compile_request(model_of(layer), find_target(target)).kernels;
}

TEST(CompileRequest, NamesTheKernelsOfTheS3) {
  EXPECT_EQ(kernels("esp32s3", {.relu = true}), Names{"dl_tie728_s8_conv2d_11cn_relu"});
  EXPECT_EQ(kernels("esp32s3", {.kernel = 3}),
            (Names{"dl_tie728_s8_conv2d_33cn", "dl_tie728_s8_conv2d_hwcn"}));
  EXPECT_EQ(kernels("esp32s3", {.kernel = 5, .in = 3, .relu = true}),
            Names{"dl_tie728_s8_unaligned_conv2d_hwcn"});
  EXPECT_EQ(kernels("esp32s3", {.kernel = 3, .relu = true, .depthwise = true}),
            (Names{"dl_tie728_s8_depthwise_conv2d_33c1_relu",
                   "dl_tie728_s8_depthwise_conv2d_hwc1_relu"}));
  EXPECT_EQ(
      kernels("esp32s3",
              {.in = 8, .out = 24, .input = DType::Int16, .weights = DType::Int16, .relu = true}),
      Names{"dl_tie728_s16_conv2d_11cn_bias_relu"});
  EXPECT_EQ(kernels("esp32s3", {.in = 12, .input = DType::Int16, .bias = false}),
            Names{"dl_tie728_w8a16_unaligned_conv2d_11cn"});
}

TEST(CompileRequest, NamesTheKernelsOfTheP4AndTheS31) {
  for (const char* target : {"esp32p4", "esp32s31"}) {
    EXPECT_EQ(kernels(target, {.relu = true, .per_channel = true}),
              Names{"dl_esp32p4_s8_conv2d_per_channel_11cn_bias_relu"});
    EXPECT_EQ(kernels(target, {.kernel = 3, .in = 3, .relu = true}),
              (Names{"dl_esp32p4_s8_unaligned_conv2d_33cn_bias_leakyrelu",
                     "dl_esp32p4_s8_unaligned_conv2d_hwcn_bias_leakyrelu"}));
    EXPECT_EQ(kernels(target, {.kernel = 5, .bias = false, .depthwise = true, .per_channel = true}),
              Names{"dl_esp32p4_s8_depthwise_conv2d_per_channel_hwc1"});
    EXPECT_EQ(kernels(target, {.input = DType::Int16, .per_channel = true}),
              Names{"dl_esp32p4_w8a16_conv2d_per_channel_11cn_bias"});
  }
}

TEST(CompileRequest, NamesTheKernelsOfPortableChips) {
  EXPECT_EQ(kernels("esp32c3", {.kernel = 3, .relu = true}),
            (Names{"dl_c_s8_conv2d_33cn", "dl_c_s8_conv2d_hwcn", "dl_c_s8_tail_bias_relu"}));
  EXPECT_EQ(kernels("esp32", {.input = DType::Int16, .weights = DType::Int16, .bias = false}),
            (Names{"dl_c_s16_conv2d_11cn", "dl_c_s16_tail_linear"}));
  // Which tail W8A16 has is not certain.
  EXPECT_EQ(kernels("c", {.input = DType::Int16}),
            (Names{"dl_c_w8a16_conv2d_11cn", "dl_c_w8a16_tail_bias_linear",
                   "dl_c_s16_tail_bias_linear"}));
}

TEST(CompileRequest, ProductsUseKernelsOfConvolutionsUnlessTheirOperandIsNotPacked) {
  const auto model = [](const char* layout) {
    return test::SmallModel()
        .input("a", {4, 32})
        .input("b", {32, 16})
        .node("MatMul", {"a", "b"}, "y", {4, 16})
        .attribute("input1_layout", std::string(layout))
        .output("y")
        .model();
  };
  const auto& s3 = find_target("esp32s3");
  EXPECT_EQ(compile_request(model("packed"), s3).kernels, Names{"dl_tie728_s8_conv2d_11cn"});
  EXPECT_TRUE(compile_request(model("native_kn"), s3).kernels.empty());
}

TEST(CompileRequest, IsWrittenAsYamlAndUnited) {
  auto request = compile_request(model_of({}), find_target("esp32s3"));
  EXPECT_EQ(to_yaml(request, "a.espdl, esp32s3"),
            "# for a.espdl, esp32s3\n"
            "ops:\n"
            "  - Conv\n"
            "  - RequantizeLinear\n"
            "kernels:\n"
            "  - dl_tie728_s8_conv2d_11cn\n");
  const auto other = compile_request(
      test::SmallModel().input("x", {4}).node("Relu", {"x"}, "y", {4}).output("y").model(),
      find_target("esp32s3"));
  EXPECT_EQ(to_yaml(other, "b\nops:"),
            "# for b ops:\nops:\n  - Relu\n  - RequantizeLinear\nkernels: []\n");
  const auto odd = compile_request(
      test::SmallModel().input("x", {4}).node("a: [\"b\n", {"x"}, "y", {4}).output("y").model(),
      find_target("esp32s3"));
  EXPECT_EQ(to_yaml(odd, "c"),
            "# for c\nops:\n  - RequantizeLinear\n  - \"a: [\\\"b\\x0a\"\nkernels: []\n");
  request.add(other);
  EXPECT_EQ(request.ops, (Names{"Conv", "Relu", "RequantizeLinear"}));
}

}  // namespace
}  // namespace espquant::report
