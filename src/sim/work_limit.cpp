#include "sim/work_limit.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace espquant::sim {
namespace {

double elements_of(const Shape& shape) { return static_cast<double>(element_count(shape)); }

double elements_of(std::span<const TensorDesc> tensors) {
  double sum = 0;
  for (const TensorDesc& tensor : tensors)
    if (tensor.dtype != DType::Undefined) sum += elements_of(tensor.shape);
  return sum;
}

/// Of a filter (H,W,I,O), or (H,W,C,1) by channel, what one output element takes.
double elements_of_window(const espdl::Node& node, const Shape& filter) {
  const std::size_t behind = node.get_int("group", 1) > 1 ? 2 : 1;
  if (filter.size() < behind) return 1;
  return std::accumulate(filter.begin(), filter.end() - static_cast<std::ptrdiff_t>(behind), 1.0,
                         std::multiplies<>());
}

double elements_of_pool(const espdl::Node& node, const Shape& input) {
  double window = 1;
  for (const std::int64_t extent : node.get_ints("kernel_shape"))
    window *= static_cast<double>(extent);
  return std::min(std::abs(window), elements_of(input));
}

}  // namespace

double multiplications_of(const espdl::Node& node, std::span<const TensorDesc> inputs,
                          std::span<const TensorDesc> outputs) {
  const double moved = elements_of(inputs) + elements_of(outputs);
  if (inputs.empty() || outputs.empty() || inputs[0].shape.empty()) return moved;
  const double written = elements_of(outputs[0].shape);
  if (node.op == "Conv" || node.op == "Gemm")
    return inputs.size() < 2 ? moved : written * elements_of_window(node, inputs[1].shape);
  if (node.op == "MatMul") return written * static_cast<double>(inputs[0].shape.back());
  if (node.op == "MaxPool" || node.op == "AveragePool")
    return written * elements_of_pool(node, inputs[0].shape);
  if (node.op == "LSTM" || node.op == "GRU")
    // For each step all weights.
    return static_cast<double>(inputs[0].shape[0]) * elements_of(inputs.subspan(1));
  return moved;
}

}  // namespace espquant::sim
