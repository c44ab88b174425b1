#include <fmt/format.h>

#include <cstring>

#include "ops/gradient.h"
#include "ops/indexing.h"
#include "ops/operators.h"

/// ReverseSequence: of each batch entry, the first sequence_lens[b] steps in reverse order.
namespace espquant::ops {
namespace {

struct Axes {
  std::size_t batch, time;
};

Axes axes_of(const Node& node) {
  const std::int64_t batch = node.attributes.get_int("batch_axis", 1),
                     time = node.attributes.get_int("time_axis", 0);
  if (batch < 0 || batch > 1 || time != 1 - batch)
    malformed(
        fmt::format("batch_axis={} and time_axis={}, expected 0 and 1 in some order", batch, time));
  return {static_cast<std::size_t>(batch), static_cast<std::size_t>(time)};
}

void infer_reverse_sequence(const InferContext& context) {
  require_rank(context, 0, 2, kMaxRank);
  require_indices(context, 1);
  require_shape(context, 1, {context.shape(0)[axes_of(context.node).batch]}, "sequence_lens");
  infer_map(context);
}

void run_reverse_sequence(const RunContext& context) {
  const Tensor& in = context.in(0);
  const Axes axes = axes_of(context.node);
  const auto lengths = to_ints(context.in(1));
  const std::size_t block = block_bytes(in, 2);
  const std::int64_t batches = in.shape()[axes.batch], steps = in.shape()[axes.time];
  const auto place = [&](std::int64_t b, std::int64_t t) {
    return static_cast<std::size_t>(axes.batch == 0 ? b * steps + t : t * batches + b) * block;
  };
  std::byte* to = context.outputs[0].mutable_bytes().data();
  for (std::int64_t b = 0; b < batches; ++b) {
    const std::int64_t length = lengths[static_cast<std::size_t>(b)];
    if (length < 0 || length > steps)
      bad_data(fmt::format("a sequence of {} among {} steps", length, steps));
    for (std::int64_t t = 0; t < steps; ++t)
      std::memcpy(to + place(b, t), in.bytes().data() + place(b, t < length ? length - 1 - t : t),
                  block);
  }
}

}  // namespace

const OpDef kReverseSequence{"ReverseSequence", QuantRule::PassThrough, infer_reverse_sequence,
                             run_reverse_sequence, gradient_of_movement};

}  // namespace espquant::ops
