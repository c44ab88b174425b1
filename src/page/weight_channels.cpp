#include "page/weight_channels.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "espdl/filter_layout.h"

namespace espquant::page {
namespace {

template <typename T>
std::vector<WeightChannel> of_rows(const Tensor& logical, const std::vector<int>& exponents) {
  const auto values = logical.data<T>();
  const auto count = static_cast<std::size_t>(logical.shape().front());
  const std::size_t each = count == 0 ? 0 : values.size() / count;
  std::vector<WeightChannel> channels(each == 0 ? 0 : count);
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const auto row = values.subspan(c * each, each);
    const int exponent = exponents.empty() ? 0 : exponents[exponents.size() > 1 ? c : 0];
    const auto [min, max] = std::minmax_element(row.begin(), row.end());
    double squares = 0;
    for (const T w : row) squares += static_cast<double>(w) * w;
    channels[c] = {std::ldexp(static_cast<double>(*min), exponent),
                   std::ldexp(static_cast<double>(*max), exponent),
                   std::ldexp(std::sqrt(squares / static_cast<double>(each)), exponent), exponent};
  }
  return channels;
}

}  // namespace

std::vector<WeightChannel> weight_channels(const espdl::Node& node, const espdl::Constant* weights,
                                           const Target& target) {
  if (weights == nullptr || (node.op != "Conv" && node.op != "Gemm" && node.op != "MatMul"))
    return {};
  const Tensor& data = weights->data;
  if (data.dtype() != DType::Int8 && data.dtype() != DType::Int16) return {};
  // W8A16 keeps the blocks of its activations.
  const bool wide =
      data.dtype() == DType::Int16 || node.get_string("quant_type", "") == espdl::kW8A16;
  const bool depthwise = node.op == "Conv" && node.get_int("group", 1) > 1;
  try {
    const Tensor logical = espdl::unpack_filter(data, depthwise, target.lanes(wide ? 16 : 8));
    const std::size_t rows = static_cast<std::size_t>(logical.shape().front());
    if (weights->exponents.size() > 1 && weights->exponents.size() != rows) return {};
    return data.dtype() == DType::Int8 ? of_rows<std::int8_t>(logical, weights->exponents)
                                       : of_rows<std::int16_t>(logical, weights->exponents);
  } catch (const Error&) {  // batches of MatMul, foreign layouts: there is nothing to draw
    return {};
  }
}

}  // namespace espquant::page
