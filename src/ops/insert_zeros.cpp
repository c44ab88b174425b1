#include <fmt/format.h>

#include "ops/gradient.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// InsertZeros, ESP-DL's own: what a ConvTranspose does to its input before it convolves. Over
/// (N,C,...), each spatial axis grows to in + (stride-1)*(in-1) + output_padding (ESP-DL 3.4).
namespace espquant::ops {
namespace {

std::vector<std::int64_t> ints_of(const Node& node, std::string_view name, std::size_t spatial,
                                  std::int64_t otherwise) {
  std::vector<std::int64_t> values = node.attributes.get_ints(name);
  if (values.empty()) values.assign(spatial, otherwise);
  if (values.size() != spatial)
    malformed(
        fmt::format("attribute '{}' has {} entries, expected {}", name, values.size(), spatial));
  for (std::int64_t v : values)
    if (v < otherwise || v > kMaxElements)
      malformed(fmt::format("attribute '{}' holds {}", name, v));
  return values;
}

void infer_insert_zeros(const InferContext& context) {
  require_rank(context, 0, 3, kMaxRank);
  Shape out = context.shape(0);
  const auto stride = ints_of(context.node, "stride", out.size() - 2, 1);
  const auto extra = ints_of(context.node, "output_padding", out.size() - 2, 0);
  for (std::size_t i = 0; i < stride.size(); ++i) {
    std::int64_t& extent = out[2 + i];
    if (extent > 0) extent = checked_mul(extent - 1, stride[i]) + 1;
    extent += extra[i];
  }
  set_output(context, 0, context.dtype(0), std::move(out));
}

void run_insert_zeros(const RunContext& context) {
  const Tensor& in = context.in(0);
  const auto stride = ints_of(context.node, "stride", in.shape().size() - 2, 1);
  Shape steps = strides_of(context.outputs[0].shape());
  for (std::size_t i = 0; i < stride.size(); ++i) steps[2 + i] *= stride[i];
  visit_width(in.dtype(), [&]<typename T>(T) {
    auto to = mutable_raw<T>(context.outputs[0]);
    Shape at(steps.size(), 0);
    for (const T element : raw<T>(in)) {
      std::int64_t offset = 0;
      for (std::size_t d = 0; d < at.size(); ++d) offset += at[d] * steps[d];
      to[static_cast<std::size_t>(offset)] = element;
      for (std::size_t d = at.size(); d-- > 0;) {
        if (++at[d] < in.shape()[d]) break;
        at[d] = 0;
      }
    }
  });
}

}  // namespace

const OpDef kInsertZeros{"InsertZeros", QuantRule::PassThrough, infer_insert_zeros,
                         run_insert_zeros, gradient_of_movement};

}  // namespace espquant::ops
