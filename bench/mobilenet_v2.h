#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "graph/graph.h"
#include "ops/op.h"

namespace espquant::bench {

/// MobileNetV2 1.0 at 1x3x224x224 (Sandler et al. 2018, table 2): 3.5 million random weights,
/// scaled so that activations keep their size from layer to layer (He et al. 2015),
/// BatchNormalization folded.
class MobileNetV2 {
 public:
  Graph build() {
    graph_.name = "mobilenet_v2";
    x_ = graph_.add_value("input", DType::Float32, Shape{1, 3, 224, 224});
    graph_.add_input(x_);
    convolve(32, 3, 2, 1, true);
    struct Stage {
      std::int64_t expansion, channels, repeats, stride;
    };
    for (const Stage& s :
         {Stage{1, 16, 1, 1}, Stage{6, 24, 2, 2}, Stage{6, 32, 3, 2}, Stage{6, 64, 4, 2},
          Stage{6, 96, 3, 1}, Stage{6, 160, 3, 2}, Stage{6, 320, 1, 1}})
      for (std::int64_t i = 0; i < s.repeats; ++i)
        add_block(s.expansion, s.channels, i == 0 ? s.stride : 1);
    convolve(1280, 1, 1, 1, true);
    add("GlobalAveragePool", {});
    add("Flatten", {});
    add("Gemm", {constant({1280, 1000}, 0.05F), constant({1000}, 0.1F)});
    graph_.add_output(x_);
    ops::infer_shapes(graph_);
    return std::move(graph_);
  }

 private:
  ValueId constant(Shape shape, float range) {
    Tensor t(DType::Float32, std::move(shape));
    for (float& v : t.mutable_data<float>()) v = random_.uniform(-range, range);
    return graph_.add_constant(graph_.unique_value_name("w"), std::move(t));
  }

  ValueId bound(float value) {
    return graph_.add_constant(graph_.unique_value_name("bound"), Tensor::scalar(value));
  }

  void add(const std::string& op, const std::vector<ValueId>& others, Attributes attributes = {}) {
    const std::string name = graph_.unique_node_name(op);
    const ValueId y = graph_.add_value(name, DType::Float32);
    std::vector<ValueId> inputs{x_};
    inputs.insert(inputs.end(), others.begin(), others.end());
    graph_.add_node(op, name, std::move(inputs), {y}, std::move(attributes));
    x_ = y;
  }

  void convolve(std::int64_t channels, std::int64_t kernel, std::int64_t stride,
                std::int64_t groups, bool clamp) {
    const std::int64_t pad = kernel / 2, fan_in = channels_ / groups * kernel * kernel;
    Attributes attributes;
    attributes.set("group", groups);
    attributes.set("kernel_shape", std::vector<std::int64_t>{kernel, kernel});
    attributes.set("strides", std::vector<std::int64_t>{stride, stride});
    attributes.set("pads", std::vector<std::int64_t>{pad, pad, pad, pad});
    const float range = std::sqrt((clamp ? 6.0F : 3.0F) / static_cast<float>(fan_in));
    add("Conv",
        {constant({channels, channels_ / groups, kernel, kernel}, range),
         constant({channels}, 0.1F)},
        std::move(attributes));
    channels_ = channels;
    if (clamp) add("Clip", {bound(0.0F), bound(6.0F)});
  }

  void add_block(std::int64_t expansion, std::int64_t channels, std::int64_t stride) {
    const ValueId before = x_;
    const bool residual = stride == 1 && channels == channels_;
    if (expansion > 1) convolve(channels_ * expansion, 1, 1, 1, true);
    convolve(channels_, 3, stride, channels_, true);
    convolve(channels, 1, 1, 1, false);
    if (residual) add("Add", {before});
  }

  Graph graph_;
  Random random_{1};
  ValueId x_ = kNone;
  std::int64_t channels_ = 3;
};

}  // namespace espquant::bench
