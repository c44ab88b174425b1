#include <gtest/gtest.h>

#include "tests/sim/one_node.h"
#include "tests/support/errors.h"

namespace espquant::test {
namespace {

using Integers = std::vector<std::int64_t>;

bool refused(const OneNode& node, const char* target = "esp32s3") {
  return error_of([&] { node.result(target); }).code() == ErrorCode::Illegal;
}

// ESP-DL 3.14.
TEST(Concat, AlongAnInnerAxis) {
  const auto node = OneNode("Concat")
                        .input(int8({1, 2, 3, 4}, {2, 2}))
                        .input(int8({5, 6}, {2, 1}))
                        .output(DType::Int8)
                        .attribute("axis", std::int64_t{-1});
  EXPECT_TRUE(node.result().equals(int8({1, 2, 5, 3, 4, 6}, {2, 3})));
}

TEST(Concat, CopiesWhateverTheExponents) {
  const auto node = OneNode("Concat")
                        .input(int8({1}), -3)
                        .input(int8({2}), -4)
                        .output(DType::Int8, -3)
                        .attribute("axis", std::int64_t{0});
  EXPECT_EQ(node.run<std::int8_t>(), (Ints8{1, 2}));
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"exponents-ignored"}));
}

TEST(Concat, RefusesShapesThatDoNotFit) {
  EXPECT_TRUE(refused(OneNode("Concat")
                          .input(int8({1, 2}, {1, 2}))
                          .input(int8({1, 2}, {2, 1}))
                          .output(DType::Int8)
                          .attribute("axis", std::int64_t{0})));
}

OneNode split(Tensor input, std::int64_t axis, int outputs) {
  OneNode node("Split");
  node.input(std::move(input)).attribute("axis", axis);
  for (int i = 0; i < outputs; ++i) node.output(DType::Int8);
  return node;
}

TEST(Split, IntoGivenSizes) {
  auto node = split(counting(DType::Int8, {2, 3}), 1, 2);
  node.constant(int64({1, 2}));
  const auto parts = node.outputs();
  EXPECT_TRUE(parts[0].equals(int8({0, 3}, {2, 1})));
  EXPECT_TRUE(parts[1].equals(int8({1, 2, 4, 5}, {2, 2})));
}

TEST(Split, ByNumberOnlyWhereItIsAlsoTheSize) {
  auto four = split(counting(DType::Int8, {4}), 0, 2);
  four.attribute("num_outputs", std::int64_t{2});
  EXPECT_TRUE(four.outputs()[1].equals(int8({2, 3})));
  auto six = split(counting(DType::Int8, {6}), 0, 2);
  six.attribute("num_outputs", std::int64_t{2});
  EXPECT_TRUE(refused(six));
}

OneNode slice(Tensor input, std::initializer_list<std::int64_t> starts,
              std::initializer_list<std::int64_t> ends, std::initializer_list<std::int64_t> axes,
              std::initializer_list<std::int64_t> steps) {
  return std::move(OneNode("Slice")
                       .input(std::move(input))
                       .constant(int64(starts))
                       .constant(int64(ends))
                       .constant(int64(axes))
                       .constant(int64(steps))
                       .output(DType::Int8));
}

TEST(Slice, RefusesAnAxisNamedTwice) {
  EXPECT_EQ(error_of([] {
              OneNode("Slice")
                  .input(int8({1, 2, 3, 4}))
                  .constant(int64({0, 1}))
                  .constant(int64({3, 2}))
                  .constant(int64({0, -1}))
                  .output(DType::Int8)
                  .result();
            }).code(),
            ErrorCode::Illegal);
}

TEST(Slice, StartsEndsAndSteps) {
  const Tensor input = counting(DType::Int8, {3, 4});
  EXPECT_TRUE(slice(input, {1}, {INT64_MAX}, {0}, {1})
                  .result()
                  .equals(int8({4, 5, 6, 7, 8, 9, 10, 11}, {2, 4})));
  EXPECT_TRUE(
      slice(input, {0, -3}, {2, -1}, {0, 1}, {1, 1}).result().equals(int8({1, 2, 5, 6}, {2, 2})));
  EXPECT_TRUE(slice(input, {0}, {4}, {1}, {3}).result().equals(int8({0, 3, 4, 7, 8, 11}, {3, 2})));
}

TEST(Slice, ReversesAWholeAxis) {
  const auto node = slice(counting(DType::Int8, {4}), {-1}, {INT64_MIN}, {0}, {-1});
  EXPECT_EQ(node.run<std::int8_t>(), (Ints8{3, 2, 1, 0}));
  EXPECT_TRUE(node.faults().empty());
}

// ONNX takes 4, 3, 2: the runtime slices 0 to 3 and reverses that.
TEST(Slice, ReversesAPartWrongly) {
  const auto node = slice(counting(DType::Int8, {5}), {-1}, {1}, {0}, {-1});
  EXPECT_EQ(node.run<std::int8_t>(), (Ints8{2, 1, 0}));
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"slice-negative-step"}));
}

TEST(Slice, RefusesToLeaveNothing) {
  EXPECT_TRUE(refused(slice(counting(DType::Int8, {5}), {3}, {3}, {0}, {1})));
  EXPECT_TRUE(refused(slice(counting(DType::Int8, {5}), {0}, {3}, {0}, {0})));
}

TEST(Gather, AlongAnAxis) {
  const auto gather = [](std::initializer_list<std::int64_t> indices, Shape shape) {
    return OneNode("Gather")
        .input(counting(DType::Int16, {2, 3}))
        .constant(int64(indices, std::move(shape)))
        .output(DType::Int16)
        .attribute("axis", std::int64_t{1});
  };
  EXPECT_TRUE(gather({2, 0}, {1, 2}).result().equals(int16({2, 0, 5, 3}, {2, 1, 2})));
  EXPECT_TRUE(refused(gather({-1}, {1})));
  EXPECT_TRUE(refused(gather({3}, {1})));
}

OneNode pad(Tensor input, std::initializer_list<std::int64_t> pads, const char* mode) {
  return std::move(OneNode("Pad")
                       .input(std::move(input))
                       .constant(int64(pads))
                       .output(DType::Int8)
                       .attribute("mode", std::string(mode)));
}

TEST(Pad, Modes) {
  const Tensor line = int8({1, 2, 3});
  EXPECT_EQ(pad(line, {2, 1}, "constant").run<std::int8_t>(), (Ints8{0, 0, 1, 2, 3, 0}));
  EXPECT_EQ(pad(line, {2, 1}, "edge").run<std::int8_t>(), (Ints8{1, 1, 1, 2, 3, 3}));
  EXPECT_EQ(pad(line, {2, 1}, "reflect").run<std::int8_t>(), (Ints8{3, 2, 1, 2, 3, 2}));
}

TEST(Pad, SeveralAxesAndAValue) {
  auto node = pad(int8({1, 2, 3, 4}, {2, 2}), {1, 0, 0, 1}, "constant");
  node.constant(int8({9}));
  EXPECT_TRUE(node.result().equals(int8({9, 9, 9, 1, 2, 9, 3, 4, 9}, {3, 3})));
  EXPECT_TRUE(pad(int8({1, 2, 3, 4}, {2, 2}), {0, 1, 1, 0}, "reflect")
                  .result()
                  .equals(int8({2, 1, 2, 4, 3, 4, 2, 1, 2}, {3, 3})));
}

TEST(Pad, ReadsTheValuesBytesWhateverTheirType) {
  auto node = pad(int8({1}), {1, 0}, "constant");
  node.constant(int16({0x0102}));
  EXPECT_EQ(node.run<std::int8_t>(), (Ints8{2, 1}));
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"pad-value-read-raw"}));
}

TEST(Pad, RefusesWhatTheRuntimeReadsBeyond) {
  EXPECT_TRUE(refused(pad(int8({1, 2}), {2, 0}, "reflect")));
  EXPECT_TRUE(refused(pad(int8({1, 2}), {-1, 0}, "constant")));
  EXPECT_TRUE(refused(pad(int8({1, 2}), {1, 0}, "wrap")));
  EXPECT_TRUE(refused(pad(int8({1, 2}), {1}, "edge")));
}

TEST(Transpose, PermutesAnyAxes) {
  const auto transpose = [](Tensor input, Integers perm) {
    return OneNode("Transpose")
        .input(std::move(input))
        .output(DType::Int8)
        .attribute("perm", std::move(perm));
  };
  EXPECT_TRUE(transpose(counting(DType::Int8, {2, 3}), {1, 0})
                  .result()
                  .equals(int8({0, 3, 1, 4, 2, 5}, {3, 2})));
  const Tensor big = counting(DType::Int8, {3, 40, 5, 70});
  for (const Integers& perm : {Integers{0, 3, 1, 2}, Integers{3, 2, 1, 0}, Integers{0, 2, 3, 1},
                               Integers{1, 0, 2, 3}, Integers{0, 1, 3, 2}})
    EXPECT_TRUE(transpose(big, perm).result().equals(big.transposed(perm)));
  EXPECT_TRUE(refused(transpose(big, {0, 1})));
  EXPECT_TRUE(refused(transpose(big, {0, 1, 2, 2})));
}

Shape shape_of(const OneNode& node) { return node.result().shape(); }

OneNode reshape(const char* op, Shape in, std::initializer_list<std::int64_t> parameter) {
  return std::move(OneNode(op)
                       .input(counting(DType::Int8, std::move(in)))
                       .constant(int64(parameter))
                       .output(DType::Int8));
}

TEST(Reshape, ResolvesMinusOneAndZero) {
  EXPECT_EQ(shape_of(reshape("Reshape", {2, 6}, {0, -1, 2})), (Shape{2, 3, 2}));
  EXPECT_TRUE(refused(reshape("Reshape", {2, 6}, {5, -1})));
  EXPECT_TRUE(refused(reshape("Reshape", {2, 6}, {-1, -1})));
  EXPECT_TRUE(refused(reshape("Reshape", {2, 6}, {3, 3})));
}

TEST(Reshape, RefusesADifferentExponent) {
  EXPECT_TRUE(refused(
      OneNode("Reshape").input(int8({1}), -3).constant(int64({1})).output(DType::Int8, -4)));
}

TEST(Flatten, AtAnAxis) {
  const auto flatten = [](std::int64_t axis) {
    return OneNode("Flatten")
        .input(counting(DType::Int8, {2, 3, 4}))
        .output(DType::Int8)
        .attribute("axis", axis);
  };
  EXPECT_EQ(shape_of(flatten(2)), (Shape{6, 4}));
  EXPECT_EQ(shape_of(flatten(-2)), (Shape{2, 12}));
  EXPECT_EQ(shape_of(flatten(0)), (Shape{1, 24}));
}

TEST(Squeeze, DropsAxesOfOneIndex) {
  EXPECT_EQ(shape_of(reshape("Squeeze", {1, 3, 1}, {-1})), (Shape{1, 3}));
  EXPECT_EQ(shape_of(OneNode("Squeeze").input(Tensor(DType::Int8, {1, 3, 1})).output(DType::Int8)),
            (Shape{3}));
}

TEST(Unsqueeze, CountsNegativeAxesItsOwnWay) {
  EXPECT_EQ(shape_of(reshape("Unsqueeze", {3}, {0, 2})), (Shape{1, 3, 1}));
  EXPECT_EQ(shape_of(reshape("Unsqueeze", {3}, {-1})), (Shape{3, 1}));
  const auto two = reshape("Unsqueeze", {3}, {-1, 0});
  EXPECT_EQ(shape_of(two), (Shape{1, 1, 3}));  // ONNX: 1x3x1
  EXPECT_EQ(two.faults(), (std::vector<std::string>{"unsqueeze-negative-axes"}));
}

OneNode blocks(const char* op, Tensor input, std::int64_t block, const char* mode = "CRD") {
  return std::move(OneNode(op)
                       .input(std::move(input))
                       .output(DType::Int8)
                       .attribute("blocksize", block)
                       .attribute("mode", std::string(mode)));
}

TEST(DepthToSpace, ColumnRowDepth) {
  EXPECT_TRUE(blocks("DepthToSpace", counting(DType::Int8, {1, 1, 1, 8}), 2)
                  .result()
                  .equals(int8({0, 4, 1, 5, 2, 6, 3, 7}, {1, 2, 2, 2})));
}

TEST(DepthToSpace, DepthColumnRowAsCoded) {
  const auto two = blocks("DepthToSpace", counting(DType::Int8, {1, 1, 1, 8}), 2, "DCR");
  EXPECT_TRUE(two.result().equals(int8({0, 1, 2, 3, 4, 5, 6, 7}, {1, 2, 2, 2})));
  EXPECT_TRUE(two.faults().empty());
  // One channel: 0 to 3 go to offsets 0, 1, 1, 2.
  const auto one = blocks("DepthToSpace", int8({9, 8, 7, 6}, {1, 1, 1, 4}), 2, "DCR");
  EXPECT_TRUE(one.result().equals(int8({9, 7, 6, 0}, {1, 2, 2, 1})));
  EXPECT_EQ(one.faults(), (std::vector<std::string>{"depth-to-space-dcr"}));
  EXPECT_TRUE(refused(blocks("DepthToSpace", counting(DType::Int8, {1, 1, 1, 12}), 2, "DCR")));
}

TEST(SpaceToDepth, IsChannelMajor) {
  const auto node = blocks("SpaceToDepth", counting(DType::Int8, {1, 2, 2, 2}), 2);
  EXPECT_TRUE(node.result().equals(int8({0, 2, 4, 6, 1, 3, 5, 7}, {1, 1, 1, 8})));
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"space-to-depth-order"}));
  EXPECT_TRUE(refused(blocks("SpaceToDepth", counting(DType::Int8, {1, 3, 2, 1}), 2)));
}

OneNode reverse(Tensor input, std::initializer_list<std::int64_t> lengths, std::int64_t time_axis) {
  const DType dtype = input.dtype();
  return std::move(OneNode("ReverseSequence")
                       .input(std::move(input))
                       .constant(int64(lengths))
                       .output(dtype)
                       .attribute("time_axis", time_axis)
                       .attribute("batch_axis", 1 - time_axis));
}

TEST(ReverseSequence, ReversesTheFirstSteps) {
  const Tensor input = counting(DType::Int8, {2, 3});
  EXPECT_EQ(reverse(input, {3, 2}, 1).run<std::int8_t>(), (Ints8{2, 1, 0, 4, 3, 5}));
  EXPECT_EQ(reverse(input, {2, 1, 2}, 0).run<std::int8_t>(), (Ints8{3, 1, 5, 0, 4, 2}));
  EXPECT_EQ(error_of([&] { reverse(input, {4, 2}, 1).result(); }).code(), ErrorCode::BadData);
  EXPECT_TRUE(refused(reverse(input, {1, 1, 1}, 2)));
}

TEST(ReverseSequence, TruncatesFloats) {
  const auto node = reverse(float32({1.5F, 2.5F}, {1, 2}), {2}, 1);
  EXPECT_EQ(node.run<float>(), (Floats{2.5F, 1}));
  EXPECT_EQ(node.faults(), (std::vector<std::string>{"reverse-sequence-truncates-floats"}));
}

OneNode scatter(const char* reduction, std::initializer_list<std::int64_t> indices) {
  return std::move(OneNode("ScatterND")
                       .input(int8({1, 2, 3, 4}, {2, 2}))
                       .constant(int64(indices, {1, 1}))
                       .input(int8({100, 3}, {1, 2}))
                       .output(DType::Int8)
                       .attribute("reduction", std::string(reduction)));
}

TEST(ScatterNd, ReplacesOrCombinesSlices) {
  EXPECT_EQ(scatter("none", {1}).run<std::int8_t>(), (Ints8{1, 2, 100, 3}));
  EXPECT_EQ(scatter("add", {1}).run<std::int8_t>(), (Ints8{1, 2, 103, 7}));
  EXPECT_EQ(scatter("mul", {1}).run<std::int8_t>(), (Ints8{1, 2, 127, 12}));
  EXPECT_EQ(scatter("max", {0}).run<std::int8_t>(), (Ints8{100, 3, 3, 4}));
  EXPECT_EQ(scatter("min", {0}).run<std::int8_t>(), (Ints8{1, 2, 3, 4}));
  EXPECT_EQ(error_of([] { scatter("none", {2}).result(); }).code(), ErrorCode::BadData);
  EXPECT_TRUE(refused(scatter("xor", {0})));
}

TEST(InsertZeros, SpreadsPixels) {
  const auto node = OneNode("InsertZeros")
                        .input(int8({1, 2, 3, 4}, {1, 2, 2, 1}))
                        .output(DType::Int8)
                        .attribute("stride", Integers{2, 1})
                        .attribute("output_padding", Integers{0, 1});
  EXPECT_TRUE(node.result().equals(int8({1, 2, 0, 0, 0, 0, 3, 4, 0}, {1, 3, 3, 1})));
}

TEST(StreamingCache, PutsThePastInFront) {
  const auto node = OneNode("StreamingCache")
                        .input(int8({1, 2}, {1, 1, 2}))
                        .output(DType::Int8)
                        .attribute("window_size", std::int64_t{3})
                        .attribute("frame_axis", std::int64_t{1});
  const sim::Program program(node.model(), find_target("esp32s3"));
  sim::Program::Frame frame(program);
  const auto feed = [&](const Tensor& x) {
    frame.set(0, x);
    frame.run();
    return frame.tensor(program.outputs()[0]);
  };
  EXPECT_TRUE(feed(int8({1, 2}, {1, 1, 2})).equals(int8({0, 0, 0, 0, 1, 2}, {1, 3, 2})));
  EXPECT_TRUE(feed(int8({3, 4}, {1, 1, 2})).equals(int8({0, 0, 1, 2, 3, 4}, {1, 3, 2})));
  EXPECT_TRUE(feed(int8({5, 6}, {1, 1, 2})).equals(int8({1, 2, 3, 4, 5, 6}, {1, 3, 2})));
  frame.reset();
  EXPECT_TRUE(feed(int8({7, 8}, {1, 1, 2})).equals(int8({0, 0, 0, 0, 7, 8}, {1, 3, 2})));
}

TEST(StreamingCache, CopiesFlatMemoryOnAnInnerAxis) {
  EXPECT_EQ(OneNode("StreamingCache")
                .input(Tensor(DType::Int8, {1, 2, 2}))
                .output(DType::Int8)
                .attribute("window_size", std::int64_t{2})
                .attribute("frame_axis", std::int64_t{2})
                .faults(),
            (std::vector<std::string>{"streaming-cache-inner-axis"}));
}

}  // namespace
}  // namespace espquant::test
