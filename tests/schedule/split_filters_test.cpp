#include <gtest/gtest.h>

#include "schedule/rewrites.h"
#include "schedule/same_integers.h"
#include "tests/schedule/filled.h"

namespace espquant::schedule {
namespace {

using test::filled;
using test::SmallModel;

const Target& chip(std::string_view name, std::string_view release) {
  return find_target(name).under(find_release(release));
}

/// A filter of 1024 * channels bytes on 10 x 10 pixels.
SmallModel pointwise(std::int64_t channels, std::vector<int> exponents = {-9}) {
  const Shape in{1, 10, 10, 1024};
  return SmallModel()
      .input("x", in)
      .constant("w", DType::Int8, {1, 1, 1024, channels}, exponents)
      .constant("b", DType::Int32, {channels}, exponents)
      .node("Conv", {"x", "w", "b"}, "y", {1, 10, 10, channels})
      .attribute("quant_type", std::string("S8"))
      .attribute("activation", std::string("Relu"))
      .output("y");
}

TEST(SplitFilters, AFilterBeyondTheCacheBecomesSeveral) {
  const Target& target = chip("esp32s3", "3.3.9");
  const espdl::Model before = filled(pointwise(168));
  espdl::Model after = before;
  EXPECT_EQ(split_filters(after, {target}), 1);
  ASSERT_GE(after.nodes.size(), 3u);
  EXPECT_EQ(after.nodes.back().op, "Concat");
  EXPECT_EQ(after.nodes.back().outputs[0], "y");
  // Whole vectors, and what fills none of them behind the last.
  std::int64_t sum = 0;
  for (std::size_t n = 0; n + 1 < after.nodes.size(); ++n) {
    const std::int64_t channels = after.find_value(after.nodes[n].outputs[0])->shape.back();
    EXPECT_EQ(channels % 16, n + 2 < after.nodes.size() ? 0 : 8);
    sum += channels;
  }
  EXPECT_EQ(sum, 168);
  EXPECT_EQ(after.find_initializer("w"), nullptr);
  require_same_integers(before, after, target);
}

TEST(SplitFilters, EachChannelKeepsItsExponent) {
  const Target& target = chip("esp32p4", "3.3.9");
  std::vector<int> exponents;
  for (int c = 0; c < 1024; ++c) exponents.push_back(-9 - c % 4);
  const espdl::Model before = filled(pointwise(1024, exponents));
  espdl::Model after = before;
  ASSERT_EQ(split_filters(after, {target}), 1);
  require_same_integers(before, after, target);
}

TEST(SplitFilters, WhatIsNotFasterStays) {
  const auto changes = [](std::int64_t channels, std::string_view name, std::string_view release) {
    espdl::Model model = filled(pointwise(channels));
    return split_filters(model, {chip(name, release)});
  };
  EXPECT_EQ(changes(32, "esp32s3", "3.3.9"), 0) << "it fits the cache";
  EXPECT_EQ(changes(168, "esp32", "3.3.9"), 0) << "no cache that is known of";
}

}  // namespace
}  // namespace espquant::schedule
