#include <oneapi/dnnl/dnnl.hpp>

#include "train/kernel.h"

/// Rows by a matrix of weights: Gemm, and MatMul with a constant on the right.
namespace espquant::train {
namespace {

void multiply(bool transposed_a, bool transposed_b, std::int64_t m, std::int64_t n, std::int64_t k,
              const float* a, const float* b, float beta, float* c) {
  dnnl::sgemm(transposed_a ? 'T' : 'N', transposed_b ? 'T' : 'N', m, n, k, 1.0F, a,
              transposed_a ? m : k, b, transposed_b ? k : n, beta, c, n);
}

class ProductKernel final : public Kernel {
 public:
  ProductKernel(std::int64_t rows, std::int64_t depth, std::int64_t width, bool transposed,
                std::int64_t bias)
      : rows_(rows), depth_(depth), width_(width), transposed_(transposed), bias_(bias) {}

  void forward(const Pass& pass) const override {
    float* y = pass.outputs[0];
    if (bias_ > 0)
      for (std::int64_t i = 0; i < rows_ * width_; ++i)
        y[i] = pass.inputs[2][bias_ == 1 ? 0 : i % width_];
    multiply(false, transposed_, rows_, width_, depth_, pass.inputs[0], pass.inputs[1],
             bias_ > 0 ? 1.0F : 0.0F, y);
  }

  void backward(const Pass& pass) const override {
    const float* dy = pass.output_gradients[0];
    if (float* dx = pass.input_gradients[0])
      multiply(false, !transposed_, rows_, depth_, width_, dy, pass.inputs[1], 1.0F, dx);
    if (float* dw = pass.input_gradients[1]) {
      if (transposed_)
        multiply(true, false, width_, depth_, rows_, dy, pass.inputs[0], 1.0F, dw);
      else
        multiply(true, false, depth_, width_, rows_, pass.inputs[0], dy, 1.0F, dw);
    }
    if (bias_ == 0 || pass.input_gradients[2] == nullptr) return;
    for (std::int64_t i = 0; i < rows_ * width_; ++i)
      pass.input_gradients[2][bias_ == 1 ? 0 : i % width_] += dy[i];
  }

 private:
  std::int64_t rows_, depth_, width_;
  bool transposed_;
  /// Elements of the bias: none, one, or one per column.
  std::int64_t bias_;
};

}  // namespace

std::unique_ptr<Kernel> make_product(const NodeProblem& p) {
  if ((p.node.op != "Gemm" && p.node.op != "MatMul") || p.is_constant[0] || !p.is_constant[1] ||
      p.inputs[0].channels_last || p.outputs[0].channels_last || p.inputs[1].shape.size() != 2 ||
      p.inputs[0].shape.size() < 2)
    return nullptr;
  const Attributes& a = p.node.attributes;
  const bool transposed = a.get_int("transB", 0) != 0;
  if (a.get_int("transA", 0) != 0 || a.get_float("alpha", 1) != 1 || a.get_float("beta", 1) != 1)
    return nullptr;
  const std::int64_t depth = p.inputs[1].shape[transposed ? 1 : 0];
  const std::int64_t width = p.inputs[1].shape[transposed ? 0 : 1];
  std::int64_t bias = 0;
  if (p.node.input(2) != kNone) {
    bias = p.inputs[2].elements();
    if (!p.is_constant[2] || (bias != 1 && bias != width)) return nullptr;
    if (bias == width && !p.inputs[2].shape.empty() && p.inputs[2].shape.back() != width)
      return nullptr;
  }
  const std::int64_t rows = p.samples * p.outputs[0].elements() / width;
  return std::make_unique<ProductKernel>(rows, depth, width, transposed, bias);
}

}  // namespace espquant::train
