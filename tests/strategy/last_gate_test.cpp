#include "strategy/last_gate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "espdl/writer.h"
#include "strategy/quantize_model.h"
#include "tests/cost/small_model.h"
#include "tests/strategy/small_network.h"
#include "tests/support/errors.h"

namespace espquant::strategy {
namespace {

class LastGate : public testing::Test {
 protected:
  LastGate() {
    const Graph network = test::small_network();
    QuantizeOptions options;
    options.recipe = recipe::find_recipe("int8");
    options.target = &target;
    options.report_samples = 1;
    model = quantize_model(network, test::random_samples(network, 4, -1, 2), options).model;
  }
  Error refusal() const {
    return test::error_of([&] { pass_last_gate(model, target); });
  }
  espdl::Node& node(std::string_view op) {
    return *std::find_if(model.nodes.begin(), model.nodes.end(),
                         [&](const auto& n) { return n.op == op; });
  }

  const Target& target = find_target("esp32s3");
  espdl::Model model;
};

TEST_F(LastGate, ASoundModelIsWrittenAsItIs) {
  EXPECT_EQ(pass_last_gate(model, target).bytes(), espdl::write_model(model));
}

TEST_F(LastGate, AFileThatNobodyMayWriteIsOurOwnFault) {
  node("Conv").attributes.erase("strides");
  const Error error = refusal();
  EXPECT_EQ(error.code(), ErrorCode::Internal);
  EXPECT_EQ(error.node(), node("Conv").name);
  EXPECT_NE(error.remedy().find("report"), std::string::npos);
}

TEST_F(LastGate, NaNInAnAttributeReadsBackAsItWasWritten) {
  node("Conv").attributes["remark"] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(pass_last_gate(model, target).bytes(), espdl::write_model(model));
}

TEST_F(LastGate, TestValuesThatTheChipDoesNotComputeAreOurOwnFault) {
  model.test_outputs.at(0).data.mutable_data<std::int8_t>()[0] ^= 1;
  const Error error = refusal();
  EXPECT_EQ(error.code(), ErrorCode::Internal);
  EXPECT_EQ(error.tensor(), model.outputs.at(0));
}

TEST_F(LastGate, WhatTheRuntimeComputesWronglyIsRefusedWithNodeAndRemedy) {
  // An Add that ignores that one operand counts in other steps.
  model = test::SmallModel()
              .input("x", {1, 16})
              .input("y", {1, 16})
              .node("Add", {"x", "y"}, "sum", {1, 16})
              .attribute("quant_type", std::string("S8"))
              .output("sum")
              .model();
  model.values[1].exponents = {1};
  const Error error = refusal();
  EXPECT_EQ(error.code(), ErrorCode::Illegal) << error.what();
  EXPECT_EQ(error.node(), "sum");
  EXPECT_FALSE(error.remedy().empty());
}

}  // namespace
}  // namespace espquant::strategy
