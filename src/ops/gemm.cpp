#include <fmt/format.h>

#include <utility>

#include "ops/broadcast.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// Gemm: alpha * A * B + beta * C, with A (M,K) and B (K,N), each possibly given transposed.
namespace espquant::ops {
namespace {

struct Extents {
  std::int64_t m, k, n;
};

Extents extents_of(const Node& node, const Shape& a, const Shape& b) {
  const bool transposed_a = node.attributes.get_int("transA", 0) != 0;
  const bool transposed_b = node.attributes.get_int("transB", 0) != 0;
  const Extents e{a[transposed_a ? 1 : 0], a[transposed_a ? 0 : 1], b[transposed_b ? 0 : 1]};
  if (e.k != b[transposed_b ? 1 : 0])
    bad_data(fmt::format("matrices {}{} and {}{} cannot be multiplied", to_string(a),
                         transposed_a ? " (transposed)" : "", to_string(b),
                         transposed_b ? " (transposed)" : ""));
  return e;
}

void infer_gemm(const InferContext& context) {
  require_float(context, 0);
  require_same_dtype(context, 0, 1);
  require_same_dtype(context, 0, 2);
  require_rank(context, 0, 2, 2);
  require_rank(context, 1, 2, 2);
  const Extents e = extents_of(context.node, context.shape(0), context.shape(1));
  const Shape out{e.m, e.n};
  if (context.has(2) && (context.shape(2).size() > 2 || broadcast(out, context.shape(2)) != out))
    bad_data(fmt::format("C of shape {} cannot be broadcast to {}", to_string(context.shape(2)),
                         to_string(out)));
  set_output(context, 0, context.dtype(0), out);
}

template <typename T>
void multiply(const RunContext& context) {
  const Attributes& attributes = context.node.attributes;
  const Tensor &a = context.in(0), &b = context.in(1);
  const Extents e = extents_of(context.node, a.shape(), b.shape());
  const auto alpha = static_cast<T>(attributes.get_float("alpha", 1.0F));
  const auto beta = static_cast<T>(attributes.get_float("beta", 1.0F));
  const bool transposed_a = attributes.get_int("transA", 0) != 0;
  const std::int64_t row_a = transposed_a ? 1 : e.k, step_a = transposed_a ? e.m : 1;
  const std::array<std::int64_t, 2> swap{1, 0};
  const Tensor right = attributes.get_int("transB", 0) != 0 ? b.transposed(swap) : b;
  const T* pa = a.data<T>().data();
  const T* pb = right.data<T>().data();
  Tensor& out = context.outputs[0];
  T* po = out.mutable_data<T>().data();
  for (std::int64_t i = 0; i < e.m; ++i)
    for (std::int64_t k = 0; k < e.k; ++k) {
      const T x = alpha * pa[i * row_a + k * step_a];
      for (std::int64_t j = 0; j < e.n; ++j) po[i * e.n + j] += x * pb[k * e.n + j];
    }
  if (!context.has(2)) return;
  const Tensor product = std::exchange(out, Tensor(out.dtype(), out.shape()));
  map_broadcast<T, T, T>(product, context.in(2), out, [&](T y, T c) { return y + beta * c; });
}

void run_gemm(const RunContext& context) {
  visit_float(context.in(0).dtype(), [&]<typename T>(T) { multiply<T>(context); });
}

std::int64_t gemm_macs(const Node& node, std::span<const Shape> inputs, std::span<const Shape>) {
  const Extents e = extents_of(node, inputs[0], inputs[1]);
  return saturating_product({e.m, e.k, e.n});
}

template <typename T>
void multiply_back(const GradientContext& context) {
  const Attributes& attributes = context.node.attributes;
  const Extents e = extents_of(context.node, context.in(0).shape(), context.in(1).shape());
  const auto alpha = static_cast<T>(attributes.get_float("alpha", 1.0F));
  const auto beta = static_cast<T>(attributes.get_float("beta", 1.0F));
  const bool transposed_a = attributes.get_int("transA", 0) != 0;
  const bool transposed_b = attributes.get_int("transB", 0) != 0;
  const auto at_a = [&](std::int64_t i, std::int64_t k) {
    return transposed_a ? k * e.m + i : i * e.k + k;
  };
  const auto at_b = [&](std::int64_t k, std::int64_t j) {
    return transposed_b ? j * e.k + k : k * e.n + j;
  };
  const T* a = context.in(0).data<T>().data();
  const T* b = context.in(1).data<T>().data();
  const T* dy = context.output_gradients[0].data<T>().data();
  const auto data_of = [&](std::size_t i) {
    return context.wants(i) ? context.input_gradients[i].mutable_data<T>().data() : nullptr;
  };
  T *da = data_of(0), *db = data_of(1), *dc = data_of(2);
  for (std::int64_t i = 0; i < e.m; ++i)
    for (std::int64_t k = 0; k < e.k; ++k)
      for (std::int64_t j = 0; j < e.n; ++j) {
        const T d = alpha * dy[i * e.n + j];
        if (da != nullptr) da[at_a(i, k)] += d * b[at_b(k, j)];
        if (db != nullptr) db[at_b(k, j)] += d * a[at_a(i, k)];
      }
  if (dc == nullptr) return;
  const Shape& out = context.outputs[0].shape();
  const std::array<Shape, 1> strides{broadcast_strides(context.in(2).shape(), out)};
  for_each_row(out, strides, [&](std::int64_t from, const auto& to, std::int64_t n) {
    for (std::int64_t j = 0; j < n; ++j) dc[to[0] + j * strides[0].back()] += beta * dy[from + j];
  });
}

void gradient_gemm(const GradientContext& context) {
  visit_float(context.in(0).dtype(), [&]<typename T>(T) { multiply_back<T>(context); });
}

}  // namespace

const OpDef kGemm{"Gemm", QuantRule::Weighted, infer_gemm, run_gemm, gradient_gemm, gemm_macs};

}  // namespace espquant::ops
