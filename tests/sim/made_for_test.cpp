#include "sim/made_for.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/errors.h"

namespace espquant::sim {
namespace {

using test::error_of;

espdl::Node made_for_node(std::string op, std::string quant_type) {
  espdl::Node node;
  node.name = "node";
  node.op = std::move(op);
  node.inputs = {"x", "w"};
  node.outputs = {"y"};
  node.attributes["quant_type"] = std::move(quant_type);
  return node;
}

/// One Gemm whose filter's doc string and whose file's target are these.
espdl::Model gemm_for(std::string doc, std::string target, std::string quant_type = "S8") {
  espdl::Model model;
  model.nodes = {made_for_node("Gemm", std::move(quant_type))};
  model.initializers.push_back({"w", Tensor(DType::Int8, {1, 1, 4, 16}), {0}, std::move(doc)});
  if (!target.empty()) model.metadata = {{"target", std::move(target)}};
  return model;
}

TEST(RequirePackedFor, TakesWhatTheChipCanRead) {
  const espdl::Model s3 = gemm_for("layout ==> (N/16)HWC16", "esp32s3");
  EXPECT_NO_THROW(require_packed_for(s3, find_target("esp32s3")));
  EXPECT_NO_THROW(require_packed_for(s3, find_target("esp32p4")));
  EXPECT_NO_THROW(require_packed_for(gemm_for("layout ==> NHWC", ""), find_target("esp32c6")));
  EXPECT_NO_THROW(require_packed_for(gemm_for("", ""), find_target("esp32c6")));
  EXPECT_NO_THROW(require_packed_for(gemm_for("layout ==> (N/8)HWC8", "esp32p4", "W8A16"),
                                     find_target("esp32p4")));
}

TEST(RequirePackedFor, SaysForWhichChipTheFileWasMade) {
  const auto refusal = [](const espdl::Model& model, const char* chip) {
    const Error error = error_of([&] { require_packed_for(model, find_target(chip)); });
    EXPECT_EQ(error.code(), ErrorCode::Illegal);
    return error.message() + " | " + error.remedy();
  };
  const auto names = [](const std::string& text, std::string_view part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  const std::string named = refusal(gemm_for("layout ==> (N/16)HWC16", "esp32s3"), "esp32c3");
  names(named, "made for esp32s3");
  names(named, "Quantize the network for esp32c3, or give --target esp32s3");
  names(refusal(gemm_for("layout ==> (N/16)HWC16", ""), "esp32"), "made for the ESP32-S3");
  names(refusal(gemm_for("layout ==> NHWC", ""), "esp32p4"), "chips without vectors");
  names(refusal(gemm_for("", "esp32"), "esp32s3"), "made for esp32:");
}

TEST(Releases, AreWhatTheNodesNeed) {
  espdl::Model model;
  model.nodes = {made_for_node("Gemm", "S8")};
  EXPECT_TRUE(features_of(model).empty());
  EXPECT_EQ(oldest_release_for(model), all_releases().front());
  model.nodes.push_back(made_for_node("Conv", "W8A16"));
  EXPECT_EQ(oldest_release_for(model).version, "3.3.11");
  model.nodes.push_back(made_for_node("MatMul", "S16"));
  model.nodes.back().attributes["input1_layout"] = std::string("native_kn");
  EXPECT_EQ(features_of(model), (std::vector{Feature::W8A16, Feature::NativeMatMul}));
  EXPECT_EQ(oldest_release_for(model).version, "3.3.14");
}

TEST(Releases, MissingFeaturesAreNamed) {
  const espdl::Node node = made_for_node("Conv", "W8A16");
  const Target& newest = find_target("esp32s3");
  EXPECT_EQ(missing_feature(node, newest), nullptr);
  const FeatureFact* missing = missing_feature(node, newest.under(find_release("3.3.10")));
  ASSERT_NE(missing, nullptr);
  EXPECT_EQ(missing->feature, Feature::W8A16);
}

}  // namespace
}  // namespace espquant::sim
