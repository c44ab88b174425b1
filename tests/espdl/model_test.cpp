#include "espdl/model.h"

#include <gtest/gtest.h>

#include "espdl/execution_order.h"
#include "espdl/index.h"
#include "espdl/statistics.h"
#include "espdl/writer.h"
#include "tests/espdl/expect_error.h"
#include "tests/espdl/sample_model.h"

namespace espquant::espdl {
namespace {

TEST(Nodes, GiveAttributesOrTheirDefaults) {
  const Node clip = sample_model().nodes[1];
  EXPECT_EQ(clip.get_int("zero", 7), 0);
  EXPECT_EQ(clip.get_int("absent", 7), 7);
  EXPECT_EQ(clip.get_float("alpha", 0), 0.5F);
  EXPECT_EQ(clip.get_string("lut", ""), "table");
  EXPECT_EQ(clip.get_floats("scales"), (std::vector<float>{0, 2}));
  EXPECT_EQ(clip.get_ints("absent", {1, 2}), (std::vector<std::int64_t>{1, 2}));
}

TEST(Nodes, RefuseAttributesOfAnotherType) {
  const Node clip = sample_model().nodes[1];
  expect_error(ErrorCode::Malformed, "node 'clip': attribute 'alpha'",
               [&] { clip.get_int("alpha", 0); });
}

TEST(Models, FindByName) {
  const Model model = sample_model();
  EXPECT_EQ(model.metadata_value("target"), "esp32s3");
  EXPECT_EQ(model.metadata_value("absent", "none"), "none");
  const ModelIndex index(model);
  EXPECT_EQ(index.value("hidden"), model.find_value("hidden"));
  EXPECT_EQ(index.initializer("bias"), model.find_initializer("bias"));
  EXPECT_EQ(index.producer("output"), &model.nodes[1]);
  EXPECT_EQ(index.producer("input"), nullptr);
  EXPECT_EQ(index.value("bias"), nullptr);
}

TEST(ExecutionOrder, PutsProducersBeforeReaders) {
  Model model = sample_model();
  std::swap(model.nodes[0], model.nodes[1]);
  order_nodes(model);
  EXPECT_EQ(model.nodes[0].name, "conv");
  EXPECT_EQ(model.nodes[1].name, "clip");
}

TEST(ExecutionOrder, RefusesUnsoundGraphs) {
  Model circle = sample_model();
  circle.nodes[0].inputs[0] = "output";
  expect_error(ErrorCode::Malformed, "circle", [&] { order_nodes(circle); });

  Model orphan = sample_model();
  orphan.nodes[0].inputs[0] = "nowhere";
  expect_error(ErrorCode::Malformed, "'nowhere'", [&] { order_nodes(orphan); });

  Model twice = sample_model();
  twice.nodes[1].outputs = {"hidden"};
  expect_error(ErrorCode::Malformed, "produced twice", [&] { order_nodes(twice); });

  Model overwritten = sample_model();
  overwritten.nodes[1].outputs = {"bias"};
  expect_error(ErrorCode::Malformed, "produced twice", [&] { order_nodes(overwritten); });
}

TEST(SizeByKind, CountsElementsAsStoredAndTheRestAsStructure) {
  const Model model = sample_model();
  const SizeByKind sizes = size_by_kind(model);
  EXPECT_EQ(sizes.filters, 16U);
  EXPECT_EQ(sizes.biases, 16U);
  EXPECT_EQ(sizes.tables, 16U);
  EXPECT_EQ(sizes.parameters, 16U);
  EXPECT_EQ(sizes.test_values, 32U);
  EXPECT_EQ(sizes.total(), write_model(model).size());
}

}  // namespace
}  // namespace espquant::espdl
