#include <fmt/format.h>

#include <algorithm>

#include "sim/operators.h"
#include "sim/prepare.h"
#include "sim/rounding.h"

/// ScatterND (ESP-DL 3.14): slices replaced by, or combined with, the updates; on raw integers.
namespace espquant::sim {
namespace {

struct Scatter {
  Shape data_shape, steps;
  std::int64_t depth = 1;  ///< indices per slice
  std::int64_t slices = 1, slice = 1;

  std::int64_t offset(const std::int64_t* index) const {
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < depth; ++i) {
      const auto axis = static_cast<std::size_t>(i);
      if (index[i] < 0 || index[i] >= data_shape[axis])
        throw Error(ErrorCode::BadData, fmt::format("ScatterND at index {} of an axis of {}",
                                                    index[i], data_shape[axis]))
            .remedy("ESP-DL does not check indices and does not count from the back");
      at += index[i] * steps[axis];
    }
    return at;
  }
};

template <typename T, typename F>
std::unique_ptr<Kernel> scatter_kernel(const Scatter& s, F combine) {
  return make_kernel([s, combine](const KernelArgs& args) {
    T* out = args.out<T>(0);
    std::copy_n(args.in<T>(0), element_count(s.data_shape), out);
    const auto* indices = args.in<std::int64_t>(1);
    const T* updates = args.in<T>(2);
    for (std::int64_t i = 0; i < s.slices; ++i) {
      T* to = out + s.offset(indices + i * s.depth);
      const T* update = updates + i * s.slice;
      for (std::int64_t k = 0; k < s.slice; ++k) to[k] = combine(to[k], update[k]);
    }
  });
}

template <typename T>
std::unique_ptr<Kernel> scatter_by(const Scatter& s, std::string_view reduction) {
  if (reduction == "none") return scatter_kernel<T>(s, [](T, T update) { return update; });
  if (reduction == "max") return scatter_kernel<T>(s, [](T a, T b) { return std::max(a, b); });
  if (reduction == "min") return scatter_kernel<T>(s, [](T a, T b) { return std::min(a, b); });
  const bool add = reduction == "add";
  if (!add && reduction != "mul")
    refuse(fmt::format("ScatterND with reduction '{}'", reduction),
           "Use none, add, mul, max or min");
  return scatter_kernel<T>(s, [add](T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
      return add ? a + b : a * b;
    else
      return narrow<T>(add ? a + b : std::int32_t{a} * b);
  });
}

Scatter plan_scatter(const NodeContext& context) {
  const Shape& data = context.input(0).shape;
  const Shape& indices = context.input(1).shape;
  if (indices.empty() || indices.back() > static_cast<std::int64_t>(data.size()) ||
      indices.back() < 1)
    refuse(fmt::format("ScatterND with indices of shape {} into {}", to_string(indices),
                       to_string(data)),
           "Export the model again");
  Scatter s{data, strides_of(data)};
  s.depth = indices.back();
  s.slices = element_count(indices) / s.depth;
  for (auto i = static_cast<std::size_t>(s.depth); i < data.size(); ++i) s.slice *= data[i];
  if (element_count(context.input(2).shape) < s.slices * s.slice)
    refuse("ScatterND with fewer updates than its indices ask for", "Export the model again");
  return s;
}

}  // namespace

Prepared prepare_scatter_nd(const NodeContext& context) {
  const DType dtype = element_type(context);
  require_type(context, 1, DType::Int64);
  require_type(context, 2, dtype);
  const Scatter scatter = plan_scatter(context);
  const std::string reduction = context.node.get_string("reduction", "none");
  auto kernel =
      visit_element_type(dtype, [&]<typename T>() { return scatter_by<T>(scatter, reduction); });
  Prepared prepared = prepared_with(context, context.input(0).shape, dtype, std::move(kernel));
  check_exponents(context, prepared, {0, 2});
  if (reduction == "mul" && !is_float(dtype)) add_fault(prepared, "scatter-nd-multiplies-integers");
  return prepared;
}

}  // namespace espquant::sim
