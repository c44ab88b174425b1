#include "calib/output_errors.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/parallel.h"
#include "tests/support/errors.h"
#include "tests/support/network.h"

namespace espquant::calib {
namespace {

using test::Network;

SampleSource random_samples(const Graph& graph, std::int64_t count) {
  const Shape shape = *graph.value(graph.inputs()[0]).shape;
  return {count, [shape](std::int64_t i) {
            return std::vector<Tensor>{
                test::random_tensor(shape, 70 + static_cast<std::uint64_t>(i), -2, 2)};
          }};
}

/// Output errors of value `v`, for a few steps.
std::vector<double> output_errors_of(const Graph& graph, ValueId v, std::vector<float> steps,
                                     const SampleSource& source, std::int64_t samples = 8) {
  const ops::Executor executor(graph);
  std::vector<Request> requests(graph.value_count());
  requests[static_cast<std::size_t>(v)].steps = std::move(steps);
  Statistics statistics = gather(executor, source, requests);
  measure_output_errors(executor, source, requests, samples, statistics);
  return statistics.of(v).output_errors;
}

Tensor rounded(const Tensor& x, float step) {
  Tensor q(DType::Float32, x.shape());
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const float integer = std::nearbyint(x.data<float>()[at] / step);
    q.mutable_data<float>()[at] = step * std::min(std::max(integer, -128.0F), 127.0F);
  }
  return q;
}

/// Noise over signal at the network's output when its input is quantized.
double noise_at_output(const Graph& graph, const SampleSource& source, float step) {
  double noise = 0, signal = 0;
  for (std::int64_t i = 0; i < source.count; ++i) {
    const Tensor x = source.sample(i)[0];
    const Tensor exact = test::evaluate(graph, {x})[0],
                 actual = test::evaluate(graph, {rounded(x, step)})[0];
    for (std::size_t k = 0; k < exact.data<float>().size(); ++k) {
      const double y = static_cast<double>(exact.data<float>()[k]);
      const double d = static_cast<double>(actual.data<float>()[k]) - y;
      noise += d * d;
      signal += y * y;
    }
  }
  return noise / signal;
}

void expect_noise_at_output(const Graph& graph) {
  const SampleSource source = random_samples(graph, 3);
  const std::vector<float> steps = {0.25F, 0.0625F, 0.0078125F};
  const auto errors = output_errors_of(graph, graph.inputs()[0], steps, source);
  ASSERT_EQ(errors.size(), steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const double expected = noise_at_output(graph, source, steps[i]);
    EXPECT_NEAR(errors[i], expected, 1e-3 * expected) << steps[i];
  }
}

TEST(OutputErrors, AreTheNoiseBehindTheConvolutionThatReads) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const ValueId y = net.node("Conv", {x, net.random({4, 3, 3, 3}), net.random({4})});
  expect_noise_at_output(net.finish({y}));
}

TEST(OutputErrors, CountAfterTheActivationBehindTheReader) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const ValueId y = net.node("Conv", {x, net.random({4, 3, 1, 1})});
  expect_noise_at_output(net.finish({net.node("Relu", {y})}));
}

TEST(OutputErrors, LookThroughWhatOnlyMovesData) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const ValueId pooled =
      net.node("MaxPool", {x}, {{"kernel_shape", test::Ints{2, 2}}, {"strides", test::Ints{2, 2}}});
  const ValueId flat = net.node("Flatten", {pooled});
  expect_noise_at_output(net.finish({net.node("Gemm", {flat, net.random({48, 5})})}));
}

TEST(OutputErrors, OfAReaderThatIsNotLinearAreMeasuredToo) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 4, 4});
  expect_noise_at_output(net.finish({net.node("Sigmoid", {x})}));
}

TEST(OutputErrors, OfAValueThatIsAddedAreItsOwn) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 4, 4}), other = net.input("other", {1, 3, 4, 4});
  const Graph graph = net.finish({net.node("Add", {x, other})});
  const SampleSource source{2, [](std::int64_t i) {
                              const Shape shape = {1, 3, 4, 4};
                              const auto seed = static_cast<std::uint64_t>(i);
                              return std::vector<Tensor>{test::random_tensor(shape, seed),
                                                         test::random_tensor(shape, seed + 9)};
                            }};
  const ops::Executor executor(graph);
  std::vector<Request> requests(graph.value_count());
  requests[static_cast<std::size_t>(x)].steps = {0.125F};
  Statistics statistics = gather(executor, source, requests);
  measure_output_errors(executor, source, requests, 2, statistics);
  const ValueStatistics& s = statistics.of(x);
  ASSERT_EQ(s.output_errors.size(), 1U);
  EXPECT_DOUBLE_EQ(s.output_errors[0], s.errors[0] / s.sum_squares);
  EXPECT_TRUE(statistics.of(other).output_errors.empty()) << "nobody asked";
}

TEST(OutputErrors, AddUpOverReaders) {
  const Tensor weights = test::random_tensor({2, 4, 1, 1}, 1),
               others = test::random_tensor({3, 4, 3, 3}, 2);
  const auto network_of = [](const std::vector<Tensor>& readers) {
    Network net;
    const ValueId x = net.input("x", {1, 4, 6, 6});
    std::vector<ValueId> outputs;
    for (const Tensor& w : readers) outputs.push_back(net.node("Conv", {x, net.constant(w)}));
    return net.finish(outputs);
  };
  const auto errors_of = [](const Graph& graph) {
    return output_errors_of(graph, graph.inputs()[0], {0.1F}, random_samples(graph, 4)).at(0);
  };
  EXPECT_DOUBLE_EQ(errors_of(network_of({weights, others})),
                   errors_of(network_of({weights})) + errors_of(network_of({others})));
}

TEST(OutputErrors, WeighAnErrorByTheWeightsThatItMeets) {
  Network net;
  const ValueId x = net.input("x", {1, 2, 16, 16});
  const ValueId y = net.node("Conv", {x, net.floats({1, 2, 1, 1}, {100.0F, 0.01F})});
  const Graph graph = net.finish({y});
  // Channel 0, which matters, holds one value that the finer step clips; channel 1 is full of
  // values that gain by it.
  const SampleSource source{1, [](std::int64_t) {
                              Tensor t = test::random_tensor({1, 2, 16, 16}, 3, -0.99F, 0.99F);
                              auto data = t.mutable_data<float>();
                              std::fill(data.begin(), data.begin() + 256, 0.0F);
                              data[7] = 1.03F;
                              return std::vector<Tensor>{t};
                            }};
  const ops::Executor executor(graph);
  std::vector<Request> requests(graph.value_count());
  requests[static_cast<std::size_t>(x)].steps = {0x1p-6F, 0x1p-7F};
  Statistics statistics = gather(executor, source, requests);
  measure_output_errors(executor, source, requests, 1, statistics);
  const ValueStatistics& s = statistics.of(x);
  EXPECT_GT(s.errors[0], s.errors[1]);
  EXPECT_LT(s.output_errors[0], s.output_errors[1]);
}

TEST(OutputErrors, DoNotDependOnTheNumberOfThreads) {
  Network net;
  const ValueId x = net.input("x", {1, 3, 8, 8});
  const ValueId y =
      net.node("Relu", {net.node("Conv", {x, net.random({4, 3, 3, 3}), net.random({4})})});
  const Graph graph = net.finish({net.node("Conv", {y, net.random({2, 4, 1, 1})})});
  const SampleSource source = random_samples(graph, 20);
  std::vector<std::vector<double>> found;
  for (int threads : {1, 2, 5}) {
    set_thread_count(threads);
    found.push_back(output_errors_of(graph, y, {0.1F, 0.01F, 0.001F}, source, 7));
  }
  set_thread_count(0);
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(found[0], found[2]);
}

TEST(OutputErrors, AskForSamples) {
  Network net;
  const ValueId x = net.input("x", {1, 3});
  const Graph graph = net.finish({net.node("Relu", {x})});
  const ops::Executor executor(graph);
  Statistics statistics;
  statistics.values.resize(graph.value_count());
  const Error error =
      test::error_of([&] { measure_output_errors(executor, SampleSource{}, {}, 8, statistics); });
  EXPECT_EQ(error.code(), ErrorCode::BadData);
}

}  // namespace
}  // namespace espquant::calib
