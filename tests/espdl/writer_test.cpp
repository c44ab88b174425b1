#include "espdl/writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "espdl/bytes.h"
#include "espdl/reader.h"
#include "tests/espdl/expect_equal.h"
#include "tests/espdl/expect_error.h"
#include "tests/espdl/sample_model.h"

namespace espquant::espdl {
namespace {

/// Where the elements of a tensor begin in the file; they occur once.
std::size_t offset_of(std::span<const std::byte> file, std::span<const std::byte> elements) {
  const auto at = std::search(file.begin(), file.end(), elements.begin(), elements.end());
  return static_cast<std::size_t>(at - file.begin());
}

TEST(Writer, WhatIsWrittenReadsBackEqual) {
  const Model model = sample_model();
  expect_equal(model, read_model(write_model(model)));
}

TEST(Writer, ReadingAndWritingAgainGivesTheSameBytes) {
  const auto first = write_model(sample_model());
  EXPECT_EQ(first, write_model(read_model(first)));
}

TEST(Writer, ElementsStartOnBlocksOfTheFileAndArePaddedWithZeros) {
  const Model model = sample_model();
  const auto file = write_model(model);
  EXPECT_EQ(file.size() % kBlockBytes, 0U);
  const auto elements = model.initializers.front().data.bytes();
  const std::size_t at = offset_of(file, elements);
  ASSERT_LT(at, file.size());
  EXPECT_EQ(at % kBlockBytes, 0U);
  for (std::size_t i = elements.size(); i < kBlockBytes; ++i) EXPECT_EQ(file[at + i], std::byte{0});
  EXPECT_EQ(load_u32(file, at - 4), 1U) << "one block";
}

TEST(Writer, EveryElementTypeOfTheFormatSurvives) {
  for (const DType dtype :
       {DType::Float32, DType::UInt8, DType::Int8, DType::UInt16, DType::Int16, DType::Int32,
        DType::Int64, DType::Bool, DType::Float16, DType::Float64, DType::UInt32, DType::UInt64}) {
    Model model = sample_model();
    Tensor data(dtype, {2, 5});
    data.mutable_bytes()[3] = std::byte{1};
    model.initializers.push_back({"extra", data, {}, ""});
    EXPECT_TRUE(read_model(write_model(model)).find_initializer("extra")->data.equals(data))
        << to_string(dtype);
  }
}

TEST(Writer, AModelWithoutElementsIsStillWholeBlocks) {
  Model model;
  model.inputs = model.outputs = {"x"};
  model.values = {{"x", DType::Int8, {}, {}}};
  const auto file = write_model(model);
  EXPECT_EQ(file.size() % kBlockBytes, 0U);
  expect_equal(model, read_model(file));
}

TEST(Writer, RefusesWhatTheFormatCannotHold) {
  Model no_value = sample_model();
  no_value.outputs = {"bias"};
  expect_error(ErrorCode::BadData, "'bias'", [&] { write_model(no_value); });

  Model no_type = sample_model();
  no_type.values[1].dtype = DType::Undefined;
  expect_error(ErrorCode::BadData, "'hidden'", [&] { write_model(no_type); });

  Model bfloat = sample_model();
  bfloat.initializers[0].data = Tensor(DType::BFloat16, {1});
  expect_error(ErrorCode::BadData, "'filter'", [&] { write_model(bfloat); });
}

TEST(Writer, EncryptsWithTheKey) {
  const Key key = parse_key("000102030405060708090a0b0c0d0e0f");
  const Model model = sample_model();
  const auto file = write_model(model, {key});
  EXPECT_EQ(load_u32(file, 4), 1U);
  EXPECT_EQ(offset_of(file, std::as_bytes(std::span(std::string_view("Conv")))), file.size())
      << "readable";
  ReadOptions options;
  options.key = key;
  expect_equal(model, read_model(file, options));
}

}  // namespace
}  // namespace espquant::espdl
