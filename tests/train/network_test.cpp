#include "train/network.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/parallel.h"
#include "onnx/import.h"
#include "passes/pass_manager.h"
#include "tests/support/network.h"
#include "tests/support/shared.h"
#include "train/reference.h"

namespace espquant::train {
namespace {

/// Float constants that weighted layers and element-wise operators read.
std::vector<ValueId> parameters_of(const Graph& graph) {
  std::vector<ValueId> parameters;
  for (std::size_t v = 0; v < graph.value_count(); ++v) {
    const Value& value = graph.value(static_cast<ValueId>(v));
    if (!value.is_constant() || value.dtype != DType::Float32) continue;
    const bool trained = std::any_of(value.consumers.begin(), value.consumers.end(), [&](NodeId n) {
      const std::string& op = graph.node(n).op;
      return op == "Conv" || op == "Gemm" || op == "MatMul" || op == "Add" || op == "Mul" ||
             op == "PRelu" || op == "ConvTranspose" || op == "LayerNormalization";
    });
    if (trained) parameters.push_back(static_cast<ValueId>(v));
  }
  return parameters;
}

std::vector<Tensor> constants_of(const Graph& graph, std::span<const ValueId> values) {
  std::vector<Tensor> constants;
  for (ValueId v : values) constants.push_back(graph.value(v).constant);
  return constants;
}

std::vector<Tensor> sample_of(const Graph& graph, std::int64_t i) {
  std::vector<Tensor> inputs;
  for (ValueId v : graph.inputs())
    inputs.push_back(test::random_tensor(*graph.value(v).shape, static_cast<std::uint64_t>(i) + 5));
  return inputs;
}

/// How a made-up loss changes with output element k.
float probe(std::size_t k) { return std::cos(static_cast<float>(k) * 1.7F + 0.4F); }

template <typename T>
std::vector<Tensor> seeds_for(std::span<const Tensor> outputs) {
  std::vector<Tensor> seeds;
  for (const Tensor& t : outputs) {
    Tensor& seed = seeds.emplace_back(t.dtype(), t.shape());
    auto data = seed.mutable_data<T>();
    for (std::size_t k = 0; k < data.size(); ++k) data[k] = static_cast<T>(probe(k));
  }
  return seeds;
}

Network::Result run(const Graph& graph, const std::vector<ValueId>& parameters,
                    std::int64_t blocks = 1) {
  const Network network(graph, {.parameters = parameters});
  return network.run(
      constants_of(graph, parameters), blocks * network.batch_unit(),
      [&](std::int64_t i) { return sample_of(graph, i); },
      [](std::int64_t, std::span<const Tensor> outputs, std::span<Tensor> gradients) {
        double sum = 0;
        for (std::size_t o = 0; o < outputs.size(); ++o) {
          const auto y = outputs[o].data<float>();
          auto g = gradients[o].mutable_data<float>();
          for (std::size_t k = 0; k < y.size(); ++k) {
            g[k] = probe(k);
            sum += static_cast<double>(y[k] * probe(k));
          }
        }
        return sum;
      });
}

/// The fast engine against the operators' reference kernels, over one batch.
void expect_as_reference(const Graph& graph, double tolerance) {
  const std::vector<ValueId> parameters = parameters_of(graph);
  const Network::Result fast = run(graph, parameters);
  const Network network(graph, {.parameters = parameters});
  std::vector<std::vector<double>> sums(parameters.size());
  for (std::size_t p = 0; p < parameters.size(); ++p)
    sums[p].assign(static_cast<std::size_t>(graph.value(parameters[p]).constant.size()), 0);
  for (std::int64_t i = 0; i < network.batch_unit(); ++i) {
    const auto found = differentiate(graph, sample_of(graph, i), seeds_for<float>, parameters);
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      const auto g = found.gradients.at(parameters[p]).data<float>();
      for (std::size_t k = 0; k < g.size(); ++k) sums[p][k] += static_cast<double>(g[k]);
    }
  }
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    double error = 0, signal = 0;
    for (std::size_t k = 0; k < sums[p].size(); ++k) {
      const double difference = sums[p][k] - static_cast<double>(fast.gradients[p][k]);
      error += difference * difference;
      signal += sums[p][k] * sums[p][k];
    }
    EXPECT_GT(signal, 0) << graph.value(parameters[p]).name;
    EXPECT_LE(std::sqrt(error), tolerance * std::sqrt(signal)) << graph.value(parameters[p]).name;
  }
}

using test::Ints;

/// Convolutions of every kind, pools, branches and broadcast operands.
Graph varied_network() {
  test::Network net;
  const ValueId x = net.input("x", {1, 4, 12, 10});
  const auto conv = [&](ValueId v, Shape weights, std::int64_t group, Ints strides, Ints dilations,
                        Ints pads) {
    return net.node("Conv", {v, net.random(weights), net.random({weights[0]})},
                    {{"group", group},
                     {"strides", std::move(strides)},
                     {"dilations", std::move(dilations)},
                     {"pads", std::move(pads)}});
  };
  const ValueId a = net.node("Relu", {conv(x, {8, 4, 3, 3}, 1, {1, 1}, {1, 1}, {1, 1, 1, 1})});
  const ValueId depthwise = conv(a, {8, 1, 3, 3}, 8, {1, 1}, {2, 2}, {2, 2, 2, 2});
  const ValueId grouped = conv(a, {8, 4, 3, 3}, 2, {1, 1}, {1, 1}, {1, 1, 1, 1});
  const ValueId sum = net.node("Add", {depthwise, grouped});
  const ValueId capped = net.node("Clip", {sum, net.scalar(-1), net.scalar(1)});
  const ValueId gate = net.node("Sigmoid", {net.node("GlobalAveragePool", {capped})});
  const ValueId gated = net.node("Mul", {capped, gate});
  const ValueId largest =
      net.node("MaxPool", {gated},
               {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}});
  const ValueId mean =
      net.node("AveragePool", {conv(sum, {6, 8, 1, 1}, 1, {1, 1}, {1, 1}, {0, 0, 0, 0})},
               {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  const ValueId both = net.node("Concat", {largest, mean}, {{"axis", std::int64_t{1}}});
  const ValueId shifted = net.node("Add", {both, net.random({1, 14, 1, 1})});
  const ValueId strided = conv(shifted, {5, 14, 3, 2}, 1, {2, 1}, {1, 1}, {1, 0, 1, 1});
  const ValueId flat = net.node("Flatten", {strided});
  const ValueId head = net.node("Gemm", {flat, net.random({75, 7}), net.random({7})});
  return net.finish({net.node("MatMul", {head, net.random({7, 6})})});
}

TEST(TrainedNetwork, GradientsAreThoseOfTheReferenceKernels) {
  expect_as_reference(varied_network(), 2e-5);
}

TEST(TrainedNetwork, NeedsNoFastKernelForAnOperator) {
  test::Network net;
  const ValueId x = net.input("x", {1, 3, 6});
  const ValueId y = net.node("PRelu", {x, net.random({3, 1})});
  const ValueId z = net.node("LayerNormalization", {y, net.random({6}), net.random({6})});
  expect_as_reference(net.finish({net.node("Tanh", {z})}), 1e-5);
}

TEST(TrainedNetwork, SumsDoNotDependOnTheNumberOfThreads) {
  const Graph graph = varied_network();
  const auto parameters = parameters_of(graph);
  set_thread_count(1);
  const Network::Result alone = run(graph, parameters, 2);
  set_thread_count(3);
  const Network::Result together = run(graph, parameters, 2);
  set_thread_count(0);
  EXPECT_EQ(alone.loss, together.loss);
  EXPECT_EQ(alone.gradients, together.gradients);
}

TEST(TrainedNetwork, AnOperatorWithoutAGradientIsNamed) {
  test::Network net;
  const ValueId x = net.input("x", {1, 3});
  const ValueId y = net.node("MatMul", {x, net.random({3, 3})});
  const Graph graph = net.finish({net.node("Round", {y})});
  try {
    const Network network(graph, {.parameters = parameters_of(graph)});
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_NE(std::string(error.message()).find("Round"), std::string::npos);
    EXPECT_FALSE(error.node().empty());
  }
}

TEST(TrainedNetwork, SaturatedActivationsHandNothingBack) {
  test::Network net;
  const ValueId x = net.input("x", {1, 2});
  const ValueId w = net.constant(Tensor::of<float>({2, 2}, {1, 0, 0, 1}));
  const Graph graph = net.finish({net.node("MatMul", {x, w})});
  const ValueId y = graph.outputs()[0];
  const Network network(
      graph, {.parameters = {w}, .activations = {{y, Grid::of(8, -6, Rounding::HalfUp)}}});
  const auto feed = [](std::int64_t) {
    return std::vector<Tensor>{Tensor::of<float>({1, 2}, {0.509F, 3.0F})};
  };
  const auto result =
      network.run(std::vector<Tensor>{graph.value(w).constant}, network.batch_unit(), feed,
                  [](std::int64_t, std::span<const Tensor> outputs, std::span<Tensor> gradients) {
                    EXPECT_EQ(outputs[0].data<float>()[0], 33.0F / 64);
                    EXPECT_EQ(outputs[0].data<float>()[1], 127.0F / 64);
                    for (float& g : gradients[0].mutable_data<float>()) g = 1;
                    return 0.0;
                  });
  // Columns of w make one output each: the second is at the end of its grid.
  EXPECT_GT(result.gradients[0][0], 0);
  EXPECT_EQ(result.gradients[0][1], 0);
  EXPECT_GT(result.gradients[0][2], 0);
  EXPECT_EQ(result.gradients[0][3], 0);
}

Graph in_double(Graph graph) {
  for (std::size_t v = 0; v < graph.value_count(); ++v) {
    Value& value = graph.value(static_cast<ValueId>(v));
    if (value.dtype != DType::Float32) continue;
    value.dtype = DType::Float64;
    if (value.is_constant()) value.constant = value.constant.cast(DType::Float64);
  }
  return graph;
}

class WholeNetwork : public ::testing::TestWithParam<const char*> {
 protected:
  Graph graph() const {
    return passes::simplify(onnx::import_model(test::shared_dir() / "models" / GetParam()));
  }
};

TEST_P(WholeNetwork, HasTheGradientOfCentralDifferences) {
  ESPQUANT_NEEDS_SHARED("models");
  Graph exact = in_double(graph());
  std::vector<ValueId> weights;
  for (std::size_t v = 0; v < exact.value_count(); ++v) {
    const Value& value = exact.value(static_cast<ValueId>(v));
    if (value.is_constant() && value.dtype == DType::Float64 && value.constant.size() > 1)
      weights.push_back(static_cast<ValueId>(v));
  }
  std::vector<Tensor> inputs = sample_of(graph(), 1);
  for (Tensor& t : inputs) t = t.cast(DType::Float64);
  const auto found = differentiate(exact, inputs, seeds_for<double>, weights);
  const auto loss = [&] {
    const auto outputs = differentiate(exact, inputs, seeds_for<double>, {}).outputs;
    double sum = 0;
    for (std::size_t k = 0; k < static_cast<std::size_t>(outputs[0].size()); ++k)
      sum += outputs[0].data<double>()[k] * static_cast<double>(probe(k));
    return sum;
  };
  constexpr double kStep = 1e-6;
  for (ValueId v : weights) {
    const auto gradient = found.gradients.at(v).data<double>();
    const std::size_t at = gradient.size() / 3;
    const double before = exact.value(v).constant.data<double>()[at];
    exact.value(v).constant.mutable_data<double>()[at] = before + kStep;
    const double above = loss();
    exact.value(v).constant.mutable_data<double>()[at] = before - kStep;
    const double below = loss();
    exact.value(v).constant.mutable_data<double>()[at] = before;
    const double expected = (above - below) / (2 * kStep);
    EXPECT_NEAR(gradient[at], expected, 1e-7 + 1e-4 * std::abs(expected)) << exact.value(v).name;
  }
}

TEST_P(WholeNetwork, IsTheSameByFastKernels) {
  ESPQUANT_NEEDS_SHARED("models");
  Graph scores = graph();
  const NodeId last = scores.value(scores.outputs()[0]).producer;
  if (scores.node(last).op == "Softmax") {
    const ValueId v = scores.node(last).inputs[0];
    scores.set_outputs({v});
    scores.remove_dead();
  }
  expect_as_reference(scores, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Shared, WholeNetwork,
                         ::testing::Values("sign_digits_lightgesturenet.onnx",
                                           "ic_resnet8_cifar10.onnx"),
                         [](const auto& given) {
                           const std::string name = given.param;
                           return name.substr(0, name.find('_'));
                         });

}  // namespace
}  // namespace espquant::train
