#include <algorithm>

#include "ops/operators.h"
#include "ops/visit.h"

/// GlobalAveragePool, GlobalMaxPool: (N,C,...) to (N,C,1,...).
namespace espquant::ops {
namespace {

void infer_global_pool(const InferContext& context) {
  require_float(context, 0);
  require_rank(context, 0, 3, kMaxRank);
  Shape shape = context.shape(0);
  if (std::find(shape.begin() + 2, shape.end(), 0) != shape.end())
    bad_data("pooling over no elements");
  std::fill(shape.begin() + 2, shape.end(), 1);
  set_output(context, 0, context.dtype(0), std::move(shape));
}

/// out[plane] = f(elements of the plane).
template <typename T, typename F>
void reduce_planes(const Tensor& in, Tensor& out, F f) {
  const auto from = in.data<T>();
  auto to = out.mutable_data<T>();
  if (to.empty()) return;
  const std::size_t area = from.size() / to.size();
  for (std::size_t plane = 0; plane < to.size(); ++plane)
    to[plane] = f(from.subspan(plane * area, area));
}

void run_global_average(const RunContext& context) {
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    reduce_planes<T>(context.in(0), context.outputs[0], [](std::span<const T> plane) {
      double sum = 0;
      for (T x : plane) sum += static_cast<double>(x);
      return static_cast<T>(sum / static_cast<double>(plane.size()));
    });
  });
}

void run_global_max(const RunContext& context) {
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    reduce_planes<T>(context.in(0), context.outputs[0], [](std::span<const T> plane) {
      return *std::max_element(plane.begin(), plane.end());
    });
  });
}

/// f(x of a plane, its y, its dy, its dx).
template <typename F>
void for_each_plane_back(const GradientContext& context, F f) {
  if (!context.wants(0) || context.outputs[0].size() == 0) return;
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    const auto x = context.in(0).data<T>(), y = context.outputs[0].data<T>(),
               dy = context.output_gradients[0].data<T>();
    auto dx = context.input_gradients[0].mutable_data<T>();
    const std::size_t area = x.size() / y.size();
    for (std::size_t plane = 0; plane < y.size(); ++plane)
      f(x.subspan(plane * area, area), y[plane], dy[plane], dx.subspan(plane * area, area));
  });
}

void gradient_global_average(const GradientContext& context) {
  for_each_plane_back(context, []<typename T>(std::span<const T> x, T, T dy, std::span<T> dx) {
    for (T& d : dx) d += dy / static_cast<T>(x.size());
  });
}

void gradient_global_max(const GradientContext& context) {
  for_each_plane_back(context, []<typename T>(std::span<const T> x, T y, T dy, std::span<T> dx) {
    const auto best = std::find(x.begin(), x.end(), y);
    if (best != x.end()) dx[static_cast<std::size_t>(best - x.begin())] += dy;
  });
}

}  // namespace

const OpDef kGlobalAveragePool{"GlobalAveragePool", QuantRule::Independent, infer_global_pool,
                               run_global_average, gradient_global_average};
const OpDef kGlobalMaxPool{"GlobalMaxPool", QuantRule::PassThrough, infer_global_pool,
                           run_global_max, gradient_global_max};

}  // namespace espquant::ops
