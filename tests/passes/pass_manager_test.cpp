#include "passes/pass_manager.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/passes/run_pass.h"
#include "tests/support/errors.h"

namespace espquant::passes {
namespace {

Graph small_network() {
  test::Network n;
  const ValueId x = n.input("x", {-1, 3});
  return n.finish({n.node("Relu", {n.node("Identity", {x})})});
}

TEST(PassManager, RecordsEveryPassInOrder) {
  std::vector<PassRecord> records;
  simplify(small_network(), {}, &records);
  ASSERT_EQ(records.size(), all_passes().size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].name, all_passes()[i].name);
    EXPECT_GE(records[i].seconds, 0);
  }
}

TEST(PassManager, DisabledPassesDoNotRun) {
  PassOptions options;
  options.disabled = {"remove_identity"};
  std::vector<PassRecord> records;
  const Graph graph = simplify(small_network(), options, &records);
  EXPECT_EQ(test::operators_of(graph), (test::Operators{"Identity", "Relu"}));
  for (const PassRecord& record : records) EXPECT_NE(record.name, "remove_identity");
}

TEST(PassManager, RecordsSayWhichNodesWentAndWhatStandsForThem) {
  test::Network net;
  const ValueId x = net.input("x", {1, 4, 3, 3});
  const ValueId scale = net.random({4}), bias = net.random({4});
  const ValueId norm = net.node("InstanceNormalization", {x, scale, bias});
  const Graph before = net.finish({net.node("Identity", {net.node("Exp", {norm})})});
  std::vector<PassRecord> records;
  const Graph after = simplify(before, {}, &records);
  std::map<NodeId, std::string> removed;
  for (const PassRecord& record : records)
    for (const NodeId id : record.removed) removed[id] = record.name;
  EXPECT_EQ(removed.at(test::the_node(before, "Identity").origin), "remove_identity");
  const NodeId normalization = test::the_node(before, "InstanceNormalization").origin;
  EXPECT_EQ(test::the_node(after, "LayerNormalization").origin, normalization);
  EXPECT_EQ(test::the_node(after, "Exp").origin, test::the_node(before, "Exp").origin);
}

TEST(PassManager, UnknownNamesAreRefusedWithTheNearest) {
  PassOptions options;
  options.disabled = {"fold_constant"};
  const Error error = test::error_of([&] { simplify(small_network(), options); });
  EXPECT_EQ(error.code(), ErrorCode::Usage);
  EXPECT_EQ(error.remedy(), "did you mean 'fold_constants'?");
}

TEST(PassManager, RequiredPassesCannotBeDisabled) {
  PassOptions options;
  options.disabled = {"upgrade_opset"};
  EXPECT_EQ(test::error_of([&] { check_options(options); }).code(), ErrorCode::Usage);
}

TEST(PassManager, APassThatBreaksTheGraphIsNamed) {
  Graph graph = small_network();
  const Pass breaker{"breaker", "", [](Graph& g) -> std::int64_t {
                       g.value(g.outputs()[0]).producer = kNone;
                       return 0;
                     }};
  const Error error = test::error_of([&] { run_passes(graph, {&breaker, 1}, {}, nullptr); });
  EXPECT_EQ(error.code(), ErrorCode::Internal);
  EXPECT_NE(error.message().find("breaker"), std::string::npos);
}

TEST(PassManager, ShapesAreKnownAndTheBatchIsChosen) {
  PassOptions options;
  options.batch = 5;
  test::Network n;
  const ValueId x = n.input("x", {2, 3});
  Graph graph = n.finish({n.node("Relu", {x})});
  graph.value(graph.inputs()[0]).shape = Shape{-1, 3};
  const Graph result = simplify(graph, options);
  EXPECT_EQ(result.value(result.outputs()[0]).shape, (Shape{5, 3}));
  EXPECT_EQ(result.opset, kCanonicalOpset);
}

}  // namespace
}  // namespace espquant::passes
