#include "train/adam.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/parallel.h"

namespace espquant::train {
namespace {

constexpr float kMeanDecay = 0.9F, kSquareDecay = 0.999F, kEpsilon = 1e-12F;

bool has_weights(const Node& n) {
  return n.op == "Conv" || n.op == "ConvTranspose" || n.op == "Gemm" || n.op == "MatMul";
}

float root_mean_square(const Tensor& t) {
  double sum = 0;
  for (float x : t.data<float>()) sum += static_cast<double>(x) * static_cast<double>(x);
  return static_cast<float>(
      std::sqrt(sum / static_cast<double>(std::max<std::int64_t>(t.size(), 1))));
}

}  // namespace

Adam::Adam(std::span<const Tensor> parameters, std::vector<float> sizes)
    : sizes_(std::move(sizes)) {
  for (const Tensor& t : parameters) {
    mean_.emplace_back(static_cast<std::size_t>(t.size()), 0.0F);
    square_.emplace_back(static_cast<std::size_t>(t.size()), 0.0F);
  }
}

void Adam::update(std::span<Tensor> parameters, std::span<const std::vector<float>> gradients,
                  float rate) {
  ++steps_;
  const auto step = static_cast<double>(steps_);
  const auto mean_part = static_cast<float>(1 - std::pow(static_cast<double>(kMeanDecay), step));
  const auto square_part =
      static_cast<float>(1 - std::pow(static_cast<double>(kSquareDecay), step));
  // What is measured is the tensor, not the element: single gradients of rarely used weights are
  // small by chance, and Adam would blow them up.
  parallel_for(static_cast<std::int64_t>(parameters.size()), [&](std::int64_t i) {
    const auto p = static_cast<std::size_t>(i);
    auto x = parameters[p].mutable_data<float>();
    double total = 0;
    for (std::size_t k = 0; k < x.size(); ++k) {
      const float g = gradients[p][k];
      mean_[p][k] += (1 - kMeanDecay) * (g - mean_[p][k]);
      square_[p][k] += (1 - kSquareDecay) * (g * g - square_[p][k]);
      total += static_cast<double>(square_[p][k]);
    }
    const auto usual =
        static_cast<float>(total / static_cast<double>(std::max<std::size_t>(x.size(), 1)));
    const float floor = 0.01F * usual / square_part + kEpsilon * kEpsilon;
    for (std::size_t k = 0; k < x.size(); ++k)
      x[k] -= rate * sizes_[p] * (mean_[p][k] / mean_part) /
              std::sqrt(square_[p][k] / square_part + floor);
  });
}

float cosine_rate(float rate, std::int64_t step, std::int64_t steps) {
  const std::int64_t rise = std::min<std::int64_t>(steps / 20 + 1, 50);
  const float begun = std::min(1.0F, static_cast<float>(step + 1) / static_cast<float>(rise));
  const float done =
      static_cast<float>(step) / static_cast<float>(std::max<std::int64_t>(steps, 1));
  return rate * begun * 0.5F * (1 + std::cos(std::numbers::pi_v<float> * std::min(done, 1.0F)));
}

std::vector<ValueId> weights_of(const Graph& graph) {
  std::vector<ValueId> weights;
  for (NodeId n : graph.topological_order()) {
    const Node& node = graph.node(n);
    if (!has_weights(node)) continue;
    for (std::size_t i = 1; i < std::min<std::size_t>(node.inputs.size(), 3); ++i) {
      const ValueId v = node.inputs[i];
      if (v == kNone || !graph.value(v).is_constant() || graph.value(v).dtype != DType::Float32)
        continue;
      if (std::find(weights.begin(), weights.end(), v) == weights.end()) weights.push_back(v);
    }
  }
  return weights;
}

std::vector<float> usual_sizes(const Graph& graph, std::span<const ValueId> parameters) {
  std::vector<float> sizes;
  for (ValueId v : parameters) {
    const Value& value = graph.value(v);
    float size = root_mean_square(value.constant);
    for (NodeId n : value.consumers) {
      const Node& node = graph.node(n);
      if (!has_weights(node) || node.input(2) != v) continue;
      const Tensor& weights = graph.value(node.inputs[1]).constant;
      const auto each =
          static_cast<float>(weights.size() / std::max<std::int64_t>(value.constant.size(), 1));
      size = std::max(size, 0.1F * root_mean_square(weights) * std::sqrt(each));
    }
    sizes.push_back(size);
  }
  return sizes;
}

}  // namespace espquant::train
