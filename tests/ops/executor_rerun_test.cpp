#include <gtest/gtest.h>

#include "ops/executor.h"
#include "tests/support/network.h"

namespace espquant::ops {
namespace {

using espquant::test::Ints;
using espquant::test::Network;

/// Two branches that meet in a Concat, a Reshape between layouts, a Gemm.
Graph branches() {
  Network net;
  const ValueId x = net.input("x", {1, 3, 6, 6});
  const auto convolve = [&](ValueId v, std::int64_t from, std::int64_t to) {
    return net.node("Conv", {v, net.random({to, from, 3, 3}), net.random({to})},
                    {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}});
  };
  const ValueId stem = net.node("Relu", {convolve(x, 3, 4)});
  const ValueId joined = net.node("Concat", {net.node("Sigmoid", {convolve(stem, 4, 4)}), stem},
                                  {{"axis", std::int64_t{1}}});
  const ValueId flat = net.node("Reshape", {joined, net.ints({1, 8 * 36})});
  return net.finish({net.node("Gemm", {flat, net.random({8 * 36, 3})}), joined});
}

struct Recorded {
  std::vector<Tensor> outputs;
  /// In the order in which they were shown, with their layout.
  std::vector<std::pair<ValueId, std::vector<float>>> values;
  std::vector<bool> channels_last;
};

Recorded executor_rerun_run(const Executor& executor, Executor::Workspace& workspace,
                            std::uint64_t seed) {
  Recorded result;
  const std::vector<Tensor> inputs{espquant::test::random_tensor({1, 3, 6, 6}, seed)};
  result.outputs = executor.run(inputs, workspace, [&](const Executor::View& view) {
    result.values.emplace_back(view.value, std::vector<float>(view.data.begin(), view.data.end()));
    result.channels_last.push_back(view.channels_last);
  });
  return result;
}

void expect_equal(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected,
                  const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    EXPECT_TRUE(actual[i].equals(expected[i])) << what << ", output " << i;
}

TEST(ExecutorRerun, ReplacedStepByStepOneRunBecomesTheOther) {
  const Graph graph = branches();
  const Executor executor(graph, {.keep_all = true});
  Executor::Workspace workspace(executor);
  const Recorded other = executor_rerun_run(executor, workspace, 1);
  const Recorded first = executor_rerun_run(executor, workspace, 2);
  EXPECT_FALSE(first.outputs[0].equals(other.outputs[0]));
  std::vector<Tensor> outputs;
  for (std::size_t i = 0; i < other.values.size(); ++i) {
    const auto& [value, data] = other.values[i];
    outputs =
        executor.rerun({value, data, *graph.value(value).shape, other.channels_last[i]}, workspace);
    // From the input alone all else follows.
    expect_equal(outputs, other.outputs, graph.value(value).name);
  }
}

TEST(ExecutorRerun, WhatDoesNotDependOnTheValueStands) {
  const Graph graph = branches();
  const Executor executor(graph, {.keep_all = true});
  Executor::Workspace workspace(executor);
  const Recorded base = executor_rerun_run(executor, workspace, 1);
  for (std::size_t i = 0; i < base.values.size(); ++i) {
    const auto& [value, data] = base.values[i];
    const Executor::View same{value, data, *graph.value(value).shape, base.channels_last[i]};
    std::vector<float> zeros(data.size(), 0.0F);
    const Executor::View zero{value, zeros, same.shape, same.channels_last};
    (void)executor.rerun(zero, workspace);
    expect_equal(executor.rerun(same, workspace), base.outputs, graph.value(value).name);
  }
}

TEST(ExecutorRerun, TakesEitherLayout) {
  const Graph graph = branches();
  const Executor executor(graph, {.keep_all = true});
  Executor::Workspace workspace(executor);
  const Recorded base = executor_rerun_run(executor, workspace, 1);
  for (std::size_t i = 0; i < base.values.size(); ++i) {
    const auto& [value, data] = base.values[i];
    const Shape& shape = *graph.value(value).shape;
    if (shape.size() != 4) continue;
    const Executor::View view{value, data, shape, base.channels_last[i]};
    const Tensor plain = view.to_tensor();
    const std::vector<std::int64_t> last{0, 2, 3, 1};
    const Tensor channels_last = plain.transposed(last);
    const std::vector<float> zeros(data.size(), 0.0F);
    for (const bool in_last : {false, true}) {
      (void)executor.rerun({value, zeros, shape, false}, workspace);
      const Tensor& given = in_last ? channels_last : plain;
      expect_equal(executor.rerun({value, given.data<float>(), shape, in_last}, workspace),
                   base.outputs, graph.value(value).name);
    }
  }
}

/// Doubles what it is given, and counts the calls.
struct Doubling {
  void operator()(ValueId, std::span<float> values) {
    ++calls;
    for (float& v : values) v *= 2;
  }
  int calls = 0;
};

TEST(ExecutorAltered, IsWhatARerunWithTheAlteredValueGives) {
  const Graph graph = branches();
  const Executor executor(graph, {.keep_all = true});
  Executor::Workspace workspace(executor), other(executor);
  const Recorded base = executor_rerun_run(executor, workspace, 1);
  // In both directions: nothing of one alteration is left in the next.
  for (std::size_t k = 0; k < 2 * base.values.size(); ++k) {
    const std::size_t i = k < base.values.size() ? k : 2 * base.values.size() - 1 - k;
    const ValueId value = base.values[i].first;
    if (graph.value(value).name == "Reshape_out") continue;  // the same memory as what it reshapes
    Doubling alter;
    const auto altered = executor.run_altered({&value, 1}, std::ref(alter), workspace);
    EXPECT_EQ(alter.calls, 1);
    std::vector<float> doubled = base.values[i].second;
    for (float& v : doubled) v *= 2;
    (void)executor_rerun_run(executor, other, 1);
    expect_equal(
        altered,
        executor.rerun({value, doubled, *graph.value(value).shape, base.channels_last[i]}, other),
        graph.value(value).name);
  }
}

TEST(ExecutorAltered, ALaterValueIsComputedFromWhatWasAlteredBeforeIt) {
  Network net;
  const ValueId x = net.input("x", {1, 4});
  const ValueId y = net.node("Neg", {x});
  const ValueId z = net.node("Neg", {y});
  const Graph graph = net.finish({z});
  const Executor executor(graph, {.keep_all = true});
  Executor::Workspace workspace(executor);
  const Tensor ones = Tensor::of<float>({1, 4}, std::vector<float>(4, 1.0F));
  (void)executor.run({&ones, 1}, workspace);
  const std::vector<ValueId> all{x, y, z}, last{z};
  Doubling alter;
  EXPECT_EQ(executor.run_altered(all, std::ref(alter), workspace)[0].data<float>()[0], 8);
  EXPECT_EQ(executor.run_altered(last, std::ref(alter), workspace)[0].data<float>()[0], 2)
      << "what came before it is as it was";
  EXPECT_EQ(alter.calls, 4);
  EXPECT_EQ(ones.data<float>()[0], 1) << "the caller's input";
}

}  // namespace
}  // namespace espquant::ops
