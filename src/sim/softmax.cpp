#include <algorithm>
#include <array>
#include <cmath>

#include "sim/operators.h"
#include "sim/prepare.h"

/// Softmax and LogSoftmax (ESP-DL 3.13); the result is float32. int8 looks exponentials up and does
/// not subtract the maximum; int16 and float do. Sums run along the axis in order.
namespace espquant::sim {
namespace {

using ExpTable = std::array<float, 256>;
constexpr int kSoftmaxTableOrigin = 128;

ExpTable exp_table(float scale) {
  ExpTable table;
  for (int q = -kSoftmaxTableOrigin; q < kSoftmaxTableOrigin; ++q)
    table[static_cast<std::size_t>(q + kSoftmaxTableOrigin)] =
        std::exp(scale * static_cast<float>(q));
  return table;
}

/// One line of values along the axis, `step` elements apart.
template <typename T>
struct Line {
  const T* in;
  float* out;
  std::int64_t length, step;
};

template <typename F>
void for_each_line(const AxisSplit& split, F&& f) {
  if (split.length == 0) return;
  for (std::int64_t o = 0; o < split.outer; ++o)
    for (std::int64_t i = 0; i < split.inner; ++i) f(o * split.length * split.inner + i);
}

void softmax_line(const Line<std::int8_t>& line, const ExpTable& table, float /*scale*/) {
  float sum = 0;
  for (std::int64_t i = 0; i < line.length; ++i) {
    const float e = table[static_cast<std::size_t>(line.in[i * line.step] + kSoftmaxTableOrigin)];
    line.out[i * line.step] = e;
    sum += e;
  }
  for (std::int64_t i = 0; i < line.length; ++i) line.out[i * line.step] /= sum;
}

void log_softmax_line(const Line<std::int8_t>& line, const ExpTable& table, float scale) {
  float sum = 0;
  for (std::int64_t i = 0; i < line.length; ++i)
    sum += table[static_cast<std::size_t>(line.in[i * line.step] + kSoftmaxTableOrigin)];
  const float log_sum = std::log(sum);
  for (std::int64_t i = 0; i < line.length; ++i)
    line.out[i * line.step] = scale * static_cast<float>(line.in[i * line.step]) - log_sum;
}

/// Dequantizes the line into the output and returns its maximum.
template <typename T>
float dequantize_line(const Line<T>& line, float scale) {
  float max = scale * static_cast<float>(line.in[0]);
  for (std::int64_t i = 0; i < line.length; ++i) {
    const float x = scale * static_cast<float>(line.in[i * line.step]);
    line.out[i * line.step] = x;
    max = std::max(max, x);
  }
  return max;
}

template <typename T>
void softmax_line(const Line<T>& line, const ExpTable& /*table*/, float scale) {
  const float max = dequantize_line(line, scale);
  float sum = 0;
  for (std::int64_t i = 0; i < line.length; ++i) {
    float& x = line.out[i * line.step];
    x = std::exp(x - max);
    sum += x;
  }
  for (std::int64_t i = 0; i < line.length; ++i) line.out[i * line.step] /= sum;
}

template <typename T>
void log_softmax_line(const Line<T>& line, const ExpTable& /*table*/, float scale) {
  const float max = dequantize_line(line, scale);
  float sum = 0;
  for (std::int64_t i = 0; i < line.length; ++i) sum += std::exp(line.out[i * line.step] - max);
  const float log_sum = std::log(sum);
  for (std::int64_t i = 0; i < line.length; ++i) {
    float& x = line.out[i * line.step];
    x = x - max - log_sum;
  }
}

template <bool kLog>
Prepared prepare_softmax_family(const NodeContext& context) {
  const DType dtype = element_type(context);
  const Shape& shape = context.input(0).shape;
  // A tensor without axes is one element, whose softmax is 1.
  const AxisSplit split =
      shape.empty() ? AxisSplit{}
                    : split_at(shape, checked_axis(context.node.get_int("axis", -1), shape.size()));
  const float scale = is_float(dtype) ? 1.0F : chip_scale(context.input(0).exponent());
  const ExpTable table = dtype == DType::Int8 ? exp_table(scale) : ExpTable{};
  auto kernel = visit_element_type(dtype, [&]<typename T>() {
    return make_kernel([split, scale, table](const KernelArgs& args) {
      for_each_line(split, [&](std::int64_t first) {
        const Line<T> line{args.in<T>(0) + first, args.out<float>(0) + first, split.length,
                           split.inner};
        if constexpr (kLog)
          log_softmax_line(line, table, scale);
        else
          softmax_line(line, table, scale);
      });
    });
  });
  Prepared prepared = prepared_with(context, shape, DType::Float32, std::move(kernel));
  const bool table_holds = std::isfinite(table.back()) && table.front() > 0;
  if (dtype == DType::Int8 && !table_holds) add_fault(prepared, "softmax-table-overflows");
  return prepared;
}

}  // namespace

Prepared prepare_softmax(const NodeContext& context) {
  return prepare_softmax_family<false>(context);
}
Prepared prepare_log_softmax(const NodeContext& context) {
  return prepare_softmax_family<true>(context);
}

}  // namespace espquant::sim
