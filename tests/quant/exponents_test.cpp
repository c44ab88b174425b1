#include "quant/exponents.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/quant/calibrated.h"

namespace espquant::quant {
namespace {

using test::Network;

/// The graph with exponents on everything: not scaled, rounded or corrected.
Graph assigned(Graph graph, Settings settings, float range = 1) {
  settings.scale_layers = false;
  settings.bias_correction = false;
  const auto c = test::calibrate(graph, settings, test::random_samples(graph, 8, -range, range));
  const Widths widths(graph, c.plan.exponents, settings);
  const ActivationErrors errors(graph, c.plan, c.calibration.statistics);
  const std::vector<float> factors(graph.value_count(), 1.0F);
  assign_activation_exponents(graph, c.plan, errors, widths, factors, settings);
  assign_parameter_exponents(graph, c.plan, c.calibration.inputs, widths, settings);
  return graph;
}

int exponent_of(const Graph& graph, ValueId v) { return graph.value(v).quant->exponent(); }

TEST(ActivationExponents, AreSharedByAGroupAndFitTheRange) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 8, 8});
  const ValueId y = net.node("Conv", {x, net.random({4, 4, 1, 1})});
  const ValueId z = net.node("Relu", {y});
  Settings settings = test::settings_for("esp32s3");
  settings.method = Method::MinMax;
  const Graph graph = assigned(net.finish({z}), settings, 100);
  EXPECT_EQ(exponent_of(graph, x), 0) << "100 of 127";
  EXPECT_EQ(graph.value(y).quant, graph.value(z).quant);
}

TEST(ActivationExponents, OfATensorWithoutSignalAreThoseOfOne) {
  Network net;
  const ValueId x = net.input("x", {1, 4});
  const ValueId y = net.node("Tanh", {x});
  Settings settings = test::settings_for("esp32s3");
  EXPECT_EQ(exponent_of(assigned(net.finish({y}), settings, 0), x), -7);
}

/// Tensors whose values clip differently: a layer's outputs and, behind it, those of a function.
/// One of 4096 inputs is `outlier` times as large as the others.
struct Clipped {
  Clipped() {
    x = net.input("x", {1, 1, 64, 64});
    y = net.node("Conv", {x, net.floats({1, 1, 1, 1}, {0.45F})});
    z = net.node("LeakyRelu", {y}, {{"alpha", 0.01F}});
    graph = net.finish({net.node("Conv", {z, net.floats({1, 1, 1, 1}, {1})})});
  }
  /// Halvings of the range of `v`: 0 covers it.
  int halvings(Scope scope, ValueId v, Method method = Method::Percentile) const {
    Settings settings = test::settings_for("esp32s3");
    settings.scale_layers = false;
    settings.bias_correction = false;
    settings.method = method;
    settings.percentile = 99.9;
    settings.clip_scope = scope;
    Graph made = graph;
    // Large values are negative: the function makes them small again.
    const calib::SampleSource source{8, [](std::int64_t i) {
                                       std::vector<Tensor> inputs{test::random_tensor(
                                           {1, 1, 64, 64}, static_cast<std::uint64_t>(i) + 1)};
                                       inputs[0].mutable_data<float>()[0] = -16;
                                       return inputs;
                                     }};
    const auto c = test::calibrate(made, settings, source);
    const Widths widths(made, c.plan.exponents, settings);
    const ActivationErrors errors(made, c.plan, c.calibration.statistics);
    const std::vector<float> factors(made.value_count(), 1.0F);
    assign_activation_exponents(made, c.plan, errors, widths, factors, settings);
    const auto group =
        c.plan.exponents.members()[static_cast<std::size_t>(c.plan.exponents.find(v))];
    return errors.covering(errors.members(group), 1, 8) - exponent_of(made, v);
  }
  Network net;
  ValueId x = kNone, y = kNone, z = kNone;
  Graph graph;
};

TEST(ClippingScope, OfATensorIsItsOwn) {
  const Clipped n;
  EXPECT_EQ(n.halvings(Scope::Tensor, n.x), 4);
  EXPECT_EQ(n.halvings(Scope::Tensor, n.y), 4);
  EXPECT_EQ(n.halvings(Scope::Tensor, n.z), 0);
}

TEST(ClippingScope, OfALayerIsThatOfItsFunctionToo) {
  const Clipped n;
  EXPECT_EQ(n.halvings(Scope::Layer, n.x), 4) << "not of this layer";
  EXPECT_EQ(n.halvings(Scope::Layer, n.y), 0) << "the fewest that one of the tensors asks for";
  EXPECT_EQ(n.halvings(Scope::Layer, n.z), 0);
}

TEST(ClippingScope, CanBeTheWholeNetwork) {
  const Clipped n;
  for (const ValueId v : {n.x, n.y, n.z}) EXPECT_EQ(n.halvings(Scope::Global, v), 0);
}

TEST(ClippingScope, ErrorsAreSummedWhereTheMethodHasNoThreshold) {
  const Clipped n;
  const int x = n.halvings(Scope::Tensor, n.x, Method::Mse);
  const int z = n.halvings(Scope::Tensor, n.z, Method::Mse);
  ASSERT_GT(x, z);
  const int all = n.halvings(Scope::Global, n.x, Method::Mse);
  EXPECT_EQ(n.halvings(Scope::Global, n.z, Method::Mse), all);
  EXPECT_GE(all, z);
  EXPECT_LE(all, x);
}

/// Both operands of an Add are read by Sigmoids too; their ranges are 1 and `ratio`.
struct SharedOperands {
  explicit SharedOperands(float ratio) {
    x = net.input("x", {1, 256});
    large = net.node("Mul", {x, net.scalar(ratio)});
    sum = net.node("Add", {x, large});
    graph = net.finish({sum, net.node("Sigmoid", {large})});
  }
  Network net;
  ValueId x = kNone, large = kNone, sum = kNone;
  Graph graph;
};

TEST(ActivationExponents, AnOperandReadElsewhereIsAlignedOnlyAtLowCost) {
  const SharedOperands n(4);
  Settings settings = test::settings_for("esp32s3");
  const Graph apart = assigned(n.graph, settings);
  EXPECT_NE(exponent_of(apart, n.x), exponent_of(apart, n.sum));
  settings.alignment_cost = 1e9;
  const Graph aligned = assigned(n.graph, settings);
  EXPECT_EQ(exponent_of(aligned, n.x), exponent_of(aligned, n.sum));
  EXPECT_EQ(exponent_of(aligned, n.large), exponent_of(aligned, n.sum));
}

TEST(ActivationExponents, ReadersOfAnotherWidthGetARequantizedReading) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 8, 8});
  const ValueId y = net.node("Conv", {x, net.random({4, 4, 1, 1})});
  const ValueId z = net.node("Conv", {y, net.random({4, 4, 1, 1})});
  const ValueId last = net.node("Conv", {z, net.random({4, 4, 1, 1})});
  Settings settings = test::settings_for("esp32p4");
  settings.layer_bits = {{"Conv_1", 16}};
  const Graph graph = assigned(net.finish({last}), settings);
  const Value &narrow = graph.value(y), &wide = graph.value(z);
  ASSERT_TRUE(narrow.requant && wide.requant);
  EXPECT_EQ(narrow.quant->bits, 8);
  EXPECT_EQ(narrow.requant, (TensorQuant{16, narrow.quant->exponents, -1})) << "widened exactly";
  EXPECT_EQ(wide.quant->bits, 16);
  EXPECT_EQ(wide.requant->bits, 8);
  EXPECT_NEAR(wide.requant->exponent(), wide.quant->exponent() + 8, 1);
  EXPECT_FALSE(graph.value(x).requant);
}

TEST(ActivationExponents, OfASumCoverAnOperandThatIsOnlyMoved) {
  Network net;
  const ValueId x = net.input("x", {1, 512});
  const ValueId moved = net.node("Reshape", {net.node("Relu", {x}), net.ints({2, 256})});
  const ValueId read_elsewhere = net.node("Sigmoid", {moved});
  // Less than 2 in magnitude, made of what is less than 4.
  const ValueId y = net.node("Sub", {moved, net.floats({1}, {1.5F})});
  Settings settings = test::settings_for("esp32s3");
  settings.bits = 16;
  const Graph graph = assigned(net.finish({y, read_elsewhere}), settings, 3);
  EXPECT_GE(exponent_of(graph, y), -13);
}

TEST(ActivationExponents, OfASumCoverAConstantThatIsLargerThanAll) {
  Network net;
  const ValueId x = net.input("x", {1, 512});
  const ValueId a = net.node("Clip", {x, net.floats({}, {1}), net.floats({}, {1.5F})});
  const ValueId y = net.node("Sub", {net.floats({1}, {2}), a});
  const Graph graph = assigned(net.finish({y}), test::settings_for("esp32s3"), 2);
  EXPECT_GE(exponent_of(graph, y), -5);
}

TEST(ActivationExponents, CoverABoundThatLiesBeyondTheInput) {
  const auto exponent_for = [](float low, float high) {
    Network net;
    const ValueId x = net.input("x", {1, 16});
    Settings settings = test::settings_for("esp32s3");
    settings.bits = 16;
    const Graph graph =
        assigned(net.finish({net.node("Clip", {x, net.scalar(low), net.scalar(high)})}), settings);
    return exponent_of(graph, x);
  };
  EXPECT_EQ(exponent_for(5, 100), -12) << "5 of 32767";
  EXPECT_EQ(exponent_for(-100, -20), -10) << "20 of 32767";
  EXPECT_EQ(exponent_for(-100, 100), -15) << "bounds that nothing reaches";
  EXPECT_EQ(exponent_for(-0.5F, 100), -15);
}

// c - x + x is smaller than x; what reads it asks for finer steps still.
TEST(ActivationExponents, OfASumThatCancelsCoverItsOperandsAt16Bits) {
  Network net;
  const ValueId x = net.input("x", {1, 16});
  const ValueId rest = net.node("Sub", {net.random({1, 16}), x});
  const ValueId sum = net.node("Add", {rest, x});
  const ValueId y = net.node("Sub", {net.node("Sigmoid", {sum}), sum});
  Settings settings = test::settings_for("esp32s3");
  settings.bits = 16;
  const Graph graph = assigned(net.finish({y, net.node("Tanh", {rest})}), settings, 3);
  EXPECT_GE(exponent_of(graph, sum), exponent_of(graph, x));
}

TEST(ActivationExponents, CoverABoundBeyondWhateverElseReadsTheInput) {
  Network net;
  const ValueId x = net.input("x", {1, 16});
  const ValueId y = net.node("LeakyRelu", {x}, {{"alpha", 0.5F}});
  const ValueId joined = net.node("Concat", {y, x}, {{"axis", std::int64_t{1}}});
  Settings settings = test::settings_for("esp32s3");
  settings.bits = 16;
  const Graph graph = assigned(
      net.finish({joined, net.node("Clip", {y, net.scalar(5), net.scalar(100)})}), settings);
  EXPECT_EQ(exponent_of(graph, y), -12);
}

TEST(ActivationExponents, CoverWhatAPadPutsBesideItsInput) {
  const auto padded_by = [&](float value) {
    Network own;
    const ValueId in = own.input("x", {1, 1, 4, 4});
    const ValueId y = own.node("Pad", {own.node("Relu", {in}), own.ints({0, 0, 1, 1, 0, 0, 1, 1}),
                                       own.floats({}, {value})});
    return exponent_of(assigned(own.finish({y}), test::settings_for("esp32s3"), 1), y);
  };
  EXPECT_EQ(padded_by(0), padded_by(0.5F));
  EXPECT_EQ(padded_by(-40), -1);
  EXPECT_EQ(padded_by(-1e30F), padded_by(0)) << "no number beside it would remain";
}

TEST(ParameterExponents, BiasesStandAtInputPlusWeights) {
  Network net;
  const ValueId x = net.input("x", {1, 4, 8, 8});
  const ValueId y = net.node("Conv", {x, net.random({4, 4, 3, 3}), net.random({4})});
  Graph network = net.finish({y});
  for (const bool per_channel : {false, true}) {
    Settings settings = test::settings_for("esp32p4");
    settings.per_channel_weights = per_channel;
    const Graph graph = assigned(network, settings);
    const Node& conv = test::the_node(graph, "Conv");
    const TensorQuant &w = *graph.value(conv.inputs[1]).quant,
                      &b = *graph.value(conv.inputs[2]).quant;
    ASSERT_EQ(w.exponents.size(), per_channel ? 4u : 1u);
    EXPECT_EQ(w.axis, per_channel ? 0 : -1);
    EXPECT_EQ(b.bits, 32);
    for (std::size_t c = 0; c < w.exponents.size(); ++c)
      EXPECT_EQ(b.exponents[c], exponent_of(graph, x) + w.exponents[c]);
  }
}

TEST(ParameterExponents, WeightsGetCoarserUntilABiasFitsItsWidth) {
  Network net;
  const ValueId x = net.input("x", {1, 2, 8, 8});
  const ValueId y =
      net.node("Conv", {x, net.floats({1, 2, 1, 1}, {0.5F, -0.25F}), net.floats({1}, {100.0F})});
  const Graph network = net.finish({y});
  const auto bias_in = [&](const Graph& graph) {
    const TensorQuant& quant = *graph.value(test::the_node(graph, "Conv").inputs[2]).quant;
    return std::ldexp(100.0, -quant.exponent());
  };
  const double narrow = bias_in(assigned(network, test::settings_for("esp32s3")));
  EXPECT_LE(narrow, (1 << 19) - 1);
  EXPECT_GT(narrow, (1 << 18) - 1) << "no coarser than it must be";
  EXPECT_GT(bias_in(assigned(network, test::settings_for("esp32p4"))), (1 << 19))
      << "32 bits need no coarser weights";
}

TEST(ParameterExponents, ShiftsAreNeverNegative) {
  // The convolution's mean cancels: large weights, tiny outputs.
  Network net;
  const ValueId x = net.input("x", {1, 1, 8, 8});
  const ValueId both = net.node("Concat", {x, x}, {{"axis", std::int64_t{1}}});
  const ValueId y = net.node("Conv", {both, net.floats({1, 2, 1, 1}, {100, -99.999F})});
  const Graph graph = assigned(net.finish({y}), test::settings_for("esp32s3"));
  const Node& conv = test::the_node(graph, "Conv");
  EXPECT_GE(exponent_of(graph, y),
            exponent_of(graph, both) + graph.value(conv.inputs[1]).quant->exponent());
}

TEST(ParameterExponents, AnAccumulatorCanHoldEveryOutput) {
  // Weights of 1e-6 beside an output of 1: finer weights would need more than 20 bits.
  Network net;
  const ValueId x = net.input("x", {1, 1, 8, 8});
  const ValueId y =
      net.node("Conv", {x, net.floats({1, 1, 1, 1}, {1e-6F}), net.floats({1}, {1.0F})});
  const Graph graph = assigned(net.finish({y}), test::settings_for("esp32s3"));
  const Node& conv = test::the_node(graph, "Conv");
  const int shift =
      exponent_of(graph, y) - exponent_of(graph, x) - graph.value(conv.inputs[1]).quant->exponent();
  EXPECT_GE(shift, 0);
  EXPECT_LE(shift, 20 - 8);
}

TEST(ParameterExponents, RaiseAProductWhoseShiftWouldBeNegative) {
  // One factor is small wherever the other is large: the product is finer than the steps of both.
  Network net;
  const ValueId x = net.input("x", {1, 256});
  const ValueId up = net.node("Add", {net.node("Relu", {x}), net.scalar(1e-3F)});
  const ValueId down =
      net.node("Add", {net.node("Relu", {net.node("Neg", {x})}), net.scalar(1e-3F)});
  const ValueId product = net.node("Mul", {up, down});
  const ValueId moved = net.node("Reshape", {product, net.ints({16, 16})});
  const Graph graph = assigned(net.finish({moved}), test::settings_for("esp32s3"));
  EXPECT_EQ(exponent_of(graph, product), exponent_of(graph, up) + exponent_of(graph, down));
  EXPECT_EQ(graph.value(moved).quant, graph.value(product).quant) << "its group goes along";
  EXPECT_GT(std::ldexp(1.0, exponent_of(graph, product)), 1.1e-3 / 127)
      << "it would be finer by itself";
}

TEST(ParameterExponents, ConstantsOfAddsAndClipsTakeTheExponentAroundThem) {
  Network net;
  const ValueId x = net.input("x", {1, 64});
  const ValueId offset = net.scalar(3), low = net.scalar(-1), high = net.scalar(2);
  const ValueId sum = net.node("Add", {x, offset});
  const ValueId bounded = net.node("Clip", {sum, low, high});
  const ValueId factor = net.scalar(0.7F);
  const ValueId product = net.node("Mul", {bounded, factor});
  const Graph graph = assigned(net.finish({product}), test::settings_for("esp32s3"));
  EXPECT_EQ(graph.value(offset).quant, graph.value(sum).quant);
  EXPECT_EQ(graph.value(low).quant, graph.value(sum).quant);
  EXPECT_EQ(graph.value(high).quant, graph.value(sum).quant);
  EXPECT_EQ(exponent_of(graph, factor), -7) << "its own best";
}

TEST(ParameterExponents, AnOutputGivesWayWhereABiasFitsNoOther) {
  // The biases cancel later on: outputs that are tiny, made of a huge one.
  Network net;
  const ValueId x = net.input("x", {1, 1, 4, 4});
  const ValueId weights = net.floats({1, 1, 1, 1}, {1e-3F}), bias = net.floats({1}, {1e12F});
  const ValueId y = net.node("Conv", {x, weights, bias});
  const ValueId last = net.node("Tanh", {net.node("Mul", {y, net.scalar(1e-12F)})});
  const Graph graph = assigned(net.finish({last}), test::settings_for("esp32s3"));
  EXPECT_LE(std::ldexp(1e12, -exponent_of(graph, bias)), (1 << 19) - 1);
  EXPECT_EQ(exponent_of(graph, bias), exponent_of(graph, x) + exponent_of(graph, weights));
  EXPECT_GE(exponent_of(graph, y), exponent_of(graph, bias));
}

}  // namespace
}  // namespace espquant::quant
