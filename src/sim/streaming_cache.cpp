#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/operators.h"
#include "sim/prepare.h"

/// StreamingCache (ESP-DL 3.14): the last frames of the past in front of the new ones. The runtime
/// copies flat memory, which is a concatenation only along the outermost axis that matters.
namespace espquant::sim {

Prepared prepare_streaming_cache(const NodeContext& context) {
  const TensorDesc& input = context.input(0);
  const std::size_t axis = checked_axis(context.node.get_int("frame_axis", 1), input.shape.size());
  const std::int64_t window = context.node.get_int("window_size", 1);
  if (window < 2 || window > 1 << 16)
    refuse(fmt::format("StreamingCache with a window of {}: ESP-DL asserts that a frame is kept",
                       window),
           "Drop the node, or check 'window_size'");

  TensorDesc cache{input.dtype, input.shape, {}};
  cache.shape[axis] = window - 1;
  Shape shape = input.shape;
  shape[axis] += window - 1;

  auto kernel = [in_bytes = input.byte_size(), cache_bytes = cache.byte_size()](
                    const void* key, const KernelArgs& args) {
    std::byte* out = args.outputs[0];
    const std::span<std::byte> past = args.workspace.state(key, cache_bytes);
    if (cache_bytes > 0) std::memcpy(out, past.data(), cache_bytes);
    if (in_bytes > 0) std::memcpy(out + cache_bytes, args.inputs[0], in_bytes);
    if (cache_bytes > 0) std::memcpy(past.data(), out + in_bytes, cache_bytes);
  };
  Prepared prepared = prepared_with(context, std::move(shape), input.dtype,
                                    make_stateful_kernel(std::move(kernel)));
  check_exponents(context, prepared, {0});
  const auto begin = input.shape.begin();
  if (std::any_of(begin, begin + static_cast<std::ptrdiff_t>(axis),
                  [](std::int64_t extent) { return extent != 1; }))
    add_fault(prepared, "streaming-cache-inner-axis");
  return prepared;
}

}  // namespace espquant::sim
