#include "strategy/mask_bounds.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "strategy/quantize_model.h"
#include "tests/quant/calibrated.h"

/// Numbers that only say "the lowest there is", wherever their readers do not care how low.
namespace espquant::strategy {
namespace {

using test::Ints;
using test::Network;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct MaskedCase {
  const char* name;
  /// From x of 1,6,6.
  std::function<ValueId(Network&, ValueId)> build;
};

ValueId last_masked(Network& net, float masked = -1e9F) {
  return net.floats({6}, {0, 0, 0, 0, masked, masked});
}

const test::AttributeList kLastAxis{{"axes", Ints{-1}}};

std::vector<MaskedCase> masked_cases() {
  const auto read_by = [](const char* op, const test::AttributeList& attributes = {}) {
    return [op, attributes](Network& net, ValueId x) {
      return net.node(op, {net.node("Add", {x, last_masked(net)})}, attributes);
    };
  };
  return {
      {"Sigmoid", read_by("Sigmoid")},
      {"Tanh", read_by("Tanh")},
      {"Erf", read_by("Erf")},
      {"Exp", read_by("Exp")},
      {"HardSigmoid", read_by("HardSigmoid")},
      {"Elu", read_by("Elu")},
      {"Softplus", read_by("Softplus")},
      {"Gelu", read_by("Gelu")},
      {"Relu", read_by("Relu")},
      {"MaxPool", read_by("MaxPool", {{"kernel_shape", Ints{3}}})},
      {"GlobalMaxPool", read_by("GlobalMaxPool")},
      {"LeakyRelu and ReduceMax",
       [](Network& net, ValueId x) {
         const ValueId sum = net.node("Add", {x, last_masked(net)});
         return net.node("ReduceMax",
                         {net.node("LeakyRelu", {sum}, {{"alpha", 0.2F}}), net.ints({-1})});
       }},
      {"Swish",
       [](Network& net, ValueId x) {
         const ValueId sum = net.node("Add", {x, last_masked(net)});
         return net.node("Swish", {sum});
       }},
      {"ReduceMax",
       [](Network& net, ValueId x) {
         return net.node("ReduceMax", {net.node("Add", {x, last_masked(net)}), net.ints({-1})});
       }},
      {"ReduceMin",
       [](Network& net, ValueId x) {
         return net.node("ReduceMin", {net.node("Sub", {x, last_masked(net)}), net.ints({-1})});
       }},
      {"ReduceLogSumExp",
       [](Network& net, ValueId x) {
         return net.node("ReduceLogSumExp",
                         {net.node("Add", {x, last_masked(net)}), net.ints({-1})});
       }},
      {"-infinity",
       [](Network& net, ValueId x) {
         return net.node("ReduceMax",
                         {net.node("Add", {x, last_masked(net, kMinusInfinity)}), net.ints({-1})});
       }},
      {"Max with something else",
       [](Network& net, ValueId x) {
         return net.node("Max", {net.node("Add", {x, last_masked(net)}), net.node("Neg", {x})});
       }},
      {"subtracted from",
       [](Network& net, ValueId x) {
         return net.node("Sigmoid", {net.node("Sub", {last_masked(net, 1e9F), x})});
       }},
      {"a Clip between",
       [](Network& net, ValueId x) {
         const ValueId sum = net.node("Add", {x, last_masked(net)});
         return net.node("Softmax", {net.node("Clip", {sum, net.scalar(-1e9F)})});
       }},
      {"a Concat between",
       [](Network& net, ValueId x) {
         const ValueId sum = net.node("Add", {x, last_masked(net)});
         return net.node("Softmax",
                         {net.node("Concat", {net.node("Neg", {x}), sum}, {{"axis", int64_t{2}}})});
       }},
      {"scaled and moved between",
       [](Network& net, ValueId x) {
         const ValueId sum = net.node("Add", {x, last_masked(net, 1e9F)});
         const ValueId turned = net.node("Transpose", {sum}, {{"perm", Ints{0, 2, 1}}});
         const ValueId less = net.node("Mul", {turned, net.scalar(-0.5F)});
         return net.node("Softmax", {less}, {{"axis", int64_t{1}}});
       }},
      {"put beside by Concat",
       [](Network& net, ValueId x) {
         const ValueId masked = net.constant(Tensor::of<float>({1, 6, 1}, std::vector(6, -1e9F)));
         return net.node("Softmax", {net.node("Concat", {x, masked}, {{"axis", int64_t{2}}})});
       }},
      {"put beside by Pad",
       [](Network& net, ValueId x) {
         const ValueId wide = net.node("Pad", {x, net.ints({0, 0, 0, 0, 0, 3}), net.scalar(-1e9F)});
         return net.node("Softmax", {wide});
       }},
      {"the bias of a layer",
       [](Network& net, ValueId x) {
         const ValueId rows = net.node("Reshape", {x, net.ints({6, 6})});
         return net.node("Sigmoid",
                         {net.node("Gemm", {rows, net.random({6, 6}), last_masked(net)})});
       }},
  };
}

float largest_constant(const Graph& network) {
  float largest = 0;
  for (NodeId id : network.topological_order())
    for (ValueId v : network.node(id).inputs)
      if (v != kNone && network.value(v).is_constant() && network.value(v).dtype == DType::Float32)
        largest = std::max(largest, extent_of(network.value(v).constant).reach());
  return largest;
}

TEST(SettleMasks, KeepsWhatIsComputedByConstantsOfTheSizeOfAllElse) {
  for (const MaskedCase& c : masked_cases()) {
    SCOPED_TRACE(c.name);
    Network net;
    const ValueId x = net.input("x", {1, 6, 6});
    const Graph before = net.finish({c.build(net, x)});
    Graph after = before;
    const calib::SampleSource source = test::random_samples(before, 16, -4, 4);
    EXPECT_TRUE(settle_masks(after, source, 16).empty());
    verify(after, "settled");
    // Elsewhere masks are limited; a Clip's own bound may stay.
    if (std::string(c.name) != "a Clip between") {
      EXPECT_LT(largest_constant(after), 80);
    }
    for (std::int64_t i = 0; i < source.count; ++i)
      test::expect_close(test::evaluate(after, source.sample(i))[0],
                         test::evaluate(before, source.sample(i))[0], 1e-4, c.name);
  }
}

TEST(SettleMasks, LeavesWhatDecides) {
  const std::vector<MaskedCase> cases = {
      {"an output",
       [](Network& net, ValueId x) {
         return net.node("Add", {x, last_masked(net)});
       }},
      {"a mean",
       [](Network& net, ValueId x) {
         return net.node("ReduceMean", {net.node("Add", {x, last_masked(net)})}, kLastAxis);
       }},
      {"a second reader",
       [](Network& net, ValueId x) {
         const ValueId sum = net.node("Add", {x, last_masked(net)});
         return net.node("Mul", {net.node("Sigmoid", {sum}), net.node("Abs", {sum})});
       }},
      {"a sum that brings it back",
       [](Network& net, ValueId x) {
         const ValueId sum = net.node("Add", {x, last_masked(net, -1000)});
         return net.node("Sigmoid", {net.node("Sub", {sum, last_masked(net, -1000)})});
       }},
  };
  for (const MaskedCase& c : cases) {
    SCOPED_TRACE(c.name);
    Network net;
    const ValueId x = net.input("x", {1, 6, 6});
    Graph network = net.finish({c.build(net, x)});
    const Graph before = network;
    EXPECT_TRUE(settle_masks(network, test::random_samples(network, 4, -4, 4), 16).empty());
    const auto samples = test::random_samples(network, 4, -4, 4);
    test::expect_close(test::evaluate(network, samples.sample(3))[0],
                       test::evaluate(before, samples.sample(3))[0], 1e-4, c.name);
  }
}

TEST(SettleMasks, RefusesAnInfinityThatIsNoMask) {
  Network net;
  const ValueId x = net.input("x", {1, 6, 6});
  const ValueId sum = net.node("Add", {x, last_masked(net, kMinusInfinity)});
  Graph network = net.finish({net.node("LogSoftmax", {sum})});
  const auto source = test::random_samples(network, 4);
  EXPECT_THROW(settle_masks(network, source, 8), Error);
}

/// x of 1,6,6 and a mask of 0 and 1 for each column.
calib::SampleSource with_flags(float zero, float one) {
  return {16, [=](std::int64_t i) {
            Tensor flags(DType::Float32, {1, 1, 6});
            auto data = flags.mutable_data<float>();
            for (std::size_t k = 0; k < 6; ++k)
              data[k] = (static_cast<std::size_t>(i) + k) % 6 < 2 ? zero : one;
            return std::vector<Tensor>{
                test::random_tensor({1, 6, 6}, static_cast<std::uint64_t>(i) + 5, -4, 4), flags};
          }};
}

TEST(SettleMasks, FactorsOfMasksThatAreComputedGetTheSizeOfTheScores) {
  for (const float factor : {-1e4F, -1e9F, std::numeric_limits<float>::lowest(), -1e-9F}) {
    Network net;
    const ValueId x = net.input("x", {1, 6, 6}), flags = net.input("flags", {1, 1, 6});
    const ValueId masked = net.node("Sub", {net.scalar(1), flags});
    const ValueId mask =
        net.node(std::abs(factor) > 1 ? "Mul" : "Div", {masked, net.scalar(factor)});
    const Graph before = net.finish({net.node("Softmax", {net.node("Add", {x, mask})})});
    Graph after = before;
    const calib::SampleSource source = with_flags(0, 1);
    settle_masks(after, source, 16);
    EXPECT_LT(largest_constant(after), 40);
    for (std::int64_t i = 0; i < source.count; ++i)
      test::expect_close(test::evaluate(after, source.sample(i))[0],
                         test::evaluate(before, source.sample(i))[0], 4e-5, "Softmax");
  }
}

// Of such a row float32 makes equal probabilities: beside 1e9 it does not see the scores.
TEST(SettleMasks, ARowThatIsMaskedThroughoutStaysEven) {
  Network net;
  const ValueId x = net.input("x", {1, 6, 6}), flags = net.input("flags", {1, 1, 6});
  const ValueId both =
      net.node("Mul", {flags, net.node("Transpose", {flags}, {{"perm", Ints{0, 2, 1}}})});
  const ValueId mask = net.node("Mul", {net.node("Sub", {net.scalar(1), both}), net.scalar(-1e9F)});
  const Graph before = net.finish({net.node("Softmax", {net.node("Add", {x, mask})})});
  Graph after = before;
  const calib::SampleSource source = with_flags(0, 1);
  settle_masks(after, source, 16);
  EXPECT_LT(largest_constant(after), 40);
  for (std::int64_t i = 0; i < source.count; ++i)
    test::expect_close(test::evaluate(after, source.sample(i))[0],
                       test::evaluate(before, source.sample(i))[0], 4e-5, "Softmax");
}

TEST(SettleMasks, RowsOfLowScoresAreNoMask) {
  Network net;
  const ValueId x = net.input("x", {1, 6, 6});
  // Rows from -24 to -2400 and below.
  const ValueId spread = net.floats({6, 1}, {1, 3, 10, 30, 100, 300});
  const ValueId low =
      net.node("Mul", {net.node("Mul", {net.node("Mul", {x, x}), net.scalar(-150)}), spread});
  const Graph before = net.finish({net.node("Softmax", {low})});
  Graph after = before;
  const calib::SampleSource source = test::random_samples(before, 16, 2, 4);
  settle_masks(after, source, 16);
  for (std::int64_t i = 0; i < source.count; ++i)
    test::expect_close(test::evaluate(after, source.sample(i))[0],
                       test::evaluate(before, source.sample(i))[0], 4e-5, "Softmax");
}

TEST(SettleMasks, AMaskThatComesFromOutsideIsLimitedInTheSamples) {
  Network net;
  const ValueId x = net.input("x", {1, 6, 6}), mask = net.input("mask", {1, 1, 6});
  Graph network = net.finish({net.node("Softmax", {net.node("Add", {x, mask})})});
  const calib::SampleSource source = with_flags(-1e9F, 0);
  const std::vector<Range> limits = settle_masks(network, source, 8);
  ASSERT_EQ(limits.size(), 2U);
  EXPECT_FALSE(limits[0].is_bounded());
  EXPECT_GT(limits[1].low, -40);
  EXPECT_LT(limits[1].low, -8);
  const std::vector<Tensor> sample = limited(source, limits).sample(0);
  EXPECT_EQ(extent_of(sample[1]), (Range{limits[1].low, 0}));
  EXPECT_TRUE(sample[0].equals(source.sample(0)[0]));
}

TEST(SettleMasks, TheChipSeesTheScoresBesideAMaskFromOutside) {
  Network net;
  const ValueId x = net.input("x", {1, 6, 6}), mask = net.input("mask", {1, 1, 6});
  const ValueId p = net.node("Softmax", {net.node("Add", {x, mask})});
  const Graph network = net.finish({net.node("MatMul", {p, net.random({6, 4})})});
  for (const char* chip : {"esp32s3", "esp32p4"})
    for (const char* recipe : {"int8", "int16"}) {
      QuantizeOptions options;
      options.recipe = recipe::find_recipe(recipe);
      options.target = &find_target(chip);
      const QuantizedModel made = quantize_model(network, with_flags(-1e9F, 0), options);
      EXPECT_LT(made.noise.output.ratio(), std::string(recipe) == "int8" ? 5e-3 : 1e-5)
          << chip << ' ' << recipe;
    }
}

}  // namespace
}  // namespace espquant::strategy
