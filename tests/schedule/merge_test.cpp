#include <gtest/gtest.h>

#include "cost/memory_plan.h"
#include "schedule/rewrites.h"
#include "schedule/same_integers.h"
#include "tests/schedule/filled.h"

/// Nodes that go into their neighbours, and the order of those that stay.
namespace espquant::schedule {
namespace {

using test::filled;
using test::SmallModel;
using Numbers = std::vector<std::int64_t>;

const Shape kMergedImage{1, 8, 8, 16};

/// A table named `name` of a function of q.
template <typename F>
void set_table(espdl::Model& model, const std::string& name, F&& f) {
  for (auto& constant : model.initializers) {
    if (constant.name != name) continue;
    auto entries = constant.data.mutable_data<std::int8_t>();
    for (int q = -128; q < 128; ++q) entries[static_cast<std::size_t>(q + 128)] = f(q);
  }
}

std::vector<std::string> operators_of(const espdl::Model& model) {
  std::vector<std::string> ops;
  for (const auto& node : model.nodes) ops.push_back(node.op);
  return ops;
}

class Merging : public testing::Test {
 protected:
  using Rewriting = std::int64_t (*)(espdl::Model&, const Conditions&);

  /// The operators that are left, the integers being the same.
  std::vector<std::string> left(const espdl::Model& before, Rewriting rewrite) {
    espdl::Model after = before;
    rewrite(after, {target});
    require_same_integers(before, after, target);
    return operators_of(after);
  }
  std::vector<std::string> left_of_moves(const SmallModel& small) {
    return left(filled(small), merge_moves);
  }
  using Ops = std::vector<std::string>;

  const Target& target = find_target("esp32s3");
};

SmallModel merged_convolution() {
  return SmallModel()
      .input("x", kMergedImage)
      .constant("w", DType::Int8, {1, 1, 16, 16}, {-8})
      .node("Conv", {"x", "w"}, "c", kMergedImage)
      .attribute("activation", std::string("Linear"));
}

SmallModel with_table() {
  return merged_convolution()
      .constant("t", DType::Int8, {256})
      .node("Clip", {"c"}, "y", kMergedImage)
      .attribute("lut", std::string("t"))
      .output("y");
}

TEST_F(Merging, ATableThatIsReluGoesIntoTheConvolution) {
  espdl::Model model = filled(with_table());
  set_table(model, "t", [](int q) { return static_cast<std::int8_t>(std::max(q, 0)); });
  EXPECT_EQ(left(model, merge_tables), Ops{"Conv"});
  set_table(model, "t", [](int q) { return static_cast<std::int8_t>(std::clamp(q, 0, 96)); });
  EXPECT_EQ(left(model, merge_tables), (Ops{"Conv", "Clip"})) << "it cuts what can occur";
}

TEST_F(Merging, ATableThatCutsNothingThatOccursGoes) {
  espdl::Model model = filled(with_table());
  // Weights of 1 at most: no output beyond 16 * 128 / 256.
  for (auto& w : model.initializers[0].data.mutable_data<std::int8_t>())
    w = static_cast<std::int8_t>(w & 1);
  set_table(model, "t", [](int q) { return static_cast<std::int8_t>(std::clamp(q, -96, 96)); });
  EXPECT_EQ(left(model, merge_tables), Ops{"Conv"});
}

SmallModel pooled_concat(const std::string& pool, const Shape& pooled) {
  const Shape joined{1, 8, 8, 40};
  SmallModel small = SmallModel()
                         .input("x", kMergedImage)
                         .input("z", {1, 8, 8, 24})
                         .node("Concat", {"x", "z"}, "joined", joined)
                         .attribute("axis", std::int64_t{3})
                         .node(pool, {"joined"}, "y", pooled);
  if (pool == "MaxPool")
    small.attribute("kernel_shape", Numbers{2, 2})
        .attribute("strides", Numbers{2, 2})
        .attribute("pads", Numbers{0, 0, 0, 0});
  return small.output("y");
}

TEST_F(Merging, AConcatOfChannelsRunsBehindThePool) {
  EXPECT_EQ(left(filled(pooled_concat("GlobalAveragePool", {1, 1, 1, 40})), sink_concats),
            (Ops{"GlobalAveragePool", "GlobalAveragePool", "Concat"}));
  EXPECT_EQ(left(filled(pooled_concat("MaxPool", {1, 4, 4, 40})), sink_concats),
            (Ops{"MaxPool", "MaxPool", "Concat"}));
}

TEST_F(Merging, AConcatThatOthersReadOrOfRowsStays) {
  const Shape pooled{1, 1, 1, 40};
  EXPECT_EQ(left(filled(pooled_concat("GlobalAveragePool", pooled).output("joined")), sink_concats),
            (Ops{"Concat", "GlobalAveragePool"}));
  EXPECT_EQ(left(filled(SmallModel()
                            .input("x", kMergedImage)
                            .input("z", kMergedImage)
                            .node("Concat", {"x", "z"}, "joined", {1, 16, 8, 16})
                            .attribute("axis", std::int64_t{1})
                            .node("GlobalAveragePool", {"joined"}, "y", {1, 1, 1, 16})
                            .output("y")),
                 sink_concats),
            (Ops{"Concat", "GlobalAveragePool"}))
      << "rows are joined, not channels";
}

TEST_F(Merging, TwoTablesBecomeOne) {
  espdl::Model model = filled(SmallModel()
                                  .input("x", kMergedImage)
                                  .constant("a", DType::Int8, {256})
                                  .constant("b", DType::Int8, {256})
                                  .node("Sigmoid", {"x"}, "s", kMergedImage)
                                  .attribute("lut", std::string("a"))
                                  .node("Tanh", {"s"}, "t", kMergedImage)
                                  .attribute("lut", std::string("b"))
                                  .output("t"));
  EXPECT_EQ(left(model, merge_tables), Ops{"LUT"});
  model.test_outputs.push_back({"s", Tensor(DType::Int8, kMergedImage), {0}, ""});
  EXPECT_EQ(left(model, merge_tables), (Ops{"Sigmoid", "Tanh"})) << "test values name it";
}

TEST_F(Merging, ARisingTableRunsBehindThePool) {
  const auto network = [](auto&& f) {
    espdl::Model model = filled(SmallModel()
                                    .input("x", {1, 16, 16, 16})
                                    .constant("a", DType::Int8, {256})
                                    .node("Sigmoid", {"x"}, "s", {1, 16, 16, 16})
                                    .attribute("lut", std::string("a"))
                                    .node("MaxPool", {"s"}, "p", kMergedImage)
                                    .attribute("kernel_shape", Numbers{2, 2})
                                    .attribute("strides", Numbers{2, 2})
                                    .attribute("pads", Numbers{0, 0, 0, 0})
                                    .output("p"));
    set_table(model, "a", f);
    return model;
  };
  const auto rising = network([](int q) { return static_cast<std::int8_t>(q / 2); });
  EXPECT_EQ(left(rising, merge_tables), (Ops{"MaxPool", "Sigmoid"}));
  const auto falling = network([](int q) { return static_cast<std::int8_t>(-q / 2); });
  EXPECT_EQ(left(falling, merge_tables), (Ops{"Sigmoid", "MaxPool"}));
}

TEST_F(Merging, ATransposeThatMovesNothingIsAnAlias) {
  EXPECT_EQ(left_of_moves(SmallModel()
                              .input("x", {1, 1, 8, 16})
                              .node("Transpose", {"x"}, "y", {1, 8, 1, 16})
                              .attribute("perm", Numbers{0, 2, 1, 3})
                              .output("y")),
            Ops{"Reshape"});
  EXPECT_EQ(left_of_moves(SmallModel()
                              .input("x", {1, 1, 8, 16})
                              .node("Transpose", {"x"}, "y", {1, 1, 16, 8})
                              .attribute("perm", Numbers{0, 1, 3, 2})
                              .output("y")),
            Ops{"Transpose"});
}

TEST_F(Merging, TwoTransposesBecomeOne) {
  EXPECT_EQ(left_of_moves(SmallModel()
                              .input("x", {1, 2, 3, 4})
                              .node("Transpose", {"x"}, "t", {1, 3, 4, 2})
                              .attribute("perm", Numbers{0, 2, 3, 1})
                              .node("Transpose", {"t"}, "y", {1, 4, 2, 3})
                              .attribute("perm", Numbers{0, 2, 3, 1})
                              .output("y")),
            Ops{"Transpose"});
}

TEST_F(Merging, ZerosAroundAnImageAreAConvolutionsPadding) {
  const auto network = [](std::int64_t pad, Shape padded) {
    espdl::Model model =
        filled(SmallModel()
                   .input("x", kMergedImage)
                   .node("Pad", {"x", "pads"}, "p", padded)
                   .attribute("mode", std::string("constant"))
                   .constant("w", DType::Int8, {3, 3, 16, 16}, {-8})
                   .node("Conv", {"p", "w"}, "y", {1, padded[1] - 2, padded[2] - 2, 16})
                   .output("y"));
    model.initializers.push_back(list_constant("pads", {0, pad, 0, 0, 0, 0, 1, 0}));
    return model;
  };
  EXPECT_EQ(left(network(1, {1, 9, 9, 16}), merge_moves), Ops{"Conv"});
  EXPECT_EQ(left(network(3, {1, 11, 9, 16}), merge_moves), (Ops{"Pad", "Conv"}))
      << "ESP-DL's kernels need less padding than kernel";
}

TEST(OrderNodes, ABranchIsFinishedBeforeTheNextBegins) {
  // Two branches, node by node in turns: both wide tensors would be there at once.
  const Shape wide{1, 16, 16, 64}, narrow{1, 16, 16, 4};
  const espdl::Model before = filled(SmallModel()
                                         .input("x", narrow)
                                         .constant("up", DType::Int8, {1, 1, 4, 64}, {-8})
                                         .constant("down", DType::Int8, {1, 1, 64, 4}, {-8})
                                         .node("Conv", {"x", "up"}, "a", wide)
                                         .node("Conv", {"x", "up"}, "b", wide)
                                         .node("Conv", {"a", "down"}, "c", narrow)
                                         .node("Conv", {"b", "down"}, "d", narrow)
                                         .node("Add", {"c", "d"}, "y", narrow)
                                         .output("y"));
  const Target& target = find_target("esp32s3");
  espdl::Model after = before;
  EXPECT_GT(order_nodes(after, {target}), 0);
  EXPECT_LT(cost::plan_memory(after, target).activation_bytes(),
            0.6 * static_cast<double>(cost::plan_memory(before, target).activation_bytes()));
  require_same_integers(before, after, target);
  EXPECT_EQ(order_nodes(after, {target}), 0) << "it is the best already";
}

}  // namespace
}  // namespace espquant::schedule
