#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "train/fake_quant.h"
#include "train/kernel.h"

namespace espquant::train {

/// A float Graph, of static shapes, that is run forwards and backwards on batches of samples.
///
/// A batch is dealt to kLanes lanes, block by block, and each lane adds the gradients of its blocks
/// in their order; the lanes are added in theirs. So the result is the same for any number of
/// threads. Memory is that of one block's activations per thread and of one set of gradients per
/// lane.
class Network {
 public:
  static constexpr std::int64_t kLanes = 8;

  struct Options {
    /// Constants that are trained.
    std::vector<ValueId> parameters = {};
    /// What the loss looks at; the graph's outputs unless given.
    std::vector<ValueId> watched = {};
    /// Activations that are rounded to the chip's grid as soon as they are computed.
    std::map<ValueId, Grid> activations = {};
    /// The gradient at these values is reported, too (see run()).
    std::vector<ValueId> probed = {};
    /// Samples in a block; 0: four, or one where activations are large.
    std::int64_t block = 0;
  };

  /// Throws Error(Unsupported), with the node's name, for an operator without a gradient that a
  /// parameter's gradient would have to pass.
  Network(const Graph& graph, Options options);
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  /// Batches are whole multiples of it.
  std::int64_t batch_unit() const;

  /// One sample's inputs of batch element `i`, in the order of the graph's.
  using Feed = std::function<std::vector<Tensor>(std::int64_t i)>;
  /// Of batch element `i` the watched values, each in ONNX's order; fills in how the loss changes
  /// with each element, and returns the loss. Called from several threads.
  using Loss = std::function<double(std::int64_t i, std::span<const Tensor> watched,
                                    std::span<Tensor> gradients)>;
  /// The gradient at a probed value for element `i`, in the order of storage (channels last where
  /// `layout` says so). Called from several threads, lane by lane.
  using Probe = std::function<void(std::int64_t lane, std::size_t probe, std::int64_t i,
                                   const Layout& layout, std::span<const float> gradient)>;

  struct Result {
    double loss = 0;  ///< summed over the batch
    /// Of each parameter, in ONNX's order, summed over the batch.
    std::vector<std::vector<float>> gradients;
  };

  /// `parameters` in the order of Options::parameters and in ONNX's order of elements; all other
  /// constants are the graph's.
  Result run(std::span<const Tensor> parameters, std::int64_t batch, const Feed& feed,
             const Loss& loss, const Probe& probe = {}) const;

  /// Activations, gradients and scratch of one thread, in bytes.
  std::size_t workspace_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace espquant::train
