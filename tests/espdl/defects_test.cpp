#include <gtest/gtest.h>

#include <algorithm>

#include "espdl/bytes.h"
#include "espdl/reader.h"
#include "espdl/writer.h"
#include "tests/espdl/expect_equal.h"
#include "tests/espdl/sample_model.h"

/// The reader that goes on after defects.
namespace espquant::espdl {
namespace {

struct Outcome {
  Model model;
  std::vector<Error> defects;

  /// Tensors, else nodes, of all defects.
  std::vector<std::string> places() const {
    std::vector<std::string> all;
    for (const Error& e : defects) all.push_back(e.tensor().empty() ? e.node() : e.tensor());
    return all;
  }
};

Outcome read_on(std::span<const std::byte> file) {
  Outcome outcome;
  outcome.model = read_model(file, {}, outcome.defects);
  return outcome;
}

Outcome read_on(const Model& model) {
  const auto file = write_model(model);
  EXPECT_THROW(read_model(file), Error);
  return read_on(file);
}

using Names = std::vector<std::string>;

TEST(Defects, ThereAreNoneInASoundModel) {
  const auto outcome = read_on(write_model(sample_model()));
  EXPECT_TRUE(outcome.defects.empty());
  expect_equal(outcome.model, sample_model());
}

TEST(Defects, AllUndefinedNamesAreListed) {
  Model model = sample_model();
  model.nodes[0].inputs[1] = "filters";
  model.nodes[1].inputs[2] = "factors";
  const auto outcome = read_on(model);
  EXPECT_EQ(outcome.places(), (Names{"filters", "factors"}));
  EXPECT_EQ(outcome.defects[1].node(), "clip");
  EXPECT_EQ(outcome.model.nodes.size(), 2U);
}

TEST(Defects, ATensorProducedTwice) {
  Model model = sample_model();
  model.nodes.push_back(model.nodes[0]);
  EXPECT_EQ(read_on(model).places(), (Names{"hidden"}));
}

TEST(Defects, ACircleNamesItsNodes) {
  Model model = sample_model();
  model.nodes[0].inputs[0] = "output";
  const auto outcome = read_on(model);
  ASSERT_EQ(outcome.defects.size(), 1U);
  EXPECT_NE(outcome.defects[0].message().find("'conv', 'clip'"), std::string::npos);
  EXPECT_EQ(outcome.model.nodes.size(), 2U);
}

TEST(Defects, ATensorDescribedTwiceDifferently) {
  Model model = sample_model();
  model.values.push_back(model.values[1]);
  model.values.back().exponents = {3};
  const auto outcome = read_on(model);
  EXPECT_EQ(outcome.places(), (Names{"hidden"}));
  EXPECT_EQ(outcome.model.find_value("hidden")->exponent(), -4);
}

TEST(Defects, ATensorWithTooManyExponentsIsLeftOut) {
  Model model = sample_model();
  model.initializers[0].exponents.assign(5, 0);
  const auto outcome = read_on(model);
  EXPECT_EQ(outcome.model.find_initializer("filter"), nullptr);
  EXPECT_NE(outcome.model.find_initializer("bias"), nullptr);
  ASSERT_FALSE(outcome.defects.empty());
  EXPECT_EQ(outcome.defects[0].tensor(), "filter");
}

/// Moves the elements of tensor 0 by 4 bytes: its data starts with the number of blocks, which
/// becomes the vector's length.
std::vector<std::byte> with_unaligned_elements() {
  constexpr std::uint32_t kBlocks = 2, kMark = 0x5AC3A53C;
  Model model = sample_model();
  model.initializers[0] = {
      "filter", Tensor::of<std::int32_t>({8}, {kBlocks, kMark, 0, 0, 0, 0, 0, 0}), {0}, ""};
  auto file = write_model(model);
  std::size_t mark = 16;
  while (load_u32(file, mark) != kMark) mark += 4;
  const std::size_t vector = mark - 8;  // its length, its first element, the mark
  for (std::size_t at = 16; at < vector; at += 4)
    if (at + load_u32(file, at) == vector)
      store_u32(file, at, static_cast<std::uint32_t>(vector + 4 - at));
  return file;
}

TEST(Defects, ElementsOffTheirBoundary) {
  const auto file = with_unaligned_elements();
  EXPECT_NO_THROW(read_model(file)) << "a PC can read it";
  const auto outcome = read_on(file);
  ASSERT_EQ(outcome.places(), (Names{"filter"}));
  EXPECT_NE(outcome.defects[0].message().find("no multiple of 16"), std::string::npos);
  EXPECT_NE(outcome.model.find_initializer("filter"), nullptr);
}

TEST(Defects, OfAnyFlippedBitNeverCrash) {
  const auto file = write_model(sample_model());
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    auto damaged = file;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    try {
      read_on(damaged);
    } catch (const Error& e) {
      EXPECT_NE(e.code(), ErrorCode::Internal) << e.what();
    }
  }
}

}  // namespace
}  // namespace espquant::espdl
