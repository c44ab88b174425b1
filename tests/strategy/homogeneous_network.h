#pragma once

#include "tests/support/network.h"

namespace espquant::test {

/// Layers without biases, ReLUs, a sum, pools: twice the frame gives twice the scores.
inline Graph homogeneous_network() {
  Network net;
  const auto convolve = [&](ValueId v, std::int64_t from, std::int64_t to, std::int64_t groups) {
    return net.node(
        "Relu",
        {net.node("Conv", {v, net.random({to, from / groups, 3, 3})},
                  {{"group", groups}, {"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}})});
  };
  const ValueId stem = convolve(net.input("frame", {1, 3, 8, 8}), 3, 20, 1);
  const ValueId sum = net.node("Add", {stem, convolve(stem, 20, 20, 20)});
  const ValueId pooled =
      net.node("MaxPool", {sum}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  const ValueId flat = net.node("Flatten", {net.node("GlobalAveragePool", {pooled})});
  return net.finish({net.node("Gemm", {flat, net.random({20, 7})})});
}

}  // namespace espquant::test
