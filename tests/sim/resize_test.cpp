#include <gtest/gtest.h>

#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

namespace espquant::test {
namespace {

OneNode resize(Tensor input, Tensor scales, const char* mode, int in = -4, int out = -4) {
  const DType dtype = input.dtype();
  return std::move(OneNode("Resize")
                       .input(std::move(input), in)
                       .absent()
                       .constant(std::move(scales))
                       .output(dtype, out)
                       .attribute("mode", std::string(mode))
                       .attribute("coordinate_transformation_mode", std::string("asymmetric"))
                       .attribute("nearest_mode", std::string("floor")));
}

const Tensor kTwice = float32({1, 1, 2, 2});

// ESP-DL 3.16.
TEST(ResizeNearest, RepeatsPixels) {
  const Tensor result = resize(int8({1, 2, 3, 4}, {1, 2, 2, 1}), kTwice, "nearest").result();
  EXPECT_TRUE(result.equals(int8({1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}, {1, 4, 4, 1})));
}

TEST(ResizeNearest, TakesSizesInsteadOfScales) {
  const Tensor result = OneNode("Resize")
                            .input(int8({1, 2, 3}, {1, 1, 3, 1}), -4)
                            .absent()
                            .absent()
                            .constant(int64({1, 1, 1, 5}))
                            .output(DType::Int8, -4)
                            .attribute("mode", std::string("nearest"))
                            .result("c");
  EXPECT_TRUE(result.equals(int8({1, 1, 2, 2, 3}, {1, 1, 5, 1})));
}

TEST(ResizeNearest, RescalesAsTheFamilyDoes) {
  const auto node = resize(int8({3, -3}, {1, 1, 1, 2}), kTwice, "nearest", -4, -3);
  EXPECT_EQ(node.run<std::int8_t>("esp32s3")[0], 2);
  EXPECT_EQ(node.run<std::int8_t>("esp32s3")[1], -1);
  EXPECT_EQ(node.run<std::int8_t>("esp32p4")[1], -2);
}

TEST(ResizeNearest, LeftShiftsWrapOrTurnTheSign) {
  const auto by_two = resize(int8({100}, {1, 1, 1, 1}), kTwice, "nearest", -4, -5);
  EXPECT_EQ(by_two.run<std::int8_t>("esp32s3")[0], 127);
  EXPECT_EQ(by_two.run<std::int8_t>("c")[0], -56);
  EXPECT_EQ(by_two.faults("c"), (std::vector<std::string>{"resize-left-shift"}));
  const auto by_128 = resize(int8({1}, {1, 1, 1, 1}), kTwice, "nearest", -4, -11);
  EXPECT_EQ(by_128.run<std::int8_t>("esp32s3")[0], -128);
  EXPECT_EQ(by_128.faults("esp32s3"), (std::vector<std::string>{"resize-left-shift"}));
}

TEST(ResizeNearest, NarrowChannelsAreGarbageOnTheS3) {
  const auto node = resize(Tensor(DType::Int8, {1, 2, 2, 8}), float32({1, 1, 3, 3}), "nearest");
  const Error error = error_of([&] { node.result("esp32s3"); });
  EXPECT_EQ(error.code(), ErrorCode::Illegal);
  EXPECT_FALSE(error.remedy().empty());
  EXPECT_EQ(node.faults("esp32p4"), (std::vector<std::string>{"resize-nearest-narrow-channels"}));
  EXPECT_TRUE(node.faults("c").empty());
}

TEST(ResizeNearest, SaysWhereItsCoordinatesAreNotThoseOfTheModel) {
  auto node = resize(Tensor(DType::Int8, {1, 2, 2, 16}), float32({1, 1, 1.5F, 1.5F}), "nearest");
  EXPECT_TRUE(node.faults().empty());
  node.attribute("nearest_mode", std::string("ceil"));
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"resize-ignores-coordinates"}));
}

// Half-pixel centres, whatever the attribute says: weights 1/4 and 3/4.
TEST(ResizeLinear, InterpolatesAPlane) {
  auto node = resize(int8({0, 16, 32, 48}, {1, 2, 2, 1}), kTwice, "linear");
  const Tensor expected = int8({0, 4, 12, 16,    //
                                8, 12, 20, 24,   //
                                24, 28, 36, 40,  //
                                32, 36, 44, 48},
                               {1, 4, 4, 1});
  EXPECT_TRUE(node.result().equals(expected));
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"resize-ignores-coordinates"}));
}

TEST(ResizeLinear, InterpolatesALine) {
  auto node = resize(int8({0, 16, 48}, {1, 3, 1}), float32({1, 1, 2}), "linear");
  EXPECT_EQ(node.run<std::int8_t>(), (Ints8{0, 4, 12, 24, 40, 48}));
}

TEST(ResizeLinear, AlignsCorners) {
  auto node = resize(int8({0, 40}, {1, 2, 1}), float32({1, 1, 2.5F}), "linear");
  node.attribute("coordinate_transformation_mode", std::string("align_corners"));
  EXPECT_EQ(node.run<std::int8_t>(), (Ints8{0, 10, 20, 30, 40}));
}

TEST(Resize, Int16StaysUnwritten) {
  const auto node = resize(int16({1, 2}, {1, 1, 2, 1}), kTwice, "nearest");
  EXPECT_EQ(node.run<std::int16_t>(), (Ints16(8, 0)));
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"resize-int16-unwritten"}));
}

TEST(Resize, RefusesWhatTheRuntimeCannot) {
  const auto refused = [](const OneNode& node) {
    return error_of([&] { node.result(); }).code() == ErrorCode::Illegal;
  };
  EXPECT_TRUE(refused(resize(int8({1, 2}, {1, 1, 2, 1}), kTwice, "cubic")));
  EXPECT_TRUE(refused(resize(int8({1, 2}, {1, 1, 2, 1}), kTwice, "linear")));  // one row
  EXPECT_TRUE(refused(resize(int8({1, 2}, {1, 1, 2, 1}), float32({1, 1, 0.1F, 1}), "nearest")));
  EXPECT_TRUE(refused(resize(float32({1}, {1, 1, 1, 1}), kTwice, "nearest")));
}

}  // namespace
}  // namespace espquant::test
