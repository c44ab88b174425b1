#include "calib/calibrate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>

#include "base/parallel.h"
#include "tests/support/errors.h"
#include "tests/support/network.h"

namespace espquant::calib {
namespace {

using test::Network;
using test::random_tensor;

constexpr std::int64_t kCalibrated = 19;

/// x -> Conv -> Relu.
Graph small_network() {
  Network net;
  const ValueId x = net.input("x", {1, 3, 6, 5});
  return net.finish({net.node("Relu", {net.node("Conv", {x, net.random({4, 3, 1, 1})})})});
}

Tensor sample(std::int64_t i) {
  return random_tensor({1, 3, 6, 5}, static_cast<std::uint64_t>(i) + 1, -2, 3);
}

SampleSource samples(std::int64_t count = kCalibrated) {
  return {count, [](std::int64_t i) { return std::vector{sample(i)}; }};
}

std::vector<Request> requests_for(const Graph& graph) {
  Request request;
  request.steps = {1.0F / 16, 1.0F / 32};
  request.mean = true;
  request.histogram = true;
  request.weighted_errors = true;
  return std::vector<Request>(graph.value_count(), request);
}

/// Restores the default number of threads.
struct Threads {
  explicit Threads(int count) { set_thread_count(count); }
  ~Threads() { set_thread_count(0); }
};

TEST(Gather, SumsOverAllSamples) {
  const Graph graph = small_network();
  const ops::Executor executor(graph);
  const auto statistics = gather(executor, samples(), requests_for(graph));
  const auto& x = statistics.of(graph.inputs()[0]);

  Extent extent;
  double squares = 0, mean = 0;
  std::vector<double> errors(2);
  for (std::int64_t i = 0; i < kCalibrated; ++i) {
    const Tensor tensor = sample(i);
    const auto data = tensor.data<float>();
    extent.include(extent_of(data));
    squares += sum_of_squares(data);
    mean += data[0];
    add_step_errors(data, x.steps, 127, errors);
  }
  EXPECT_EQ(statistics.samples, kCalibrated);
  EXPECT_EQ(x.count, kCalibrated * 3 * 6 * 5);
  EXPECT_EQ(x.extent.min, extent.min);
  EXPECT_EQ(x.extent.max, extent.max);
  EXPECT_NEAR(x.sum_squares, squares, 1e-9 * squares);
  EXPECT_NEAR(x.errors[0], errors[0], 1e-9 * errors[0]);
  EXPECT_NEAR(x.errors[1], errors[1], 1e-9 * errors[1]);
  EXPECT_NEAR(x.mean.at(0), mean / kCalibrated, 1e-5);
}

TEST(Gather, SeesActivationsThatAnotherNodeFollows) {
  const Graph graph = small_network();
  const ops::Executor executor(graph);
  const auto statistics = gather(executor, samples(), requests_for(graph));
  const Node& relu = test::the_node(graph, "Relu");
  EXPECT_LT(statistics.of(relu.inputs[0]).extent.min, 0);
  EXPECT_EQ(statistics.of(relu.outputs[0]).extent.min, 0);
  EXPECT_EQ(statistics.of(relu.inputs[0]).extent.max, statistics.of(relu.outputs[0]).extent.max);
}

TEST(Gather, DoesNotDependOnTheNumberOfThreads) {
  const Graph graph = small_network();
  const ops::Executor executor(graph);
  const auto gather_with = [&](int threads) {
    const Threads scope(threads);
    return gather(executor, samples(), requests_for(graph));
  };
  const auto one = gather_with(1);
  for (const int threads : {2, 5}) {
    const auto many = gather_with(threads);
    for (std::size_t v = 0; v < one.values.size(); ++v) {
      EXPECT_EQ(many.values[v].sum_squares, one.values[v].sum_squares);
      EXPECT_EQ(many.values[v].errors, one.values[v].errors);
      EXPECT_EQ(many.values[v].weighted_errors, one.values[v].weighted_errors);
      EXPECT_EQ(many.values[v].mean, one.values[v].mean);
      EXPECT_EQ(many.values[v].mean_square, one.values[v].mean_square);
      EXPECT_EQ(many.values[v].histogram, one.values[v].histogram);
    }
  }
}

TEST(Gather, GathersOnlyWhatIsAskedFor) {
  const Graph graph = small_network();
  const ops::Executor executor(graph);
  const auto statistics = gather(executor, samples(), {});
  const auto& x = statistics.of(graph.inputs()[0]);
  EXPECT_GT(x.count, 0);
  EXPECT_TRUE(x.errors.empty());
  EXPECT_TRUE(x.mean.empty());
  EXPECT_EQ(x.histogram.count(), 0U);
}

TEST(Gather, ShowsTheValuesAndOutputsOfEverySample) {
  const Graph graph = small_network();
  const ops::Executor executor(graph);
  ops::Executor::Workspace workspace(executor);
  std::vector<float> first_inputs(kCalibrated);
  std::vector<std::vector<Tensor>> outputs(kCalibrated);
  gather(executor, samples(), {},
         {.value =
              [&](std::int64_t i, const ops::Executor::View& view) {
                if (view.value == graph.inputs()[0])
                  first_inputs[static_cast<std::size_t>(i)] = view.data[0];
              },
          .outputs =
              [&](std::int64_t i, std::vector<Tensor> of_sample) {
                outputs[static_cast<std::size_t>(i)] = std::move(of_sample);
              }});
  for (std::int64_t i = 0; i < kCalibrated; ++i) {
    const auto s = static_cast<std::size_t>(i);
    EXPECT_EQ(first_inputs[s], sample(i).data<float>()[0]);
    ASSERT_EQ(outputs[s].size(), 1u);
    EXPECT_TRUE(outputs[s][0].equals(executor.run(std::vector{sample(i)}, workspace)[0]));
  }
}

TEST(Gather, ReportsProgressOncePerSample) {
  const Graph graph = small_network();
  const ops::Executor executor(graph);
  std::int64_t calls = 0, furthest = 0;
  const auto count = [&](std::int64_t done, std::int64_t total) {
    ++calls;
    furthest = std::max(furthest, done);
    EXPECT_EQ(total, kCalibrated);
  };
  gather(executor, samples(), {}, {.progress = count});
  EXPECT_EQ(calls, kCalibrated);
  EXPECT_EQ(furthest, kCalibrated);
}

TEST(Gather, RefusesNanInTheDataByTheInputsName) {
  const Graph graph = small_network();
  const ops::Executor executor(graph);
  const SampleSource source{kCalibrated, [](std::int64_t i) {
                              Tensor t = sample(i);
                              if (i == 11)
                                t.mutable_data<float>()[7] =
                                    std::numeric_limits<float>::quiet_NaN();
                              return std::vector{t};
                            }};
  const auto error = test::error_of([&] { gather(executor, source, {}); });
  EXPECT_EQ(error.code(), ErrorCode::BadData);
  EXPECT_EQ(error.tensor(), "x");
  EXPECT_FALSE(error.remedy().empty());
}

TEST(Gather, RefusesInfinitiesInsideTheNetworkByTheTensorsName) {
  Network net;
  const ValueId x = net.input("x", {1, 4});
  const ValueId y = net.node("Exp", {net.node("Mul", {x, net.scalar(100)})});
  const Graph graph = net.finish({y});
  const ops::Executor executor(graph);
  const SampleSource source{1, [](std::int64_t) {
                              return std::vector{Tensor::of<float>({1, 4}, {0, 1, 2, 3})};
                            }};
  const auto error = test::error_of([&] { gather(executor, source, {}); });
  EXPECT_EQ(error.code(), ErrorCode::BadData);
  EXPECT_EQ(error.tensor(), graph.value(y).name);
  EXPECT_EQ(error.node(), graph.node(graph.value(y).producer).name);
  EXPECT_NE(error.message().find("Exp makes"), std::string::npos);
  EXPECT_NE(error.message().find("to 300"), std::string::npos) << error.message();
}

TEST(Gather, RefusesNoSamples) {
  const Graph graph = small_network();
  const ops::Executor executor(graph);
  const auto error = test::error_of([&] { gather(executor, samples(0), {}); });
  EXPECT_EQ(error.code(), ErrorCode::BadData);
}

TEST(Scan, ReadsTheFirstSamplesOnly) {
  const Graph graph = small_network();
  const ops::Executor executor(graph);
  std::atomic<std::int64_t> last = 0;
  const SampleSource source{kCalibrated, [&](std::int64_t i) {
                              last = std::max(last.load(), i);
                              return std::vector{sample(i)};
                            }};
  EXPECT_EQ(scan(executor, source, 4).samples, 4);
  EXPECT_EQ(last, 3);
  EXPECT_EQ(scan(executor, source, 1000).samples, kCalibrated);
}

}  // namespace
}  // namespace espquant::calib
