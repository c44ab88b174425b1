#include <algorithm>

#include "sim/operators.h"
#include "sim/pool_window.h"

/// MaxPool (ESP-DL 3.7): the largest integer of the cropped window; padding does not take part.
namespace espquant::sim {
namespace {

template <typename T>
void max_window(const T* in, std::int64_t height, std::int64_t width, std::int64_t row_step,
                std::int64_t channels, T* out) {
  std::copy_n(in, channels, out);
  for (std::int64_t y = 0; y < height; ++y) {
    const T* pixel = in + y * row_step;
    for (std::int64_t x = 0; x < width; ++x, pixel += channels)
      for (std::int64_t c = 0; c < channels; ++c) out[c] = std::max(out[c], pixel[c]);
  }
}

}  // namespace

Prepared prepare_max_pool(const NodeContext& context) {
  const DType dtype = element_type(context);
  if (is_float(dtype)) refuse("ESP-DL has no float MaxPool", "Quantize the node to 8 or 16 bits");
  PoolPlan plan = plan_pool(context);
  auto kernel = visit_element_type(dtype, [&]<typename T>() {
    return make_kernel([g = plan.geometry](const KernelArgs& args) {
      for_each_window(
          g, [&](std::int64_t out, std::int64_t in, std::int64_t height, std::int64_t width) {
            max_window(args.in<T>(0) + in, height, width, g.in_width * g.channels, g.channels,
                       args.out<T>(0) + out);
          });
    });
  });
  Prepared prepared = prepared_with(context, plan.shape, dtype, std::move(kernel));
  prepared.faults = std::move(plan.faults);
  check_exponents(context, prepared, {0});
  return prepared;
}

}  // namespace espquant::sim
