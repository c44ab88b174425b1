#include "data/npy.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/error.h"

namespace espquant::data {
namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}

/// A version 1.0 file with this header text and these elements.
std::vector<std::byte> npy(std::string_view header, std::string_view elements) {
  std::string file = std::string("\x93NUMPY\x01", 7) + '\0';
  file += static_cast<char>(header.size() & 0xFF);
  file += static_cast<char>(header.size() >> 8);
  return bytes_of(file.append(header).append(elements));
}

ErrorCode npy_code_of(const std::vector<std::byte>& file) {
  try {
    read_npy(file);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::Internal;
}

template <typename T>
class NpyRoundTrip : public testing::Test {};
using ElementTypes =
    testing::Types<float, double, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t,
                   std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, bool>;
TYPED_TEST_SUITE(NpyRoundTrip, ElementTypes);

TYPED_TEST(NpyRoundTrip, KeepsTypeShapeAndBits) {
  const Tensor tensor = Tensor::of<TypeParam>({2, 3}, {0, 1, 1, 0, 1, 0});
  EXPECT_TRUE(read_npy(write_npy(tensor)).equals(tensor));
}

TEST(Npy, RoundTripsScalarsVectorsAndEmptyArrays) {
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{5}, Shape{0, 4}, Shape{1, 2, 3, 4, 5}}) {
    const Tensor tensor(DType::Float16, shape);
    EXPECT_TRUE(read_npy(write_npy(tensor)).equals(tensor)) << to_string(shape);
  }
}

TEST(Npy, WritesWhatNumPyWrites) {
  // numpy.save of numpy.array([258], "<u2").
  const std::string header = "{'descr': '<u2', 'fortran_order': False, 'shape': (1,), }";
  const auto file = write_npy(Tensor::of<std::uint16_t>({1}, {258}));
  EXPECT_EQ(file, npy(header + std::string(117 - header.size(), ' ') + "\n", "\x02\x01"));
}

TEST(Npy, ReadsAnyOrderOfKeysAndVersions2And3) {
  const std::string_view header = "{\"shape\":(2,),\"descr\":\"|u1\",\"fortran_order\":False}";
  const Tensor expected = Tensor::of<std::uint8_t>({2}, {'a', 'b'});
  EXPECT_TRUE(read_npy(npy(header, "ab")).equals(expected));
  for (const char version : {'\x02', '\x03'}) {
    std::string file = std::string("\x93NUMPY") + version + '\0';
    file += static_cast<char>(header.size());
    file += std::string(3, '\0') + std::string(header) + "ab";
    EXPECT_TRUE(read_npy(bytes_of(file)).equals(expected));
  }
}

TEST(Npy, TransposesFortranOrder) {
  const auto file =
      npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", "\x01\x04\x02\x05\x03\x06");
  EXPECT_TRUE(read_npy(file).equals(Tensor::of<std::uint8_t>({2, 3}, {1, 2, 3, 4, 5, 6})));
}

TEST(Npy, RefusesWhatItCannotRepresent) {
  for (const std::string_view descr :
       {"'|O'", "'<U3'", "'|S5'", "'>f4'", "'<c8'", "'<f16'", "[('a', '<f4')]"}) {
    const std::string header =
        "{'descr': " + std::string(descr) + ", 'fortran_order': False, 'shape': (1,), }";
    EXPECT_EQ(npy_code_of(npy(header, "aaaa")), ErrorCode::Unsupported) << descr;
  }
}

TEST(Npy, RefusesBrokenHeaders) {
  for (const std::string_view header :
       {"", "{", "{}", "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1e3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} evil()",
        "{'descr': 'f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|f4', 'fortran_order': False, 'shape': (1,)}", "{'descr': '<f4"})
    EXPECT_EQ(npy_code_of(npy(header, "aaaa")), ErrorCode::Malformed) << header;
}

TEST(Npy, RefusesMissingAndLeftOverElements) {
  const std::string_view header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}";
  EXPECT_EQ(npy_code_of(npy(header, "aaaabbb")), ErrorCode::Malformed);
  EXPECT_EQ(npy_code_of(npy(header, "aaaabbbbc")), ErrorCode::Malformed);
}

TEST(Npy, TakesNoMemoryForElementsThatAreNotThere) {
  EXPECT_EQ(
      npy_code_of(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (281474976710656,)}", "")),
      ErrorCode::Malformed);
  EXPECT_EQ(npy_code_of(npy("{'descr': '|u1', 'fortran_order': True, 'shape': "
                            "(281474976710656, 281474976710656, 0)}",
                            "")),
            ErrorCode::BadData);
}

TEST(Npy, RefusesBoolsThatAreNeitherTrueNorFalse) {
  const std::string_view header = "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}";
  EXPECT_EQ(npy_code_of(npy(header, "\x01\x02")), ErrorCode::Malformed);
}

TEST(Npy, RefusesEveryTruncation) {
  const auto file = write_npy(Tensor::of<float>({2, 2}, {1, 2, 3, 4}));
  for (std::size_t n = 0; n < file.size(); ++n)
    EXPECT_EQ(npy_code_of({file.begin(), file.begin() + static_cast<std::ptrdiff_t>(n)}),
              ErrorCode::Malformed);
}

TEST(Npy, NamesTheFile) {
  try {
    read_npy(std::filesystem::path("/nonexistent/a.npy"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Io);
    EXPECT_EQ(error.file(), "/nonexistent/a.npy");
  }
}

}  // namespace
}  // namespace espquant::data
