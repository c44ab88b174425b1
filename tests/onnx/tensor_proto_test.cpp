#include "onnx/tensor_proto.h"

#include <gtest/gtest.h>

#include "onnx_schema.pb.h"
#include "tests/support/errors.h"
#include "tests/support/model_bytes.h"

namespace espquant::onnx {
namespace {

onnx_schema::Tensor message_of(DType dtype, Shape shape) {
  onnx_schema::Tensor message;
  message.set_data_type(static_cast<int>(dtype));
  for (std::int64_t extent : shape) message.add_dims(extent);
  return message;
}

Tensor read(const onnx_schema::Tensor& message) {
  return read_tensor_proto(test::bytes_of(message));
}

TEST(TensorProto, ReadsFloatData) {
  auto message = message_of(DType::Float32, {2, 1});
  message.add_float_data(1.5F);
  message.add_float_data(-2.F);
  EXPECT_TRUE(read(message).equals(Tensor::of<float>({2, 1}, {1.5F, -2.F})));
}

TEST(TensorProto, ReadsDoubleData) {
  auto message = message_of(DType::Float64, {1});
  message.add_double_data(0.1);
  EXPECT_TRUE(read(message).equals(Tensor::of<double>({1}, {0.1})));
}

TEST(TensorProto, ReadsInt64Data) {
  auto message = message_of(DType::Int64, {2});
  message.add_int64_data(-1);
  message.add_int64_data(std::int64_t{1} << 40);
  EXPECT_TRUE(read(message).equals(Tensor::of<std::int64_t>({2}, {-1, std::int64_t{1} << 40})));
}

TEST(TensorProto, ReadsUnsignedTypesFromUint64Data) {
  auto wide = message_of(DType::UInt64, {1});
  wide.add_uint64_data(~std::uint64_t{0});
  EXPECT_TRUE(read(wide).equals(Tensor::of<std::uint64_t>({1}, {~std::uint64_t{0}})));
  auto narrow = message_of(DType::UInt32, {1});
  narrow.add_uint64_data(0xFFFFFFFFU);
  EXPECT_TRUE(read(narrow).equals(Tensor::of<std::uint32_t>({1}, {0xFFFFFFFFU})));
}

TEST(TensorProto, ReadsNarrowTypesFromInt32Data) {
  const auto stored = [](DType dtype, int value) {
    auto message = message_of(dtype, {1});
    message.add_int32_data(value);
    return read(message);
  };
  EXPECT_TRUE(stored(DType::Int32, -70000).equals(Tensor::of<std::int32_t>({1}, {-70000})));
  EXPECT_TRUE(stored(DType::Int16, -300).equals(Tensor::of<std::int16_t>({1}, {-300})));
  EXPECT_TRUE(stored(DType::UInt16, 65535).equals(Tensor::of<std::uint16_t>({1}, {65535})));
  EXPECT_TRUE(stored(DType::Int8, -128).equals(Tensor::of<std::int8_t>({1}, {-128})));
  EXPECT_TRUE(stored(DType::UInt8, 255).equals(Tensor::of<std::uint8_t>({1}, {255})));
  EXPECT_TRUE(stored(DType::Bool, 1).equals(Tensor::of<bool>({1}, {true})));
  EXPECT_TRUE(
      stored(DType::Float16, 0x3C00).cast(DType::Float32).equals(Tensor::of<float>({1}, {1.F})));
  EXPECT_TRUE(
      stored(DType::BFloat16, 0x3F80).cast(DType::Float32).equals(Tensor::of<float>({1}, {1.F})));
}

TEST(TensorProto, ReadsRawData) {
  auto message = message_of(DType::Int16, {2});
  message.set_raw_data(std::string("\x01\x02\xFF\xFF", 4));
  EXPECT_TRUE(read(message).equals(Tensor::of<std::int16_t>({2}, {0x0201, -1})));
}

TEST(TensorProto, RawBoolsAreZeroOrOneInMemory) {
  auto message = message_of(DType::Bool, {2});
  message.set_raw_data(std::string("\x00\x02", 2));
  EXPECT_TRUE(read(message).equals(Tensor::of<bool>({2}, {false, true})));
}

TEST(TensorProto, NoExtentsMeansScalarAndZeroExtentsMeanEmpty) {
  auto scalar = message_of(DType::Float32, {});
  scalar.add_float_data(3.F);
  EXPECT_TRUE(read(scalar).equals(Tensor::scalar(3.F)));
  EXPECT_EQ(read(message_of(DType::Float32, {0, 4})).size(), 0);
}

TEST(TensorProto, RefusesDataThatDoNotFillTheShape) {
  auto typed = message_of(DType::Float32, {3});
  typed.add_float_data(1.F);
  EXPECT_EQ(test::error_of([&] { read(typed); }).code(), ErrorCode::Malformed);
  auto raw = message_of(DType::Float32, {1});
  raw.set_raw_data("abc");
  EXPECT_EQ(test::error_of([&] { read(raw); }).code(), ErrorCode::Malformed);
}

TEST(TensorProto, RefusesShapesBeyondMemoryBeforeTakingAny) {
  const std::int64_t huge = std::int64_t{1} << 40;
  EXPECT_EQ(test::error_of([&] { read(message_of(DType::Float32, {huge})); }).code(),
            ErrorCode::Malformed);
  EXPECT_EQ(test::error_of([&] {
              read(message_of(DType::Float32, {huge, huge}));
            }).code(),
            ErrorCode::BadData);
  EXPECT_EQ(test::error_of([&] { read(message_of(DType::Float32, {-1})); }).code(),
            ErrorCode::Malformed);
}

TEST(TensorProto, RefusesStringsAndUnknownElementTypes) {
  EXPECT_EQ(test::error_of([&] { read(message_of(DType::String, {1})); }).code(),
            ErrorCode::Unsupported);
  constexpr auto kFloat8 = static_cast<DType>(17);
  EXPECT_EQ(test::error_of([&] { read(message_of(kFloat8, {1})); }).code(), ErrorCode::Unsupported);
}

TEST(TensorProto, RefusesExternalDataWithoutAFolder) {
  auto message = message_of(DType::Float32, {1});
  message.set_data_location(1);
  EXPECT_EQ(test::error_of([&] { read(message); }).code(), ErrorCode::BadData);
}

}  // namespace
}  // namespace espquant::onnx
