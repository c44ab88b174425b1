#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

/// How a graph is turned into steps over memory: the inside of ops::Executor.
namespace espquant::ops::exec {

/// Where and in which order the elements of a value stand during a run.
enum class Form : std::uint8_t {
  Tensor,        ///< a Tensor of its own in ONNX's order, of any type
  Plain,         ///< float32 in the arena, ONNX's order
  ChannelsLast,  ///< float32 in the arena, N,H,W,C or N,W,C
};

/// Whether a value of this shape can stand channels-last at all.
inline bool has_channels(const Shape& shape) { return shape.size() == 3 || shape.size() == 4; }

/// The extents in the order of storage: (N,C,H,W) gives (N,H,W,C) for ChannelsLast.
Shape stored_shape(const Shape& shape, Form form);

/// Per axis of `shape`, the step in elements under `form`.
Shape stored_strides(const Shape& shape, Form form);

/// Whether (N,C,H,W) and (N,H,W,C) are the same bytes: one channel or one pixel.
bool layouts_coincide(const Shape& shape);

struct Operand {
  const float* data = nullptr;     ///< arena forms
  const Tensor* tensor = nullptr;  ///< Form::Tensor
};

struct Result {
  float* data = nullptr;
  Tensor* tensor = nullptr;
};

/// The memory of one step in one workspace; addresses hold as long as the workspace.
struct Binding {
  std::span<const Operand> inputs;
  std::span<const Result> outputs;
  std::byte* scratch = nullptr;
};

/// What a step computes. Shared by all workspaces, hence immutable.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// The call for one workspace; it may keep pointers into the kernel and the binding's memory.
  virtual std::function<void()> bind(const Binding& binding) const = 0;
  virtual std::size_t scratch_bytes() const { return 0; }
  /// How it runs, for logs.
  virtual std::string name() const = 0;
};

using SlotId = std::int32_t;
using StorageId = std::int32_t;

/// A value in one form.
struct Slot {
  ValueId value = kNone;
  Form form = Form::Tensor;
  StorageId storage = kNone;
};

/// Memory that one or more slots share.
struct Storage {
  enum class Kind : std::uint8_t { Arena, Tensor, Constant };
  Kind kind = Kind::Arena;
  std::size_t bytes = 0;
  std::size_t offset = 0;  ///< in the arena
  Tensor constant;         ///< Kind::Constant: the elements in the slot's order
  std::int32_t first = 0;  ///< step that writes it, -1 for graph inputs
  std::int32_t last = -1;  ///< last step that reads it
};

struct Step {
  NodeId node = kNone;
  std::vector<SlotId> inputs;
  std::vector<SlotId> outputs;
  std::shared_ptr<const Kernel> kernel;
  /// Inputs whose memory output 0 may overwrite, best first.
  std::vector<std::size_t> may_overwrite;
  /// Slots whose value is complete after this step and is offered to the observer.
  std::vector<SlotId> observed;
  /// Tensors that nobody reads after this step.
  std::vector<StorageId> released;
};

/// A graph ready to run.
struct Plan {
  std::vector<Slot> slots;
  std::vector<Storage> storages;
  std::vector<Step> steps;
  std::vector<SlotId> inputs;    ///< of graph.inputs(), Form::Tensor
  std::vector<SlotId> outputs;   ///< of graph.outputs(), Form::Tensor
  std::vector<SlotId> observed;  ///< before the first step: inputs and values known beforehand
  std::size_t arena_bytes = 0;
  std::size_t scratch_bytes = 0;
};

/// Collects the steps of a plan, converting between forms where a step asks for one that is not
/// there yet.
class PlanBuilder {
 public:
  /// The graph must outlive the builder, not the plan.
  PlanBuilder(const Graph& graph, bool observe_all, bool keep_all);

  const Graph& graph() const { return graph_; }
  const Shape& shape(ValueId v) const { return *graph_.value(v).shape; }
  bool observe_all() const { return observe_all_; }
  /// Whether the value is given, float32 and not empty: what the fast kernels handle.
  bool is_float(ValueId v) const;
  /// The elements if they are known beforehand, else null.
  const Tensor* constant(ValueId v) const;
  /// The form in which the value was computed; Form::Tensor for constants.
  Form home(ValueId v) const;
  bool is_channels_last(ValueId v) const { return home(v) == Form::ChannelsLast; }

  /// The slot of `v` in `form`, by a conversion step where needed.
  SlotId require(ValueId v, Form form);
  /// A new slot with memory of its own for a value that the next step writes.
  SlotId define(ValueId v, Form form);
  /// Declares that `v` is the same bytes as the slot `of`, read in `form`.
  void define_alias(ValueId v, Form form, SlotId of);
  /// `step.node` is the node that it computes, or kNone for a conversion.
  void add_step(Step step);

  /// Declares that steps already added compute the node.
  void skip(NodeId n) { skipped_.push_back(n); }
  bool is_skipped(NodeId n) const {
    return std::find(skipped_.begin(), skipped_.end(), n) != skipped_.end();
  }

  /// Places the storages and hands the plan over.
  Plan finish();

 private:
  SlotId add_slot(ValueId v, Form form, StorageId storage);
  StorageId add_storage(Storage storage);
  SlotId add_constant_slot(ValueId v, Form form);
  void find_lifetimes();
  void share_overwritten();
  void find_releases();
  void place_arena();

  Slot& slot(SlotId s) { return plan_.slots[static_cast<std::size_t>(s)]; }
  Storage& storage_of(SlotId s) {
    return plan_.storages[static_cast<std::size_t>(slot(s).storage)];
  }

  const Graph& graph_;
  bool observe_all_, keep_all_;
  /// Per value, its slots: the home first.
  std::vector<std::vector<SlotId>> slots_of_;
  std::vector<NodeId> skipped_;
  Plan plan_;
};

/// The whole way: every node of the graph lowered in order. `reference` keeps to the operators' own
/// kernels.
Plan make_plan(const Graph& graph, bool reference, bool observe_all, bool keep_all);

}  // namespace espquant::ops::exec
