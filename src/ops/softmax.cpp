#include <algorithm>
#include <cmath>

#include "ops/lines.h"
#include "ops/operators.h"

/// LogSoftmax, Softmax.
namespace espquant::ops {
namespace {

Lines lines_of(const Node& node, std::int64_t opset, const Shape& shape) {
  const std::size_t rank = shape.size();
  // Before opset 13 the input was coerced to two dimensions at `axis`. A vector has no axis 1, the
  // default of that time, but exporters write it so.
  const bool coerced = opset < 13;
  if (rank == 0 || (coerced && rank == 1 && !node.attributes.has("axis")))
    return lines_along(shape, 0, rank);
  const auto axis = static_cast<std::size_t>(normalize_axis(
      node.attributes.get_int("axis", coerced ? 1 : -1), static_cast<std::int64_t>(rank)));
  return lines_along(shape, axis, coerced ? rank : axis + 1);
}

void infer_softmax(const InferContext& context) {
  lines_of(context.node, context.opset, context.shape(0));
  infer_float_map(context);
}

template <bool kLog>
void run_softmax(const RunContext& context) {
  const Tensor& in = context.in(0);
  if (in.size() == 0) return;
  const Lines lines = lines_of(context.node, context.opset, in.shape());
  visit_float(in.dtype(), [&]<typename T>(T) {
    const T* from = in.data<T>().data();
    T* to = context.outputs[0].mutable_data<T>().data();
    for (std::int64_t line = 0; line < lines.count(); ++line) {
      T largest = from[lines.at(line, 0)];
      for (std::int64_t i = 1; i < lines.length; ++i)
        largest = std::max(largest, from[lines.at(line, i)]);
      T sum = 0;
      for (std::int64_t i = 0; i < lines.length; ++i)
        sum += to[lines.at(line, i)] = std::exp(from[lines.at(line, i)] - largest);
      for (std::int64_t i = 0; i < lines.length; ++i) {
        const std::int64_t at = lines.at(line, i);
        to[at] = kLog ? from[at] - largest - std::log(sum) : to[at] / sum;
      }
    }
  });
}

template <bool kLog>
void gradient_softmax(const GradientContext& context) {
  const Tensor& out = context.outputs[0];
  if (!context.wants(0) || out.size() == 0) return;
  const Lines lines = lines_of(context.node, context.opset, out.shape());
  visit_float(out.dtype(), [&]<typename T>(T) {
    const T* y = out.data<T>().data();
    const T* dy = context.output_gradients[0].data<T>().data();
    T* dx = context.input_gradients[0].mutable_data<T>().data();
    for (std::int64_t line = 0; line < lines.count(); ++line) {
      T sum = 0;
      for (std::int64_t i = 0; i < lines.length; ++i)
        sum += dy[lines.at(line, i)] * (kLog ? T{1} : y[lines.at(line, i)]);
      for (std::int64_t i = 0; i < lines.length; ++i) {
        const std::int64_t at = lines.at(line, i);
        dx[at] += kLog ? dy[at] - std::exp(y[at]) * sum : y[at] * (dy[at] - sum);
      }
    }
  });
}

}  // namespace

const OpDef kLogSoftmax{"LogSoftmax", QuantRule::FloatOutput, infer_softmax, run_softmax<true>,
                        gradient_softmax<true>};
const OpDef kSoftmax{"Softmax", QuantRule::FloatOutput, infer_softmax, run_softmax<false>,
                     gradient_softmax<false>};

}  // namespace espquant::ops
