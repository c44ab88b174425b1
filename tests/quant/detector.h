#pragma once

#include "tests/quant/calibrated.h"

namespace espquant::test {

/// A detector of 3x16x16 images as YOLOX ends: of two scales, each with boxes of about `size`
/// pixels beside an objectness and three classes, which are nearly always small. All in one output
/// of 80 rows of 8 numbers.
struct Detector {
  Network net;
  std::vector<ValueId> boxes, scores, joined;
  ValueId all = kNone;

  ValueId convolve(ValueId v, std::int64_t from, std::int64_t to, float size, std::int64_t stride,
                   float bias = 0) {
    return net.node("Conv",
                    {v, net.random({to, from, 3, 3}, -size, size),
                     net.random({to}, bias - size / 8, bias + size / 8)},
                    {{"kernel_shape", Ints{3, 3}},
                     {"pads", Ints{1, 1, 1, 1}},
                     {"strides", Ints{stride, stride}}});
  }

  explicit Detector(float size) {
    const ValueId x = net.input("image", {1, 3, 16, 16});
    ValueId features = net.node("Relu", {convolve(x, 3, 6, 0.3F, 2)});
    std::vector<ValueId> rows;
    for (const std::int64_t extent : {8, 4}) {
      if (extent == 4) features = net.node("Relu", {convolve(features, 6, 6, 0.3F, 2)});
      boxes.push_back(convolve(features, 6, 4, size / 8, 1));
      std::vector<ValueId> parts{boxes.back()};
      for (const std::int64_t channels : {1, 3}) {
        scores.push_back(net.node("Sigmoid", {convolve(features, 6, channels, 1, 1, -4)}));
        parts.push_back(scores.back());
      }
      joined.push_back(net.node("Concat", parts, {{"axis", std::int64_t{1}}}));
      rows.push_back(net.node("Reshape", {joined.back(), net.ints({1, 8, extent * extent})}));
    }
    all = net.node("Concat", rows, {{"axis", std::int64_t{2}}});
    joined.push_back(all);
  }

  Graph finish() { return net.finish({net.node("Transpose", {all}, {{"perm", Ints{0, 2, 1}}})}); }
};

}  // namespace espquant::test
