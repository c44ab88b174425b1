#include "espdl/array_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace espquant::espdl {
namespace {

template <typename T>
std::string array_text(const std::vector<T>& values) {
  std::string out;
  append_array_text(out, dtype_of<T>, std::as_bytes(std::span(values)));
  return out;
}

using Floats = std::vector<float>;

// Expected texts are NumPy 1.24's.
TEST(ArrayText, IntegersStandInColumns) {
  EXPECT_EQ(array_text<std::int8_t>({1, -2, 127, 0}), "array([  1,  -2, 127,   0], dtype=int8)");
  EXPECT_EQ(array_text<std::int8_t>({-128}), "array([-128], dtype=int8)");
  EXPECT_EQ(array_text<std::uint64_t>({18446744073709551615U}),
            "array([18446744073709551615], dtype=uint64)");
}

TEST(ArrayText, TypesThatNumpyTakesForGrantedAreNotNamed) {
  EXPECT_EQ(array_text<std::int64_t>({1, 1099511627776}), "array([            1, 1099511627776])");
  EXPECT_EQ(array_text<double>({1.0 / 3, 2.0 / 3, 100}),
            "array([  0.33333333,   0.66666667, 100.        ])");
  std::string bools;
  append_array_text(bools, DType::Bool, std::vector<std::byte>{std::byte{1}, std::byte{0}});
  EXPECT_EQ(bools, "array([ True, False])");
}

TEST(ArrayText, LinesBreakBeforeColumn75) {
  std::vector<std::int16_t> values(21);
  std::iota(values.begin() + 1, values.end(), std::int16_t{0});
  values[0] = -32768;
  EXPECT_EQ(array_text(values),
            "array([-32768,      0,      1,      2,      3,      4,      5,      6,\n"
            "            7,      8,      9,     10,     11,     12,     13,     14,\n"
            "           15,     16,     17,     18,     19], dtype=int16)");
}

TEST(ArrayText, TheTypeMovesToALineOfItsOwnWhereItDoesNotFit) {
  EXPECT_EQ(array_text(std::vector<std::int32_t>(12, 100)),
            "array([100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100],\n"
            "      dtype=int32)");
}

TEST(ArrayText, FloatsShowTheirShortestDigits) {
  EXPECT_EQ(array_text<float>({1, 2.25, -0.5, 0}),
            "array([ 1.  ,  2.25, -0.5 ,  0.  ], dtype=float32)");
  EXPECT_EQ(array_text<float>({1.0F / 3, 2.0F / 3, 100}),
            "array([  0.33333334,   0.6666667 , 100.        ], dtype=float32)");
}

TEST(ArrayText, WideRangesTakeExponents) {
  EXPECT_EQ(array_text<float>({1e-5F, 1, -2.5}),
            "array([ 1.0e-05,  1.0e+00, -2.5e+00], dtype=float32)");
  EXPECT_EQ(array_text<float>({0.5, 1500.25, 0}),
            "array([5.00000e-01, 1.50025e+03, 0.00000e+00], dtype=float32)");
  EXPECT_EQ(array_text<float>({1e8F, 3}), "array([1.e+08, 3.e+00], dtype=float32)");
  EXPECT_EQ(array_text<double>({1e-100, 3.5e120}), "array([1.0e-100, 3.5e+120])");
}

TEST(ArrayText, NumbersThatAreNoneAreNamed) {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(array_text<float>({1, nan, infinity, -infinity}),
            "array([  1.,  nan,  inf, -inf], dtype=float32)");
  EXPECT_EQ(array_text<float>({nan, nan}), "array([nan, nan], dtype=float32)");
}

}  // namespace
}  // namespace espquant::espdl
