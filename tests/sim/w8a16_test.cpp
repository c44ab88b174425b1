#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "espdl/filter_layout.h"
#include "sim/check.h"
#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

/// int8 weights below int16 activations (ESP-DL 3.3.11).
namespace espquant::test {
namespace {

using Shifts = std::vector<int>;

std::string w8a16() { return std::string(espdl::kW8A16); }

/// A layer of windows [KH][KW] over one image, with everything that the rule of W8A16 speaks of.
struct NarrowLayer {
  std::int64_t height = 1, width = 1, channels = 1, outputs = 1, kernel = 1;
  /// e_out - e_in - e_w by output channel, or one for all.
  Shifts shifts{0};
  bool relu = false;
};

struct NarrowCase {
  Tensor x, w, bias;
};

NarrowCase draw(const NarrowLayer& l, std::uint64_t seed) {
  Random random(seed);
  NarrowCase c{Tensor(DType::Int16, {1, l.height, l.width, l.channels}),
               Tensor(DType::Int8, {l.outputs, l.kernel, l.kernel, l.channels}),
               Tensor(DType::Int64, {l.outputs})};
  for (auto& v : c.x.mutable_data<std::int16_t>())
    v = static_cast<std::int16_t>(random.between(-32768, 32767));
  for (auto& v : c.w.mutable_data<std::int8_t>())
    v = static_cast<std::int8_t>(random.between(-128, 127));
  for (auto& v : c.bias.mutable_data<std::int64_t>()) v = random.between(-1 << 22, 1 << 22);
  return c;
}

/// acc = bias + sum x * w; y = sat16(round(acc / 2^shift)), ReLU last. No sum of these tests comes
/// near 40 bits.
std::vector<std::int16_t> by_the_rule(const NarrowLayer& l, const NarrowCase& c, bool half_even) {
  const auto x = c.x.data<std::int16_t>();
  const auto w = c.w.data<std::int8_t>();
  const auto bias = c.bias.data<std::int64_t>();
  const std::int64_t out_h = l.height - l.kernel + 1, out_w = l.width - l.kernel + 1;
  std::vector<std::int16_t> y;
  for (std::int64_t oy = 0; oy < out_h; ++oy)
    for (std::int64_t ox = 0; ox < out_w; ++ox)
      for (std::int64_t n = 0; n < l.outputs; ++n) {
        std::int64_t sum = bias[static_cast<std::size_t>(n)];
        for (std::int64_t ky = 0; ky < l.kernel; ++ky)
          for (std::int64_t kx = 0; kx < l.kernel; ++kx)
            for (std::int64_t i = 0; i < l.channels; ++i)
              sum += std::int64_t{x[static_cast<std::size_t>(
                         ((oy + ky) * l.width + ox + kx) * l.channels + i)]} *
                     w[static_cast<std::size_t>(((n * l.kernel + ky) * l.kernel + kx) * l.channels +
                                                i)];
        const int shift = l.shifts[l.shifts.size() > 1 ? static_cast<std::size_t>(n) : 0];
        const std::int64_t step = std::int64_t{1} << shift, below = sum & (step - 1);
        std::int64_t rounded = sum >> shift;
        const bool tie = 2 * below == step;
        if (2 * below > step || (tie && (!half_even || (rounded & 1) != 0))) ++rounded;
        if (l.relu) rounded = std::max<std::int64_t>(rounded, 0);
        y.push_back(static_cast<std::int16_t>(std::clamp<std::int64_t>(rounded, -32768, 32767)));
      }
  return y;
}

OneNode narrow_conv(const NarrowLayer& l, const NarrowCase& c, int lanes) {
  OneNode node("Conv");
  node.input(c.x);
  const Tensor filter = espdl::pack_filter(c.w, false, lanes);
  // Of an output of exponent 0.
  if (l.shifts.size() == 1) {
    node.constant(filter, -l.shifts[0]);
  } else {
    std::vector<int> exponents;
    for (int shift : l.shifts) exponents.push_back(-shift);
    node.constant_per_channel(filter, exponents);
  }
  return node.constant(c.bias)
      .attribute("quant_type", w8a16())
      .attribute("activation", std::string(l.relu ? "Relu" : "Linear"))
      .output(DType::Int16);
}

struct Chip {
  const char* name;
  int lanes;
  bool half_even;
};
constexpr Chip kChips[] = {{"esp32s3", 8, false}, {"esp32p4", 8, true}, {"esp32", 1, false}};

TEST(W8A16, EveryChipFollowsTheRule) {
  const NarrowLayer layers[] = {{1, 5, 16, 16, 1, {12}, false},
                                {1, 5, 7, 13, 1, {11}, true},
                                {5, 4, 3, 9, 3, {13}, false},
                                {4, 4, 24, 8, 2, {15}, true},
                                {1, 1, 130, 3, 1, {0}, false}};
  std::uint64_t seed = 1;
  for (const NarrowLayer& layer : layers) {
    const NarrowCase c = draw(layer, seed++);
    for (const Chip& chip : kChips)
      for (const sim::KernelChoice kernels :
           {sim::KernelChoice::Fast, sim::KernelChoice::Reference}) {
        OneNode node = narrow_conv(layer, c, chip.lanes);
        node.options({.kernels = kernels});
        EXPECT_EQ(node.run<std::int16_t>(chip.name), by_the_rule(layer, c, chip.half_even))
            << chip.name << ", layer " << seed;
      }
  }
}

TEST(W8A16, HasExponentsPerChannelOnTheP4Only) {
  const NarrowLayer layer{1, 6, 8, 11, 1, {8, 9, 10, 11, 12, 8, 9, 10, 11, 12, 8}, false};
  const NarrowCase c = draw(layer, 7);
  const OneNode node = narrow_conv(layer, c, 8);
  EXPECT_EQ(node.run<std::int16_t>("esp32p4"), by_the_rule(layer, c, true));
  EXPECT_EQ(error_of([&] { node.result("esp32s3"); }).code(), ErrorCode::Illegal);
}

TEST(W8A16, GemmAndMatMulAreConvolutionsOfRows) {
  const NarrowLayer layer{1, 3, 10, 12, 1, {9}, false};
  const NarrowCase c = draw(layer, 3);
  for (const Chip& chip : kChips) {
    const Tensor packed = espdl::pack_filter(c.w, false, chip.lanes);
    OneNode gemm("Gemm");
    gemm.input(c.x.reshaped({3, 10}))
        .constant(packed, -9)
        .constant(c.bias)
        .attribute("quant_type", w8a16())
        .output(DType::Int16);
    EXPECT_EQ(gemm.run<std::int16_t>(chip.name), by_the_rule(layer, c, chip.half_even));
    NarrowCase without_bias = c;
    without_bias.bias = Tensor(DType::Int64, {12});
    OneNode product("MatMul");
    product.input(c.x.reshaped({3, 10}))
        .constant(packed.reshaped({10, 12}), -9)
        .attribute("quant_type", w8a16())
        .output(DType::Int16);
    EXPECT_EQ(product.run<std::int16_t>(chip.name),
              by_the_rule(layer, without_bias, chip.half_even));
  }
}

TEST(W8A16, RegistersOfTheS3HaveFortyBitsAsThoseOfInt16) {
  // 2^22 at most each: 131,072 products reach 2^39, so the bias has to bring the sum there.
  const auto start = [](std::int64_t bias) {
    return OneNode("Conv")
        .input(int16({32767}, {1, 1, 1, 1}))
        .constant(
            espdl::pack_filter(
                Tensor::of<std::int8_t>({8, 1, 1, 1}, std::vector<std::int8_t>(8, 127)), false, 8),
            -30)
        .constant(Tensor::of<std::int64_t>({8}, std::vector<std::int64_t>(8, bias)))
        .attribute("quant_type", w8a16())
        .output(DType::Int16);
  };
  const std::int64_t limit = (std::int64_t{1} << 39) - 1;
  EXPECT_EQ(start(limit - 127 * 32767).run<std::int16_t>("esp32s3")[0], 512);
  EXPECT_EQ(start(limit).run<std::int16_t>("esp32s3")[0], 512) << "clipped at 2^39 - 1";
  EXPECT_EQ(start(limit + 1).run<std::int16_t>("esp32s3")[0], -512) << "the bias keeps 40 bits";
}

TEST(W8A16, IsNewInRelease3311) {
  const NarrowLayer layer{1, 2, 8, 8, 1, {10}, false};
  const OneNode node = narrow_conv(layer, draw(layer, 5), 8);
  const Target& s3 = find_target("esp32s3");
  EXPECT_NO_THROW(sim::Program(node.model(), s3.under(find_release("3.3.11"))));
  const Error error =
      error_of([&] { sim::Program(node.model(), s3.under(find_release("3.3.10"))); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_NE(error.remedy().find("3.3.11"), std::string::npos) << error.remedy();
}

TEST(W8A16, SaysWhereTheP4sEarlyKernelsReadTheWrongWeights) {
  const auto faults = [](std::int64_t channels, std::int64_t kernel, const char* target) {
    const NarrowLayer layer{4, 4, channels, 8, kernel, {10}, false};
    return narrow_conv(layer, draw(layer, 5), 8).faults(target);
  };
  EXPECT_EQ(faults(3, 3, "esp32p4"), (std::vector<std::string>{"p4-w8a16-odd-channels"}));
  EXPECT_TRUE(faults(4, 3, "esp32p4").empty());
  EXPECT_TRUE(faults(3, 1, "esp32p4").empty());
  EXPECT_TRUE(faults(3, 3, "esp32s3").empty());
}

struct Refused {
  const char* what;
  OneNode node;
  const char* says;
};

TEST(W8A16, RefusesWhatHasNoKernel) {
  const Tensor x = int16({1, 2, 3, 4}, {1, 1, 2, 2});
  const auto conv = [&](const Tensor& in, const Tensor& filter, DType out) {
    return OneNode("Conv").input(in).constant(filter).attribute("quant_type", w8a16()).output(out);
  };
  const Tensor narrow = int8({1, 2, 3, 4}, {1, 1, 2, 2});
  const Refused cases[] = {
      {"depthwise",
       conv(x, int8({1, 2}, {1, 1, 2, 1}), DType::Int16).attribute("group", std::int64_t{2}),
       "depthwise"},
      {"weights of int16", conv(x, int16({1, 2, 3, 4}, {1, 1, 2, 2}), DType::Int16), "int16"},
      {"an input of int8", conv(int8({1, 2, 3, 4}, {1, 1, 2, 2}), narrow, DType::Int16), "int8"},
      {"an output of int8", conv(x, narrow, DType::Int8), "int8"},
      {"a bias of int32",
       OneNode("Conv")
           .input(x)
           .constant(narrow)
           .constant(Tensor::of<std::int32_t>({2}, {1, 2}))
           .attribute("quant_type", w8a16())
           .output(DType::Int16),
       "int64"},
      {"weights of run time",
       OneNode("MatMul")
           .input(int16({1, 2}, {1, 2}))
           .input(int8({1, 2}, {2, 1}))
           .attribute("quant_type", w8a16())
           .output(DType::Int16),
       "run time"},
      {"narrow weights without the type's name",
       OneNode("Conv")
           .input(x)
           .constant(narrow)
           .attribute("quant_type", std::string("S16"))
           .output(DType::Int16),
       "all int16"},
      {"another operator",
       OneNode("Add").input(x).input(x).attribute("quant_type", w8a16()).output(DType::Int16),
       "W8A16"},
  };
  for (const Refused& c : cases) {
    const Error error = error_of([&] { c.node.result("esp32s3"); });
    EXPECT_NE(std::string(error.what()).find(c.says), std::string::npos)
        << c.what << ": " << error.what();
  }
}

/// With all that the check asks for.
OneNode complete(int lanes) {
  const NarrowLayer layer{1, 2, 8, 8, 1, {10}, false};
  OneNode node = narrow_conv(layer, draw(layer, 5), lanes);
  node.attribute("dilations", std::vector<std::int64_t>{1, 1})
      .attribute("strides", std::vector<std::int64_t>{1, 1});
  return node;
}

TEST(W8A16, TheCheckKnowsItsLayout) {
  const auto with_doc = [](std::string doc) {
    OneNode node = complete(8);
    espdl::Model model = node.model();
    model.initializers[0].doc = std::move(doc);
    model.initializers[1].exponents = {-10};
    std::vector<std::string> names;
    // A model of one node does not say its output's shape.
    for (const sim::Finding& finding : sim::check(model, find_target("esp32s3")))
      if (finding.name != "shape") names.push_back(finding.name);
    return names;
  };
  EXPECT_TRUE(with_doc("layout ==> (N/8)HWC8").empty());
  EXPECT_EQ(with_doc("layout ==> (N/16)HWC16"), std::vector<std::string>{"filter-layout"});
}

}  // namespace
}  // namespace espquant::test
