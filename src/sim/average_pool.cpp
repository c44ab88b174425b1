#include <algorithm>

#include "sim/operators.h"
#include "sim/pool_window.h"
#include "sim/rounding.h"

/// AveragePool and GlobalAveragePool (ESP-DL 3.6). The runtime is built with CONFIG_ACCURATE_INFER:
/// an exact int32 sum, one float32 product. It divides by the whole kernel's area, padding
/// included.
namespace espquant::sim {
namespace {

template <typename T, typename Sum>
void sum_window(const T* in, std::int64_t height, std::int64_t width, std::int64_t row_step,
                std::int64_t channels, Sum* sums) {
  std::fill_n(sums, channels, Sum{0});
  for (std::int64_t y = 0; y < height; ++y) {
    const T* pixel = in + y * row_step;
    for (std::int64_t x = 0; x < width; ++x, pixel += channels)
      for (std::int64_t c = 0; c < channels; ++c) sums[c] += pixel[c];
  }
}

template <typename T, typename Finish>
std::unique_ptr<Kernel> average_kernel(const PoolGeometry& g, Finish finish) {
  using Sum = std::conditional_t<std::is_floating_point_v<T>, float, std::int32_t>;
  return make_kernel([g, finish](const KernelArgs& args) {
    Sum* sums = args.workspace.scratch_of<Sum>(static_cast<std::size_t>(g.channels));
    for_each_window(
        g, [&](std::int64_t out, std::int64_t in, std::int64_t height, std::int64_t width) {
          sum_window(args.in<T>(0) + in, height, width, g.in_width * g.channels, g.channels, sums);
          T* to = args.out<T>(0) + out;
          for (std::int64_t c = 0; c < g.channels; ++c) to[c] = finish(sums[c]);
        });
  });
}

template <typename T>
std::unique_ptr<Kernel> make_average(const NodeContext& context, const PoolGeometry& g) {
  const float inverse_area = 1.0F / static_cast<float>(g.area());
  if constexpr (std::is_floating_point_v<T>) {
    return average_kernel<T>(g, [inverse_area](float sum) { return sum * inverse_area; });
  } else {
    const float scale = chip_scale(context.input(0).exponent()) * inverse_area *
                        chip_scale(-context.declared[0].exponent());
    return visit_rounding(context.target.rounding, [&]<Rounding kRounding>() {
      return average_kernel<T>(g, [scale](std::int32_t sum) {
        return round_saturate<T, kRounding>(static_cast<float>(sum) * scale);
      });
    });
  }
}

Prepared prepare_average(const NodeContext& context, PoolPlan plan) {
  const DType dtype = element_type(context);
  const TensorDesc output = output_desc(context, 0, plan.shape, dtype);
  auto kernel = visit_element_type(
      dtype, [&]<typename T>() { return make_average<T>(context, plan.geometry); });
  Prepared prepared = prepared_with(context, output.shape, dtype, std::move(kernel));
  prepared.faults = std::move(plan.faults);
  return prepared;
}

}  // namespace

Prepared prepare_average_pool(const NodeContext& context) {
  PoolPlan plan = plan_pool(context);
  const auto pads = context.node.get_ints("pads");
  if (context.node.get_int("count_include_pad", 0) == 0 &&
      std::any_of(pads.begin(), pads.end(), [](std::int64_t p) { return p != 0; }))
    plan.faults.emplace_back("average-pool-counts-padding");
  return prepare_average(context, std::move(plan));
}

Prepared prepare_global_average_pool(const NodeContext& context) {
  return prepare_average(context, plan_global_pool(context));
}

}  // namespace espquant::sim
