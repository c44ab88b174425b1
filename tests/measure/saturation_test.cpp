#include "measure/saturation.h"

#include <gtest/gtest.h>

#include "base/parallel.h"
#include "espdl/filter_layout.h"

namespace espquant::measure {
namespace {

/// y = Conv(x) on one pixel of `terms` channels, 16 equal outputs, for the ESP32-S3: all weights
/// 127, one bias for all.
espdl::Model one_convolution(std::int64_t terms, std::int32_t bias) {
  Tensor filter(DType::Int8, {16, 1, 1, terms}), biases(DType::Int32, {16});
  for (std::int8_t& w : filter.mutable_data<std::int8_t>()) w = 127;
  for (std::int32_t& b : biases.mutable_data<std::int32_t>()) b = bias;
  espdl::Model model;
  model.inputs = {"x"};
  model.outputs = {"y"};
  model.values = {{"x", DType::Int8, {1, 1, 1, terms}, {0}},
                  {"y", DType::Int8, {1, 1, 1, 16}, {14}}};
  model.initializers = {{"w", espdl::pack_filter(filter, false, 16), {0}, ""},
                        {"b", biases, {0}, ""}};
  espdl::Node node;
  node.name = "the_conv";
  node.op = "Conv";
  node.inputs = {"x", "w", "b"};
  node.outputs = {"y"};
  model.nodes = {node};
  return model;
}

Graph outline(const espdl::Model& model) {
  Graph graph;
  graph.add_input(graph.add_value("x", DType::Float32, model.values[0].shape));
  graph.add_output(graph.add_value("y", DType::Float32, model.values[1].shape));
  return graph;
}

/// Samples of equal elements: 0, 1, 2, ...
SaturationReport measure(const espdl::Model& model, std::int64_t samples, float first = 0) {
  const sim::Program program(model, find_target("esp32s3"));
  const Shape shape = model.values[0].shape;
  const calib::SampleSource source{samples, [&](std::int64_t i) {
                                     Tensor x(DType::Float32, shape);
                                     for (float& v : x.mutable_data<float>())
                                       v = first + static_cast<float>(i);
                                     return std::vector<Tensor>{x};
                                   }};
  return measure_saturation(program, outline(model), nullptr, source);
}

TEST(Saturation, WithoutItNothingChangesAndNothingIsAdvised) {
  const SaturationReport report = measure(one_convolution(32, 0), 10);
  ASSERT_EQ(report.layers.size(), 1u);
  const LayerSaturation& layer = report.layers[0];
  EXPECT_EQ(layer.node, "the_conv");
  EXPECT_EQ(layer.elements, 160);
  EXPECT_EQ(layer.books.outputs, 160);
  EXPECT_DOUBLE_EQ(layer.books.peak, 9 * 127 * 32 / 524287.0);
  EXPECT_EQ(layer.changed, 0);
  EXPECT_EQ(report.output.ratio(), 0);
  EXPECT_EQ(excess_bits(layer), 0);
  EXPECT_EQ(advice(layer, find_target("esp32s3")), "");
}

// Sums of 32 * 127 * x + 30000: 521744 for x = 121, inside; 542064 for x = 126, of which the lane
// holds 524287. Outputs are sums / 2^14, so 33 becomes 32.
TEST(Saturation, ChangedOutputsAndTheirNoiseAreMeasured) {
  const espdl::Model model = one_convolution(32, 30000);
  const SaturationReport report = measure(model, 2, 120);
  const LayerSaturation& layer = report.layers.at(0);
  EXPECT_EQ(layer.books.saturated, 0);
  const SaturationReport beyond = measure(model, 2, 126);
  EXPECT_EQ(beyond.layers.at(0).books.saturated, 32);
  EXPECT_EQ(beyond.layers.at(0).changed, 32);
  EXPECT_EQ(excess_bits(beyond.layers.at(0)), 1);
  EXPECT_GT(beyond.output.ratio(), 0);
  EXPECT_DOUBLE_EQ(beyond.layers.at(0).effect.ratio(), beyond.output.ratio());
  const std::string text = advice(beyond.layers.at(0), find_target("esp32s3"));
  EXPECT_NE(text.find("'the_conv'"), std::string::npos) << text;
  EXPECT_NE(text.find("20-bit"), std::string::npos) << text;
  EXPECT_NE(text.find("by 1 in total"), std::string::npos) << text;
  EXPECT_NE(text.find("16 bits"), std::string::npos) << text;
}

// ESP-DL 4.3: bits of the bias above the lane's are dropped.
TEST(Saturation, ABiasThatDoesNotFitIsNamedAsTheReason) {
  const SaturationReport report = measure(one_convolution(1, 1 << 20), 3);
  const LayerSaturation& layer = report.layers.at(0);
  EXPECT_EQ(layer.books.saturated, 0);
  EXPECT_EQ(layer.changed, layer.elements);
  EXPECT_NE(advice(layer, find_target("esp32s3")).find("bias"), std::string::npos);
}

TEST(Saturation, DoesNotDependOnTheNumberOfThreads) {
  const espdl::Model model = one_convolution(40, 0);
  set_thread_count(1);
  const SaturationReport one = measure(model, 20, 90);
  set_thread_count(3);
  const SaturationReport three = measure(model, 20, 90);
  set_thread_count(0);
  EXPECT_GT(one.layers.at(0).books.saturated, 0);
  EXPECT_EQ(one.layers.at(0).books.saturated, three.layers.at(0).books.saturated);
  EXPECT_EQ(one.layers.at(0).changed, three.layers.at(0).changed);
  EXPECT_EQ(one.output.noise, three.output.noise);
  EXPECT_EQ(one.output.signal, three.output.signal);
}

}  // namespace
}  // namespace espquant::measure
