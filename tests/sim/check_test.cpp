#include "sim/check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>

#include "espdl/filter_layout.h"
#include "sim/fault_texts.h"
#include "sim/kernel.h"
#include "tests/support/source_dir.h"

namespace espquant::sim {
namespace {

using espdl::Model;
using espdl::Node;

constexpr std::int64_t kChannels = 16;

Node node_of(std::string name, std::string op, std::vector<std::string> inputs,
             std::vector<std::string> outputs) {
  Node node;
  node.name = std::move(name);
  node.op = std::move(op);
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  node.attributes["quant_type"] = std::string("S8");
  return node;
}

/// x -> conv -> sum (+ x) -> squash (a table) -> y, sound on the ESP32-S3 and P4.
Model good_model() {
  const Shape shape{1, 4, 4, kChannels};
  const auto zeros = [&](const char* name, int exponent) {
    return espdl::Constant{name, Tensor(DType::Int8, shape), {exponent}, ""};
  };
  Model model;
  model.name = "good";
  model.metadata = {{"target", "esp32s3"}};
  model.inputs = {"x"};
  model.outputs = {"y"};
  model.values = {{"x", DType::Int8, shape, {-4}},
                  {"convolved", DType::Int8, shape, {-4}},
                  {"summed", DType::Int8, shape, {-4}},
                  {"y", DType::Int8, shape, {-7}}};
  model.initializers = {
      {"filter",
       espdl::pack_filter(Tensor(DType::Int8, {kChannels, 1, 1, kChannels}), false, 16),
       {-6},
       espdl::filter_layout_doc(2, false, 16, kChannels)},
      {"bias", Tensor(DType::Int32, {kChannels}), {-10}, ""},
      {"table", Tensor(DType::Int8, {256}), {-7}, ""}};
  Node conv = node_of("conv", "Conv", {"x", "filter", "bias"}, {"convolved"});
  conv.attributes["activation"] = std::string("Linear");
  conv.attributes["group"] = std::int64_t{1};
  for (const char* name : {"strides", "dilations"})
    conv.attributes[name] = std::vector<std::int64_t>{1, 1};
  conv.attributes["pads"] = std::vector<std::int64_t>{0, 0, 0, 0};
  Node squash = node_of("squash", "Sigmoid", {"summed"}, {"y"});
  squash.attributes["lut"] = std::string("table");
  model.nodes = {conv, node_of("sum", "Add", {"convolved", "x"}, {"summed"}), squash};
  model.test_inputs = {zeros("x", -4)};
  model.test_outputs = {zeros("y", -7)};
  return model;
}

Node& conv_of(Model& m) { return m.nodes[0]; }
Node& sum_of(Model& m) { return m.nodes[1]; }
espdl::ValueInfo& value_of(Model& m, std::string_view name) {
  return *std::find_if(m.values.begin(), m.values.end(), [&](auto& v) { return v.name == name; });
}
espdl::Constant& constant_of(Model& m, std::string_view name) {
  return *std::find_if(m.initializers.begin(), m.initializers.end(),
                       [&](auto& c) { return c.name == name; });
}
void set_bias(Model& m, std::size_t channel, std::int32_t value) {
  constant_of(m, "bias").data.mutable_data<std::int32_t>()[channel] = value;
}

std::vector<Finding> findings_of(const Model& model, std::string_view target = "esp32s3") {
  return check(model, find_target(target));
}

std::string check_text_of(const std::vector<Finding>& findings) {
  std::string text;
  for (const auto& f : findings)
    text += f.node + " | " + f.tensor + " | " + f.rule + " | " + f.name + " | " + f.message +
            " | " + f.remedy + "\n";
  return text;
}

TEST(Check, FindsNothingInAGoodModel) {
  const auto findings = findings_of(good_model());
  EXPECT_TRUE(findings.empty()) << check_text_of(findings);
}

struct Spoilt {
  const char* title;
  std::function<void(Model&)> spoil;
  /// What is reported, and where: the node, else the tensor, else "".
  const char *name, *place, *rule;
  const char* target = "esp32s3";
};

void PrintTo(const Spoilt& spoilt, std::ostream* out) { *out << spoilt.title; }

class CheckFinds : public testing::TestWithParam<Spoilt> {};

TEST_P(CheckFinds, ThisAlone) {
  const Spoilt& spoilt = GetParam();
  Model model = good_model();
  spoilt.spoil(model);
  const auto findings = findings_of(model, spoilt.target);
  ASSERT_EQ(findings.size(), 1U) << check_text_of(findings);
  const Finding& finding = findings[0];
  EXPECT_EQ(finding.severity, Severity::Defect);
  EXPECT_EQ(finding.name, spoilt.name) << check_text_of(findings);
  EXPECT_EQ(finding.node.empty() ? finding.tensor : finding.node, spoilt.place);
  EXPECT_EQ(finding.rule, spoilt.rule);
  EXPECT_FALSE(finding.message.empty());
  EXPECT_FALSE(finding.remedy.empty());
}

const Spoilt kNodes[] = {
    {"an operator that ESP-DL lacks", [](Model& m) { sum_of(m).op = "Einsum"; }, "unsupported",
     "sum", "ESP-DL 11"},
    {"no quant_type", [](Model& m) { sum_of(m).attributes.clear(); }, "attribute", "sum",
     "ESP-DL 1.5"},
    {"no strides", [](Model& m) { conv_of(m).attributes.erase("strides"); }, "attribute", "conv",
     "ESP-DL 1.5"},
    {"quant_type of another width",
     [](Model& m) { conv_of(m).attributes["quant_type"] = std::string("S16"); }, "quant-type",
     "conv", "ESP-DL 1.5"},
    {"an unknown quant_type",
     [](Model& m) { sum_of(m).attributes["quant_type"] = std::string("S4"); }, "attribute", "sum",
     "ESP-DL 1.5"},
    {"a missing operand", [](Model& m) { sum_of(m).inputs.pop_back(); }, "malformed", "sum",
     "ESP-DL 3.8"},
    {"a name that nothing produces", [](Model& m) { sum_of(m).inputs[1] = "z"; }, "undefined-name",
     "sum", "ESP-DL 1.5"},
    {"two nodes of one name", [](Model& m) { sum_of(m).name = "conv"; }, "node-name", "conv",
     "ESP-DL 1.5"},
    {"operands of different exponents", [](Model& m) { value_of(m, "convolved").exponents = {-5}; },
     "exponents-ignored", "sum", "ESP-DL 3.8"},
    {"a table of the wrong size",
     [](Model& m) { constant_of(m, "table").data = Tensor(DType::Int8, {255}); }, "illegal",
     "squash", "ESP-DL 3.12"},
    {"a table of the wrong exponent", [](Model& m) { constant_of(m, "table").exponents = {-6}; },
     "illegal", "squash", "ESP-DL 3.12"},
    {"a table that is not there",
     [](Model& m) { m.nodes[2].attributes["lut"] = std::string("tables"); }, "malformed", "squash",
     "ESP-DL 3.12"},
    {"a cache without a past",
     [](Model& m) {
       m.nodes[2].op = "StreamingCache";
       m.nodes[2].attributes["window_size"] = std::int64_t{1};
     },
     "illegal", "squash", "ESP-DL 3.14"},
};
INSTANTIATE_TEST_SUITE_P(InNodes, CheckFinds, testing::ValuesIn(kNodes));

const Spoilt kWeights[] = {
    {"a shift to the left",
     [](Model& m) {
       constant_of(m, "filter").exponents = {2};
       constant_of(m, "bias").exponents = {-2};
     },
     "illegal", "conv", "ESP-DL 3.1"},
    {"a bias of 21 bits", [](Model& m) { set_bias(m, 3, 1 << 19); }, "bias-width", "conv",
     "ESP-DL 4.3"},
    {"a bias of two nodes",
     [](Model& m) {
       sum_of(m) = conv_of(m);
       sum_of(m).name = "again";
       sum_of(m).inputs[0] = "convolved";
       sum_of(m).outputs = {"summed"};
     },
     "bias-shared", "again", "ESP-DL 4.3"},
    {"a bias of another exponent", [](Model& m) { constant_of(m, "bias").exponents = {-9}; },
     "bias-exponent", "conv", "ESP-DL 4.2"},
    {"a bias of another type",
     [](Model& m) { constant_of(m, "bias").data = Tensor(DType::Int64, {kChannels}); }, "illegal",
     "conv", "ESP-DL 3.1"},
    {"weights per channel on one shift",
     [](Model& m) {
       constant_of(m, "filter").exponents.assign(kChannels, -6);
       constant_of(m, "bias").exponents.assign(kChannels, -10);
     },
     "illegal", "conv", "ESP-DL 3.1"},
    {"weights of 16 bits",
     [](Model& m) {
       constant_of(m, "filter").data = Tensor(DType::Int16, {1, 1, kChannels, kChannels});
       constant_of(m, "filter").doc = espdl::filter_layout_doc(2, false, 8, kChannels);
     },
     "illegal", "conv", "ESP-DL 3.1"},
    {"a filter for chips without vectors",
     [](Model& m) { constant_of(m, "filter").doc = "layout ==> NHWC"; }, "filter-layout", "conv",
     "ESP-DL 4.1"},
    {"a filter without its exponent", [](Model& m) { constant_of(m, "filter").exponents.clear(); },
     "no-exponent", "conv", "ESP-DL 1.4"},
    {"several exponents where one is read",
     [](Model& m) {
       m.initializers.push_back(
           {"shift", Tensor(DType::Int8, {kChannels}), std::vector<int>(kChannels, -4), ""});
       sum_of(m).inputs[1] = "shift";
     },
     "per-channel", "sum", "ESP-DL 1.4"},
};
INSTANTIATE_TEST_SUITE_P(InWeights, CheckFinds, testing::ValuesIn(kWeights));

const Spoilt kFiles[] = {
    {"an activation without an exponent",
     [](Model& m) {
       value_of(m, "y").exponents.clear();
       constant_of(m, "table").exponents = {0};
       m.test_outputs[0].exponents = {0};
     },
     "no-exponent", "y", "ESP-DL 1.4"},
    {"an activation with several exponents",
     [](Model& m) { value_of(m, "x").exponents.assign(kChannels, -4); }, "activation-per-channel",
     "x", "ESP-DL 1.4"},
    {"an input that no node reads",
     [](Model& m) {
       m.values.push_back({"spare", DType::Int8, {1}, {0}});
       m.inputs.push_back("spare");
       m.test_inputs.push_back({"spare", Tensor(DType::Int8, {1}), {0}, ""});
     },
     "unused-input", "spare", "ESP-DL 1.5"},
    {"another shape than the runtime's",
     [](Model& m) {
       value_of(m, "y").shape = {1, 4, 5, kChannels};
     },
     "shape", "squash", "ESP-DL 3.12"},
    {"no test value for the input", [](Model& m) { m.test_inputs.clear(); }, "test-values", "x",
     "ESP-DL 1.6"},
    {"a test value of another exponent", [](Model& m) { m.test_outputs[0].exponents = {-6}; },
     "test-values", "y", "ESP-DL 1.6"},
    {"an output that nothing produces",
     [](Model& m) {
       m.values.push_back({"z", DType::Int8, {1}, {0}});
       m.outputs.push_back("z");
     },
     "undefined-name", "z", "ESP-DL 1.5"},
    {"filters for another family of chips", [](Model&) {}, "filter-layout", "conv", "ESP-DL 4.1",
     "esp32c3"},
};
INSTANTIATE_TEST_SUITE_P(InTheFile, CheckFinds, testing::ValuesIn(kFiles));

TEST(Check, ListsAllDefects) {
  Model model = good_model();
  conv_of(model).op = "Unknown";
  set_bias(model, 0, 1 << 20);  // not judged: nothing reads it as a bias
  value_of(model, "convolved").exponents = {-5};
  constant_of(model, "table").data = Tensor(DType::Int8, {17});
  const auto findings = findings_of(model);
  ASSERT_EQ(findings.size(), 3U) << check_text_of(findings);
  EXPECT_EQ(findings[0].node, "conv");
  EXPECT_EQ(findings[1].node, "sum");
  EXPECT_EQ(findings[2].node, "squash");
}

TEST(Check, TheP4HasWiderBiasesAndShiftsPerChannel) {
  Model model = good_model();
  model.metadata.clear();
  set_bias(model, 0, 1 << 20);
  constant_of(model, "filter").exponents.assign(kChannels, -6);
  constant_of(model, "bias").exponents.assign(kChannels, -10);
  const auto findings = findings_of(model, "esp32p4");
  EXPECT_TRUE(findings.empty()) << check_text_of(findings);
}

TEST(Check, AFileOfAnotherChipWithEqualFiltersIsANote) {
  const auto findings = findings_of(good_model(), "esp32p4");
  ASSERT_EQ(findings.size(), 1U) << check_text_of(findings);
  EXPECT_EQ(findings[0].severity, Severity::Note);
  EXPECT_EQ(findings[0].name, "other-target");
}

TEST(Check, TheTargetOfTheFileTellsHowUnlabelledFiltersArePacked) {
  Model model = good_model();
  constant_of(model, "filter").doc.clear();
  EXPECT_TRUE(findings_of(model).empty());
  const auto findings = findings_of(model, "esp32");
  ASSERT_EQ(findings.size(), 1U) << check_text_of(findings);
  EXPECT_EQ(findings[0].severity, Severity::Defect);
  EXPECT_EQ(findings[0].name, "other-target");
}

TEST(Check, SaysWhichReleaseANodeNeeds) {
  Model model = good_model();
  Node product = node_of("product", "MatMul", {"x", "x"}, {"y"});
  product.attributes["activation"] = std::string("Linear");
  product.attributes["input1_layout"] = std::string("native_kn");
  model.nodes = {product};
  model.values = {{"x", DType::Int8, {4, 4}, {-4}}, {"y", DType::Int8, {4, 4}, {-4}}};
  model.test_inputs.clear();
  model.test_outputs.clear();
  EXPECT_TRUE(findings_of(model).empty()) << check_text_of(findings_of(model));
  const auto findings = check(model, find_target("esp32s3").under(find_release("3.3.9")));
  ASSERT_EQ(findings.size(), 1U) << check_text_of(findings);
  EXPECT_EQ(findings[0].name, "release");
  EXPECT_EQ(findings[0].node, "product");
  EXPECT_NE(findings[0].remedy.find("3.3.14"), std::string::npos) << findings[0].remedy;
}

TEST(Check, WhatTheReaderFoundIsListedAndNotJudgedAgain) {
  Model model = good_model();
  std::erase_if(model.initializers, [](const auto& c) { return c.name == "filter"; });
  const std::vector<Error> known = {Error(ErrorCode::Malformed, "cut off").tensor("filter")};
  const auto findings = check(model, find_target("esp32s3"), known);
  ASSERT_EQ(findings.size(), 1U) << check_text_of(findings);
  EXPECT_EQ(findings[0].tensor, "filter");
  EXPECT_EQ(findings[0].message, "cut off");
}

TEST(Check, EveryOperatorHasItsSection) {
  for (const Operator& op : all_operators()) {
    Model model;
    model.nodes = {node_of("bare", std::string(op.type), {}, {})};
    const auto findings = findings_of(model);
    ASSERT_FALSE(findings.empty()) << op.type;
    EXPECT_NE(findings[0].rule, "ESP-DL 11") << op.type;
  }
}

TEST(Check, EveryFaultHasATextAndASectionInTheDocumentation) {
  std::ifstream file(espquant::test::source_dir() / "docs/runtime-faults.md");
  std::vector<std::string> sections;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("## ") && line != "## Refused") sections.push_back(line.substr(3));
  std::vector<std::string> names;
  for (const FaultText& text : fault_texts()) names.emplace_back(text.name);
  EXPECT_EQ(names, sections);
}

}  // namespace
}  // namespace espquant::sim
