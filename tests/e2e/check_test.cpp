#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/program.h"
#include "tests/support/shared.h"

namespace espquant::test {
namespace {

/// Of the table; the last line names the file.
std::size_t check_longest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t longest = 0;
  for (std::string line; std::getline(lines, line) && !line.ends_with(" nodes)");)
    longest = std::max(longest, line.size());
  return longest;
}

/// Two defects: a node without quant_type whose name is long, and an input that nobody reads.
espdl::Model model_with_defects() {
  espdl::Model model = relu_model();
  model.nodes[0].name = "/features/features.0/features.0.0/features.0.0.1/Relu_with_a_long_name";
  model.nodes[0].attributes.clear();
  model.values.push_back({"spare", DType::Int8, {1, 2, 2, 3}, {-4}});
  model.inputs.emplace_back("spare");
  return model;
}

TEST(Check, ASoundModelPasses) {
  const TemporaryFolder folder;
  write_relu_model(folder.path("m.espdl"));
  const auto outcome = run_program({"check", folder.path("m.espdl"), "--target", "esp32s3"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("no defects (1 node)"), std::string::npos) << outcome.out;
  EXPECT_EQ(run_program({"check", folder.path("m.espdl"), "--quiet"}).out, "");
}

TEST(Check, AllDefectsAreShownWithin100Columns) {
  const TemporaryFolder folder;
  write_model_file(folder.path("m.espdl"), model_with_defects());
  const auto outcome = run_program({"check", folder.path("m.espdl")});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_LE(check_longest_line(outcome.out), 100U) << outcome.out;
  for (const char* part :
       {"2 defects", "spare", "unused-input", "(Relu)", "quant_type", "ESP-DL 1.5", "Export the"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << " in\n" << outcome.out;
}

TEST(Check, JsonHasTheSame) {
  const TemporaryFolder folder;
  write_model_file(folder.path("m.espdl"), model_with_defects());
  const auto outcome = run_program({"check", folder.path("m.espdl"), "--json"});
  EXPECT_EQ(outcome.exit_code, 1);
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["passed"], false);
  const auto& model = json["models"][0];
  EXPECT_EQ(model["target"], "esp32s3");
  EXPECT_EQ(model["defects"], 2);
  const auto& finding = model["findings"][1];
  EXPECT_EQ(finding["node"], model_with_defects().nodes[0].name);
  EXPECT_EQ(finding["operator"], "Relu");
  EXPECT_EQ(finding["severity"], "defect");
  EXPECT_EQ(finding["name"], "attribute");
  EXPECT_EQ(finding["rule"], "ESP-DL 1.5");
}

TEST(Check, WhatTheOtherReadersRefuseIsListed) {
  const TemporaryFolder folder;
  espdl::Model model = relu_model();
  model.nodes[0].inputs[0] = "y";
  write_model_file(folder.path("m.espdl"), model);
  EXPECT_EQ(run_program({"inspect", folder.path("m.espdl")}).exit_code, 1);
  const auto outcome = run_program({"check", folder.path("m.espdl")});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "");
  EXPECT_NE(outcome.out.find("circle"), std::string::npos) << outcome.out;
}

TEST(Check, APlannerThatOverwritesIsFound) {
  // The runtime puts the Relu in place of the Reshape's output, which is x itself.
  const TemporaryFolder folder;
  espdl::Model model = relu_model();
  const auto node = [](const char* name, const char* op, std::vector<std::string> inputs,
                       const char* output) {
    espdl::Node made;
    made.name = name;
    made.op = op;
    made.inputs = std::move(inputs);
    made.outputs = {output};
    made.attributes["quant_type"] = std::string("S8");
    return made;
  };
  for (const char* name : {"a", "flat", "b", "back"})
    model.values.push_back({name, DType::Int8, {1, 2, 2, 3}, {-4}});
  model.values[3].shape = model.values[4].shape = {1, 12};
  for (const auto& [name, shape] :
       {std::pair<const char*, std::vector<std::int64_t>>{"to_flat", {1, 12}},
        {"to_back", {1, 2, 2, 3}}})
    model.initializers.push_back(
        {name,
         Tensor::of<std::int64_t>({static_cast<std::int64_t>(shape.size())}, shape),
         {0},
         ""});
  model.nodes = {node("first", "Neg", {"x"}, "a"),
                 node("flatten", "Reshape", {"a", "to_flat"}, "flat"),
                 node("in_place", "Relu", {"flat"}, "b"),
                 node("unflatten", "Reshape", {"b", "to_back"}, "back"),
                 node("late", "Add", {"a", "back"}, "y")};
  write_model_file(folder.path("m.espdl"), model);
  const auto outcome = run_program({"check", folder.path("m.espdl"), "--json"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.out;
  const auto findings = nlohmann::json::parse(outcome.out)["models"][0]["findings"];
  ASSERT_EQ(findings.size(), 1U) << outcome.out;
  EXPECT_EQ(findings[0]["name"], "overwritten");
  EXPECT_EQ(findings[0]["node"], "in_place");
}

TEST(Check, AShippedModelSuitsItsChipOnly) {
  ESPQUANT_NEEDS_SHARED("golden/zoo/mobilenetv2_0_5_128_128_gesture_p4.espdl");
  const auto file = (shared_dir() / "golden/zoo/mobilenetv2_0_5_128_128_gesture_p4.espdl").string();
  EXPECT_EQ(run_program({"check", file, "--target", "esp32p4"}).exit_code, 0);
  for (const char* other : {"esp32s3", "esp32c3"}) {
    const auto outcome = run_program({"check", file, "--target", other});
    EXPECT_EQ(outcome.exit_code, 1) << other;
    EXPECT_LE(check_longest_line(outcome.out), 100U);
  }
}

}  // namespace
}  // namespace espquant::test
