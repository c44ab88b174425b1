#include <fmt/format.h>

#include "ops/broadcast.h"
#include "ops/operators.h"
#include "ops/visit.h"

/// MatMul: numpy.matmul of (...,M,K) and (...,K,N); a vector acts as a row on the left, a column on
/// the right.
namespace espquant::ops {
namespace {

struct MatmulProduct {
  Shape batch_a, batch_b, batch;
  std::int64_t m, k, n;
};

MatmulProduct product_of(Shape a, Shape b) {
  if (a.empty() || b.empty()) malformed("MatMul of a scalar");
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.push_back(1);
  MatmulProduct p{
      {a.begin(), a.end() - 2}, {b.begin(), b.end() - 2}, {}, a[a.size() - 2], a.back(), b.back()};
  if (p.k != b[b.size() - 2])
    bad_data(fmt::format("matrices {} and {} cannot be multiplied", to_string(a), to_string(b)));
  p.batch = broadcast(p.batch_a, p.batch_b);
  return p;
}

void infer_matmul(const InferContext& context) {
  require_same_dtype(context, 0, 1);
  const MatmulProduct p = product_of(context.shape(0), context.shape(1));
  Shape out = p.batch;
  if (context.shape(0).size() > 1) out.push_back(p.m);
  if (context.shape(1).size() > 1) out.push_back(p.n);
  set_output(context, 0, context.dtype(0), std::move(out));
}

/// Calls f(number of the product, {matrix of a, matrix of b}) for each matrix product.
template <typename F>
void for_each_product(const MatmulProduct& p, F&& f) {
  // One row of the broadcast loop is one product.
  Shape batch = p.batch;
  batch.push_back(1);
  const auto strides_in = [&](Shape of) {
    of.push_back(1);
    return broadcast_strides(of, batch);
  };
  const std::array<Shape, 2> strides{strides_in(p.batch_a), strides_in(p.batch_b)};
  for_each_row(batch, strides,
               [&](std::int64_t to, const auto& from, std::int64_t) { f(to, from); });
}

void run_matmul(const RunContext& context) {
  const MatmulProduct p = product_of(context.in(0).shape(), context.in(1).shape());
  visit_number(context.in(0).dtype(), [&]<typename T>(T) {
    const T* a = context.in(0).data<T>().data();
    const T* b = context.in(1).data<T>().data();
    T* out = context.outputs[0].mutable_data<T>().data();
    for_each_product(p, [&](std::int64_t to, const auto& from) {
      for (std::int64_t i = 0; i < p.m; ++i) {
        const T* row = a + (from[0] * p.m + i) * p.k;
        T* sum = out + (to * p.m + i) * p.n;
        for (std::int64_t k = 0; k < p.k; ++k) {
          const T* right = b + (from[1] * p.k + k) * p.n;
          for (std::int64_t j = 0; j < p.n; ++j)
            sum[j] = wrapping_add(sum[j], wrapping_mul(row[k], right[j]));
        }
      }
    });
  });
}

std::int64_t matmul_macs(const Node&, std::span<const Shape> inputs,
                         std::span<const Shape> outputs) {
  return saturating_product({element_count(outputs[0]), inputs[0].empty() ? 1 : inputs[0].back()});
}

void gradient_matmul(const GradientContext& context) {
  const MatmulProduct p = product_of(context.in(0).shape(), context.in(1).shape());
  visit_float(context.in(0).dtype(), [&]<typename T>(T) {
    const T* a = context.in(0).data<T>().data();
    const T* b = context.in(1).data<T>().data();
    const T* dy = context.output_gradients[0].data<T>().data();
    const auto data_of = [&](std::size_t i) {
      return context.wants(i) ? context.input_gradients[i].mutable_data<T>().data() : nullptr;
    };
    T *da = data_of(0), *db = data_of(1);
    for_each_product(p, [&](std::int64_t to, const auto& from) {
      for (std::int64_t i = 0; i < p.m; ++i)
        for (std::int64_t k = 0; k < p.k; ++k) {
          const std::int64_t left = (from[0] * p.m + i) * p.k + k;
          const std::int64_t right = (from[1] * p.k + k) * p.n;
          const T* d = dy + (to * p.m + i) * p.n;
          T sum = 0;
          for (std::int64_t j = 0; j < p.n; ++j) sum += d[j] * b[right + j];
          if (da != nullptr) da[left] += sum;
          if (db != nullptr)
            for (std::int64_t j = 0; j < p.n; ++j) db[right + j] += a[left] * d[j];
        }
    });
  });
}

}  // namespace

const OpDef kMatMul{"MatMul",   QuantRule::Independent, infer_matmul,
                    run_matmul, gradient_matmul,        matmul_macs};

}  // namespace espquant::ops
