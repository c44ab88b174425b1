#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace espquant::ops {

/// Float execution of a whole graph with static shapes: oneDNN primitives on channels-last memory
/// for the heavy operators, plain kernels for the rest. Built once, then run from any number of
/// threads.
class Executor {
 public:
  struct Options {
    /// Only the operators' reference kernels (OpDef::run), for comparison.
    bool reference = false;
    /// Every float activation is produced and offered to the observer. Otherwise a Relu or Clip is
    /// fused into the convolution before it, and what only lies between the two is neither stored
    /// nor observed.
    bool observe_all = true;
    /// Every value keeps its own memory to the end of a run, for rerun().
    bool keep_all = false;
  };

  /// Shapes must have been inferred. Throws Error(Unsupported) with the node's name.
  explicit Executor(const Graph& graph) : Executor(graph, Options{}) {}
  Executor(const Graph& graph, Options options);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// A float activation as it stands in memory during a run.
  struct View {
    ValueId value;
    std::span<const float> data;
    const Shape& shape;  ///< in ONNX's order (N,C,H,W)
    bool channels_last;  ///< data are stored N,H,W,C (or N,W,C); otherwise in the order of `shape`

    /// A copy in ONNX's order.
    Tensor to_tensor() const;
  };
  /// Called for each float32 activation, graph inputs included, right after it is computed, once
  /// per run. The view is valid during the call only.
  using Observer = std::function<void(const View&)>;

  /// Buffers of one thread, reused from run to run.
  class Workspace {
   public:
    explicit Workspace(const Executor& executor);
    ~Workspace();
    Workspace(Workspace&&) noexcept;

   private:
    friend class Executor;
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

  /// One pass. `inputs` in the order of graph.inputs(), of the graph's shapes; outputs in ONNX's
  /// layout. Throws Error(BadData) where an input does not fit.
  std::vector<Tensor> run(std::span<const Tensor> inputs, Workspace& workspace,
                          const Observer& observe = {}) const;

  /// Takes the elements of `view` for an activation that the last run in `workspace` observed, and
  /// computes only what depends on it; all else stands as run() and earlier reruns left it. Outputs
  /// as run(). Needs Options::keep_all.
  std::vector<Tensor> rerun(const View& view, Workspace& workspace) const;

  /// Changes the elements of an activation in place, in the order in which they stand in memory.
  using Alteration = std::function<void(ValueId, std::span<float>)>;
  /// Runs again with `values` altered, each as soon as it is computed from what has been altered
  /// before it. All that does not depend on them is as run() left it, whatever was altered since:
  /// quickest where values are altered in the reverse order of their computation. Not for
  /// what is only another view of a value (Reshape). Outputs as run(). Needs Options::keep_all, and
  /// no rerun() since run().
  std::vector<Tensor> run_altered(std::span<const ValueId> values, const Alteration& alter,
                                  Workspace& workspace) const;

  const Graph& graph() const;

  /// What one Workspace holds for float activations and scratch, in bytes; reference kernels take
  /// memory of their own during a run.
  std::size_t workspace_bytes() const;

  /// One line per step: the node, how it runs ("brgconv:avx512_core", "reference", ...), layouts.
  /// For logs.
  std::string describe() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The outputs of each of `inputs`, as Executor::run() takes them, computed beside each other.
std::vector<std::vector<Tensor>> run_all(const Executor& executor,
                                         std::span<const std::vector<Tensor>> inputs);

}  // namespace espquant::ops
