#include "espdl/info.h"

#include <gtest/gtest.h>

#include "tests/espdl/sample_model.h"

namespace espquant::espdl {
namespace {

TEST(Info, ShowsEverythingInTheModel) {
  EXPECT_EQ(info_text(sample_model()),
            R"(model properties:
metadata_props:
target: esp32s3
note: 


graph sample (
  %input[INT8, 1x2x2x3], exponents: [-7]
) initializers (
  %filter[INT8, 1x1x3x2]
  %bias[INT32, 2]
  %table[INT16, 3]
  %empty[FLOAT, 0]
  %factor[FLOAT, scalar]
) {
  %hidden = Conv[activation = 'Linear', group = 1, pads = [0, 0, 0, 0]](%input, %filter, %bias)
  %output = Clip[alpha = 0.5, labels = ['a', "it's"], lut = 'table', one_scale = [2], scales = [0, 2], value = <Tensor>, zero = 0](%hidden, %, %factor)
  return %output
}


initializers value:
%filter, shape: [1, 1, 3, 2], exponents: [-6, -5], docString: b'layout ==> NHWC', 
value: array([   1,   -2,    3,   -4,    5, -128,    0,    0,    0,    0,    0,
          0,    0,    0,    0,    0], dtype=int8)
%bias, shape: [2], exponents: [-13, -12], docString: b'layout ==> UNK', 
value: array([-70000,      9,      0,      0], dtype=int32)
%table, shape: [3], exponents: [-5], 
value: array([-300,    0,  300,    0,    0,    0,    0,    0], dtype=int16)
%empty, shape: [0], exponents: [0], value: []
%factor, shape: [], exponents: [0], 
value: array([0.25, 0.  , 0.  , 0.  ], dtype=float32)


values info:
%input[INT8, 1x2x2x3], exponents: [-7]
%hidden[INT8, 1x2x2x2], exponents: [-4]
%output[INT8, 1x2x2x2], exponents: [-5]


test inputs value:
%input, shape: [1, 2, 2, 3], exponents: [-7], 
value: array([ 1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12,  0,  0,  0,  0],
      dtype=int8)


test outputs value:
%output, shape: [1, 2, 2, 2], exponents: [-5], 
value: array([1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0], dtype=int8))");
}

TEST(Info, LongStringsAreCutAndOddOnesEscaped) {
  Model model = sample_model();
  model.nodes[0].attributes = {{"long", std::string(70, 'x')}, {"odd", std::string("a\n\\\x01")}};
  const std::string text = info_text(model);
  EXPECT_NE(text.find("long = '" + std::string(64, 'x') + "...<+len=6>'"), text.npos);
  EXPECT_NE(text.find(R"(odd = 'a\n\\\x01')"), text.npos);
}

}  // namespace
}  // namespace espquant::espdl
