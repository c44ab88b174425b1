#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "graph/graph.h"
#include "ops/op.h"

/// The inside of train::Network: what one node computes forwards and backwards on a block of
/// samples.
namespace espquant::train {

/// A value as it stands in memory: sample after sample, a sample's elements in the order of `shape`
/// or, where `channels_last`, N,H,W,C (N,W,C).
struct Layout {
  Shape shape;
  bool channels_last = false;

  std::int64_t elements() const { return element_count(shape); }
  /// By storage position, the element's number in the order of `shape`.
  std::vector<std::int64_t> element_of_position() const;
  /// The inverse.
  std::vector<std::int64_t> position_of_element() const;
};

/// The memory of one node during a pass of one block. Parameters and constants are inputs as well:
/// one for all samples, in ONNX's order.
struct Pass {
  std::span<const float* const> inputs;
  std::span<float* const> outputs;
  /// Of parameters what prepare() made of them.
  const float* prepared = nullptr;
  std::span<const float* const> output_gradients;
  /// To be added to, or to be written where the kernel overwrites(); null where not wanted.
  std::span<float* const> input_gradients;
  std::byte* scratch = nullptr;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  /// What the kernel makes of parameters, once for all blocks between two updates.
  virtual std::size_t prepared_floats() const { return 0; }
  virtual void prepare(std::span<const float* const> /*inputs*/, float* /*into*/) const {}
  virtual std::size_t scratch_bytes() const { return 0; }
  /// Whether backward() writes the gradient of input `i`, whatever stood there.
  virtual bool overwrites(std::size_t /*i*/) const { return false; }
  virtual void forward(const Pass& pass) const = 0;
  virtual void backward(const Pass& pass) const = 0;
};

/// One node as kernels are made for it.
struct NodeProblem {
  const Graph& graph;
  const Node& node;
  std::int64_t samples;                   ///< in a block
  std::vector<Layout> inputs, outputs;    ///< of constants: ONNX's order
  std::vector<bool> is_constant, wanted;  ///< by input; wanted: its gradient is asked for
  /// By input: no other node, and no loss, adds to its gradient.
  std::vector<bool> alone;
  const Tensor* constant(std::size_t i) const {
    const ValueId v = node.input(i);
    return v != kNone && is_constant[i] ? &graph.value(v).constant : nullptr;
  }
};

/// oneDNN's; null for what it declines.
std::unique_ptr<Kernel> make_convolution(const NodeProblem& problem);
/// Gemm and MatMul of rows by a matrix of weights; null for others.
std::unique_ptr<Kernel> make_product(const NodeProblem& problem);
/// Element by element, with broadcast; null for others.
std::unique_ptr<Kernel> make_elementwise(const NodeProblem& problem);
/// Pools over channels-last images; null for others.
std::unique_ptr<Kernel> make_pool(const NodeProblem& problem);
/// What only moves elements; null for others.
std::unique_ptr<Kernel> make_movement(const NodeProblem& problem);
/// By the operator's reference kernels, sample by sample.
std::unique_ptr<Kernel> make_reference(const NodeProblem& problem);

}  // namespace espquant::train
