#include <gtest/gtest.h>

#include "base/fixed_point.h"
#include "sim/program.h"
#include "tests/lower/quantized_network.h"
#include "tests/support/errors.h"

namespace espquant::lower {
namespace {

using test::QuantizedNetwork;

constexpr int kRecurrentIn = -6, kState = -7;
constexpr std::int64_t kSteps = 5, kFeatures = 6, kHidden = 4;

struct Layer {
  std::string op;
  std::int64_t directions = 1;
  test::AttributeList more = {};
  bool biased = true;
};

std::int64_t gates_of(const Layer& l) { return l.op == "LSTM" ? 4 : 3; }

/// Weights that 8 bits hold.
Tensor recurrent_parameters(const Shape& shape, std::uint64_t seed) {
  Tensor t = test::random_tensor(shape, seed, -0.9F, 0.9F);
  for (float& v : t.mutable_data<float>()) v = std::ldexp(std::round(std::ldexp(v, 7)), -7);
  return t;
}

/// The network of one layer, its sequence of hidden states and the last of them put out.
Graph network_of(const Layer& l) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {kSteps, 1, kFeatures}, kRecurrentIn);
  const std::int64_t rows = gates_of(l) * kHidden;
  std::vector<ValueId> inputs{
      x, net.constant(recurrent_parameters({l.directions, rows, kFeatures}, 1), -7),
      net.constant(recurrent_parameters({l.directions, rows, kHidden}, 2), -7)};
  if (l.biased)
    inputs.push_back(net.constant(recurrent_parameters({l.directions, 2 * rows}, 3), -7));
  test::AttributeList attributes{{"hidden_size", kHidden}};
  if (l.directions == 2) attributes.emplace_back("direction", std::string("bidirectional"));
  if (l.op == "GRU") attributes.emplace_back("linear_before_reset", std::int64_t{1});
  attributes.insert(attributes.end(), l.more.begin(), l.more.end());
  const auto outputs = net.nodes(l.op, inputs, attributes, l.op == "LSTM" ? 3 : 2);
  Graph graph = net.finish({outputs[0], outputs[1]});
  for (ValueId v : outputs) graph.value(v).quant = TensorQuant{8, {kState}, -1};
  return graph;
}

TEST(LowerRecurrent, ComputesWhatTheFloatLayerDoes) {
  for (const Layer& l : {Layer{"LSTM"}, Layer{"GRU"}, Layer{"LSTM", 2}, Layer{"GRU", 2},
                         Layer{"LSTM", 1, {}, false}})
    for (const char* chip : {"esp32s3", "esp32p4", "esp32"}) {
      const Graph graph = network_of(l);
      const espdl::Model model = test::lowered(graph, chip);
      const sim::Program program(model, find_target(chip));
      EXPECT_TRUE(program.faults().empty());
      Tensor x = test::random_tensor({kSteps, 1, kFeatures}, 9, -1.5F, 1.5F);
      Tensor q(DType::Int8, x.shape());
      for (std::size_t i = 0; i < x.data<float>().size(); ++i) {
        q.mutable_data<std::int8_t>()[i] =
            static_cast<std::int8_t>(std::lround(std::ldexp(x.data<float>()[i], -kRecurrentIn)));
        x.mutable_data<float>()[i] = std::ldexp(q.data<std::int8_t>()[i], kRecurrentIn);
      }
      sim::Program::Frame frame(program);
      frame.set(program.inputs()[0], q);
      frame.run();
      const std::vector<Tensor> expected = test::evaluate(graph, {x});
      for (std::size_t o = 0; o < 2; ++o) {
        const Tensor actual = frame.tensor(program.outputs()[o]);
        EXPECT_EQ(program.desc(program.outputs()[o]).exponent(), kState);
        for (std::size_t i = 0; i < expected[o].data<float>().size(); ++i)
          ASSERT_NEAR(std::ldexp(actual.data<std::int8_t>()[i], kState),
                      expected[o].data<float>()[i], 0.03)
              << l.op << " on " << chip << ", output " << o << ", element " << i;
      }
    }
}

TEST(LowerRecurrent, GatesAndCellStateHave16BitsOfOneExponent) {
  const espdl::Model model = test::lowered(network_of({"LSTM"}));
  const espdl::Node& lstm = test::the_node(model, "LSTM");
  EXPECT_EQ(lstm.get_int("gate_exponent", 0), -9);
  const espdl::Constant& bias = test::constant_of(model, lstm, 3);
  EXPECT_EQ(bias.data.dtype(), DType::Int16);
  EXPECT_EQ(bias.exponent(), -9);
  const espdl::ValueInfo& cell = test::value_of(model, lstm.outputs.at(2));
  EXPECT_EQ(cell.dtype, DType::Int16);
  EXPECT_EQ(cell.exponents, std::vector<int>{-9});
}

TEST(LowerRecurrent, OutputsThatNobodyNamedAreWrittenAllTheSame) {
  QuantizedNetwork net;
  const ValueId x = net.input("x", {kSteps, 1, kFeatures}, kRecurrentIn);
  const auto outputs = net.nodes("LSTM",
                                 {x, net.constant(recurrent_parameters({1, 16, kFeatures}, 1), -7),
                                  net.constant(recurrent_parameters({1, 16, kHidden}, 2), -7)},
                                 {{"hidden_size", kHidden}}, 1);
  const espdl::Model model = test::lowered(net.finish(outputs));
  EXPECT_EQ(test::the_node(model, "LSTM").outputs.size(), 3u);
  EXPECT_NO_THROW(sim::Program(model, find_target("esp32s3")));
}

TEST(LowerRecurrent, RefusesWhatTheChipRunsOtherwise) {
  for (const Layer& l :
       {Layer{"LSTM", 1, {{"direction", std::string("reverse")}}},
        Layer{"GRU", 1, {{"clip", 3.0F}}}, Layer{"LSTM", 1, {{"input_forget", std::int64_t{1}}}}}) {
    const Graph graph = network_of(l);
    const Error error = test::error_of([&] { test::lowered(graph); });
    EXPECT_EQ(error.code(), ErrorCode::Illegal);
    EXPECT_EQ(error.node(), l.op);
    EXPECT_FALSE(error.remedy().empty());
  }
}

}  // namespace
}  // namespace espquant::lower
