#include <algorithm>
#include <cmath>

#include "ops/operators.h"
#include "ops/visit.h"

/// LogSoftmax, Softmax.
namespace espquant::ops {
namespace {

/// The data seen as (outer, length, inner); the function runs along `length`.
struct Lines {
  std::int64_t outer = 1, length = 1, inner = 1;
};

Lines lines_of(const Node& node, std::int64_t opset, const Shape& shape) {
  const auto rank = static_cast<std::int64_t>(shape.size());
  Lines lines;
  if (rank == 0) return lines;
  // Before opset 13 the input was coerced to two dimensions at `axis`.
  const bool coerced = opset < 13;
  const std::int64_t axis = normalize_axis(node.attributes.get_int("axis", coerced ? 1 : -1), rank);
  for (std::int64_t i = 0; i < rank; ++i)
    (i < axis               ? lines.outer
     : i == axis || coerced ? lines.length
                            : lines.inner) *= shape[static_cast<std::size_t>(i)];
  return lines;
}

void infer(const InferContext& context) {
  // A vector has no axis 1, the default before opset 13, but exporters write it so.
  if (context.opset >= 13 || context.shape(0).size() > 1 || context.node.attributes.has("axis"))
    lines_of(context.node, context.opset, context.shape(0));
  infer_float_map(context);
}

template <bool kLog>
void run(const RunContext& context) {
  const Tensor& in = context.in(0);
  Lines lines{1, in.size(), 1};
  if (context.opset >= 13 || in.rank() > 1 || context.node.attributes.has("axis"))
    lines = lines_of(context.node, context.opset, in.shape());
  if (in.size() == 0) return;
  visit_float(in.dtype(), [&]<typename T>(T) {
    const T* from = in.data<T>().data();
    T* to = context.outputs[0].mutable_data<T>().data();
    for (std::int64_t line = 0; line < lines.outer * lines.inner; ++line) {
      const std::int64_t start =
          line / lines.inner * lines.length * lines.inner + line % lines.inner;
      const auto at = [&](std::int64_t i) { return start + i * lines.inner; };
      T largest = from[start];
      for (std::int64_t i = 1; i < lines.length; ++i) largest = std::max(largest, from[at(i)]);
      T sum = 0;
      for (std::int64_t i = 0; i < lines.length; ++i)
        sum += to[at(i)] = std::exp(from[at(i)] - largest);
      for (std::int64_t i = 0; i < lines.length; ++i)
        to[at(i)] = kLog ? from[at(i)] - largest - std::log(sum) : to[at(i)] / sum;
    }
  });
}

}  // namespace

const OpDef kLogSoftmax{"LogSoftmax", QuantRule::FloatOutput, infer, run<true>};
const OpDef kSoftmax{"Softmax", QuantRule::FloatOutput, infer, run<false>};

}  // namespace espquant::ops
